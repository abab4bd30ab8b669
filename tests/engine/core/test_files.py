# SPDX-License-Identifier: GPL-3.0-or-later
"""Results are whole, where they were asked for, or there is one clear line and nothing left."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from engine.core.errors import BadInputError
from engine.core.files import atomic_write, by_number, refused_by_system

REPOSITORY = Path(__file__).resolve().parents[3]
posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions, links and locks")


def write(path, content=b"new"):
    with atomic_write(path) as temporary:
        temporary.write_bytes(content)


def run(script, *args):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, args)],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_file_appears_under_its_name_when_the_block_succeeds(tmp_path):
    target = tmp_path / "new" / "result.bin"
    with atomic_write(target) as temporary:
        temporary.write_bytes(b"whole")
        assert not target.exists()
        assert temporary.suffix == ".bin"
    assert target.read_bytes() == b"whole"
    assert list(target.parent.iterdir()) == [target]


def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path):
    target = tmp_path / "result.bin"
    target.write_bytes(b"older")
    with pytest.raises(RuntimeError), atomic_write(target) as temporary:
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert target.read_bytes() == b"older"
    assert list(tmp_path.iterdir()) == [target]


def test_a_failure_takes_back_the_folders_that_were_made_for_it(tmp_path):
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "a" / "b" / "result.bin"):
        raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_folder_and_a_path_through_a_file_are_refused_in_a_line(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_bytes(b"")
    for target, reason in (("folder", "folder"), ("file/x/result.bin", "part of its path")):
        with pytest.raises(BadInputError, match=rf"{target} cannot be written: .*{reason}"):
            write(tmp_path / target)
    assert {path.name for path in tmp_path.rglob("*")} == {"folder", "file"}


@posix
def test_a_device_is_not_replaced():
    with pytest.raises(BadInputError, match="no ordinary file"):
        write("/dev/null")
    assert Path("/dev/null").is_char_device()


@posix
def test_a_folder_that_nothing_can_be_made_in_is_refused_in_a_line():
    with pytest.raises(BadInputError, match=r"/proc/result\.bin cannot be written"):
        write("/proc/result.bin")


@pytest.mark.parametrize("name", ["ä" * 115 + ".bin", "n" * 251 + ".bin"])
def test_the_longest_names_can_be_written(tmp_path, name):
    write(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_that_no_disk_takes_is_refused_before_the_work(tmp_path):
    with pytest.raises(BadInputError, match="too long"), atomic_write(tmp_path / ("n" * 300)):
        pytest.fail("the work was begun")
    assert not list(tmp_path.iterdir())


def test_a_name_with_a_zero_byte_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="cannot be written"):
        write(f"{tmp_path}/a\0b")


@posix
@pytest.mark.parametrize(("umask", "mode"), [(0o077, 0o600), (0o002, 0o664)])
def test_a_new_file_has_the_permissions_of_the_umask(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        write(tmp_path / "result.bin")
    finally:
        os.umask(before)
    assert (tmp_path / "result.bin").stat().st_mode & 0o777 == mode


@posix
def test_a_writer_that_puts_a_file_of_its_own_in_place_changes_no_permissions(tmp_path):
    """As that of safetensors does, for the owner alone."""
    before = os.umask(0o022)
    try:
        with atomic_write(tmp_path / "new.safetensors") as temporary:
            own = tmp_path / "own"
            own.touch(0o600)
            own.replace(temporary)
    finally:
        os.umask(before)
    assert (tmp_path / "new.safetensors").stat().st_mode & 0o777 == 0o644


@posix
def test_a_replaced_file_keeps_its_permissions(tmp_path):
    target = tmp_path / "result.bin"
    target.write_bytes(b"older")
    target.chmod(0o640)
    write(target)
    assert target.stat().st_mode & 0o777 == 0o640


def test_a_write_protected_file_is_not_replaced(tmp_path):
    target = tmp_path / "result.bin"
    target.write_bytes(b"older")
    target.chmod(0o444)
    with pytest.raises(BadInputError, match=r"result\.bin is write-protected"):
        write(target)
    assert target.read_bytes() == b"older"
    target.chmod(0o644)


@posix
def test_a_link_stays_and_the_file_it_leads_to_is_written(tmp_path):
    (tmp_path / "disk").mkdir()
    for name in ("there.bin", "not_yet.bin"):
        (tmp_path / name).symlink_to(tmp_path / "disk" / name)
    (tmp_path / "disk" / "there.bin").write_bytes(b"older")
    for name in ("there.bin", "not_yet.bin"):
        write(tmp_path / name)
        assert (tmp_path / name).is_symlink()
        assert (tmp_path / "disk" / name).read_bytes() == b"new"


@posix
def test_a_link_to_itself_is_refused(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(BadInputError, match="cannot be written"):
        write(tmp_path / "loop")


@posix
def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    target = tmp_path / "result.bin"
    killed = """
        import os, signal, sys
        from engine.core.files import atomic_write
        with atomic_write(sys.argv[1]) as temporary:
            temporary.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    assert run(killed, target).returncode < 0
    assert len(list(tmp_path.iterdir())) == 1
    write(target)
    assert list(tmp_path.iterdir()) == [target]


@posix
def test_two_who_write_one_file_do_not_disturb_each_other(tmp_path):
    target = tmp_path / "result.bin"
    with atomic_write(target) as first:
        first.write_bytes(b"first")
        with atomic_write(target) as second:
            assert second != first
            second.write_bytes(b"second")
        assert target.read_bytes() == b"second"
        assert first.read_bytes() == b"first"
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


@posix
def test_a_disk_without_room_is_one_line_and_nothing_is_left(tmp_path):
    full = """
        import resource, sys
        from pathlib import Path
        import numpy, safetensors.torch, torch
        from engine.core.errors import BadInputError
        from engine.core.files import atomic_write
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
        large = torch.zeros(1 << 18)
        for work in (
            lambda path: path.write_bytes(bytes(1 << 20)),
            lambda path: numpy.savez(path, a=large.numpy()),
            lambda path: safetensors.torch.save_file({"a": large}, path),
            lambda path: torch.save({"a": large}, path),
        ):
            try:
                with atomic_write(sys.argv[1]) as temporary:
                    work(temporary)
            except BadInputError as error:
                print(error, list(Path(sys.argv[2]).iterdir()))
    """
    result = run(full, tmp_path / "new" / "result.npz", tmp_path)
    assert result.stdout.count("result.npz cannot be written: ") == 4, result.stderr
    assert result.stdout.count(" []\n") == 4


def test_an_error_of_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "result.bin"):
        (tmp_path / "source.bin").read_bytes()
    assert not list(tmp_path.iterdir())


def test_names_are_sorted_as_people_count():
    expected = ["009.png", "9.png", "10.png", "a.png", "B.png", "b9.png", "b9x.png", "B10.png"]
    mixed = sorted(map(Path, expected), key=str)
    assert [path.name for path in sorted(mixed, key=by_number)] == expected


@pytest.mark.parametrize("name", ["Übung 1", "Übung 1".encode(), Path("Übung 1")])
def test_a_file_that_the_system_refuses_is_named_as_people_write_it(name):
    refused = refused_by_system(FileNotFoundError(errno.ENOENT, "No such file", name))
    assert refused.message.startswith("Übung 1 cannot be used")
