# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that others have open, that are claimed, replaced and removed, by each system's rules."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from engine.core import platforms
from engine.core.files import atomic_write
from tests.engine.core.windows_stand_in import windows  # noqa: F401 - a fixture

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")


def in_use(code=32):
    """What Windows raises for a file that another program has open."""
    error = PermissionError(13, "used by another process")
    error.winerror = code
    return error


class Open:
    """A change of files that fails while another program has one of them open."""

    def __init__(self, times, error):
        self.times, self.error, self.tries = times, error, 0

    def __call__(self, *_arguments, **_options):
        self.tries += 1
        if self.tries <= self.times:
            raise self.error


@pytest.mark.parametrize("code", [5, 32, 33])
def test_on_windows_a_change_waits_for_whoever_has_the_file_open(windows, code):  # noqa: F811
    change = Open(3, in_use(code))
    platforms.retry_while_open(change)
    assert change.tries == 4


def test_on_windows_it_does_not_wait_for_ever(windows, monkeypatch):  # noqa: F811
    monkeypatch.setattr(platforms, "RETRY_TIME", 0.05)
    with pytest.raises(PermissionError):
        platforms.retry_while_open(Open(10**6, in_use()))


@pytest.mark.parametrize(("on_windows", "error"), [(False, in_use()), (True, in_use(1314))])
def test_what_time_does_not_mend_is_raised_at_once(monkeypatch, on_windows, error):
    monkeypatch.setattr(platforms, "WINDOWS", on_windows)
    change = Open(1, error)
    with pytest.raises(PermissionError):
        platforms.retry_while_open(change)
    assert change.tries == 1


def test_on_windows_a_result_replaces_a_file_that_is_being_read(
    windows,  # noqa: F811
    monkeypatch,
    tmp_path,
):
    target = tmp_path / "result.bin"
    target.write_bytes(b"older")
    times, rename = [in_use(5), in_use(32)], os.replace

    def replace(source, to):
        if times:
            raise times.pop()
        rename(source, to)

    monkeypatch.setattr(os, "replace", replace)
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"new")
    assert target.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [target]
    assert not windows.mutexes


def test_on_windows_two_who_write_one_file_do_not_disturb_each_other(windows, tmp_path):  # noqa: F811
    target = tmp_path / "result.bin"
    with atomic_write(target) as first, atomic_write(target) as second:
        assert first != second
        assert len(windows.mutexes) == 2
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]
    assert not windows.mutexes


def test_on_windows_what_a_killed_process_left_is_taken_over(windows, tmp_path):  # noqa: F811
    left = tmp_path / ".result.part.bin"
    left.write_bytes(b"half")  # Its mutex went with the process.
    release = platforms.claim(left)
    assert left.read_bytes() == b""
    assert platforms.claim(left) is None
    assert platforms.claim(Path(os.path.relpath(left))) is None
    release()
    assert not windows.mutexes


@pytest.mark.parametrize("on_windows", [False, True])
def test_a_folder_of_that_name_is_not_claimed(request, tmp_path, on_windows):
    if on_windows:
        request.getfixturevalue("windows")
    (tmp_path / "folder").mkdir()
    assert platforms.claim(tmp_path / "folder") is None
    with pytest.raises(FileNotFoundError):
        platforms.claim(tmp_path / "nowhere" / "file")


@posix
def test_a_claim_does_not_follow_links(tmp_path):
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "link").symlink_to(tmp_path / "precious")
    assert platforms.claim(tmp_path / "link") is None
    assert (tmp_path / "precious").read_bytes() == b"precious"


@posix
def test_a_name_that_another_has_taken_since_is_left_to_them(tmp_path, monkeypatch):
    """After its rename, and before the end of its block, a writer's temporary name is free."""
    rename = os.replace

    def replace(source, to):
        rename(source, to)
        Path(source).write_bytes(b"another's")

    monkeypatch.setattr(os, "replace", replace)
    with atomic_write(tmp_path / "result.bin") as temporary:
        temporary.write_bytes(b"first")
    assert temporary.read_bytes() == b"another's"


def test_on_windows_a_folder_with_files_that_are_write_protected_is_removed(
    windows,  # noqa: F811
    monkeypatch,
    tmp_path,
):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "protected").write_bytes(b"")
    (folder / "protected").chmod(stat.S_IREAD)
    unlink = os.unlink

    def as_windows(path, *arguments, **options):
        if not Path(path).stat().st_mode & stat.S_IWRITE:
            raise in_use(5)
        unlink(path, *arguments, **options)

    monkeypatch.setattr(os, "unlink", as_windows)
    monkeypatch.setattr("shutil._use_fd_functions", False)
    platforms.remove_tree(folder)
    assert not folder.exists()


def test_a_tree_that_is_not_there_or_may_not_be_removed_is_an_error(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        platforms.remove_tree(tmp_path / "nowhere")
    (tmp_path / "folder").mkdir()

    def refuse(*_arguments, **_options):
        raise PermissionError(13, "not yours")

    monkeypatch.setattr(os, "rmdir", refuse)
    with pytest.raises(PermissionError):
        platforms.remove_tree(tmp_path / "folder")
