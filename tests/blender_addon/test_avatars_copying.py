# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying an avatar's file with what belongs to it, whole or not at all."""

from __future__ import annotations

import sys
import threading

import pytest

from blender_addon.standalone import addon_module

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
copying = addon_module("avatars.copying")
errors = sys.modules["gaussianspeech.engine.core.errors"]


@pytest.fixture
def avatar(tmp_path):
    path = tmp_path / "job" / "avatar.safetensors"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 40_000)
    return path


@pytest.fixture
def splats(tmp_path):
    """GaussianAvatars' file, with the motion that belongs to it."""
    path = tmp_path / "anna" / "point_cloud.ply"
    path.parent.mkdir()
    path.write_bytes(b"ply of anna")
    (path.parent / "flame_param.npz").write_bytes(b"motion of anna")
    return path


def copy(source, target, cancelled=None):
    copying.copy_avatar(source, target, cancelled or threading.Event())


def test_the_copy_has_the_same_bytes_and_nothing_is_left_beside_it(avatar, tmp_path):
    target = tmp_path / "kept" / "anna.safetensors"
    copy(avatar, target)
    assert target.read_bytes() == avatar.read_bytes()
    assert list(target.parent.iterdir()) == [target]


def test_an_older_file_is_replaced(avatar, tmp_path):
    target = tmp_path / "anna.safetensors"
    target.write_bytes(b"older")
    copy(avatar, target)
    assert target.read_bytes() == avatar.read_bytes()


def test_a_cancelled_copy_leaves_the_older_file(avatar, tmp_path):
    target, cancelled = tmp_path / "anna.safetensors", threading.Event()
    target.write_bytes(b"older")
    cancelled.set()
    with pytest.raises(errors.CancelledError):
        copy(avatar, target, cancelled)
    assert target.read_bytes() == b"older"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["anna.safetensors", "job"]


def test_an_avatar_that_is_gone_is_named(tmp_path):
    with pytest.raises(errors.BadInputError, match=r"no avatar file .*gone\.safetensors"):
        copy(tmp_path / "gone.safetensors", tmp_path / "anna.safetensors")


def test_an_avatar_is_not_copied_onto_itself(avatar):
    with pytest.raises(errors.BadInputError, match="is the avatar that is bound to the head"):
        copy(avatar, avatar)


def test_a_folder_that_cannot_be_written_is_named(avatar, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.BadInputError, match=r"anna\.safetensors cannot be written"):
        copy(avatar, tmp_path / "file" / "anna.safetensors")


def test_splats_take_their_motion_along(splats, tmp_path):
    target = tmp_path / "kept" / "anna.ply"
    copy(splats, target)
    assert target.read_bytes() == b"ply of anna"
    assert (target.parent / "flame_param.npz").read_bytes() == b"motion of anna"


def test_splats_without_motion_come_alone(splats, tmp_path):
    (splats.parent / "flame_param.npz").unlink()
    target = tmp_path / "kept" / "anna.ply"
    copy(splats, target)
    assert list(target.parent.iterdir()) == [target]


def test_the_motion_of_another_avatar_is_not_replaced(splats, tmp_path):
    (tmp_path / "flame_param.npz").write_bytes(b"motion of berta")
    with pytest.raises(errors.BadInputError, match=r"holds the flame_param\.npz of another avatar"):
        copy(splats, tmp_path / "anna.ply")
    assert (tmp_path / "flame_param.npz").read_bytes() == b"motion of berta"
    assert not (tmp_path / "anna.ply").exists()


def test_splats_are_copied_beside_themselves(splats):
    copy(splats, splats.with_name("second.ply"))
    assert splats.with_name("second.ply").read_bytes() == b"ply of anna"
    assert splats.with_name("flame_param.npz").read_bytes() == b"motion of anna"
