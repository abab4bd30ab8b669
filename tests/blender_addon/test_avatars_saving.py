# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving the bound avatar to a file of the artist's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blender_addon.conftest import PACKAGE


@pytest.fixture
def original(tmp_path) -> Path:
    """An avatar in the folder of a training."""
    path = tmp_path / "jobs" / "anna" / "avatar.safetensors"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"an avatar")
    return path


@pytest.fixture
def head(add_plain_head, original):
    obj = add_plain_head()
    obj.gaussianspeech_avatar.source = str(original)
    obj.gaussianspeech_avatar.gaussians = 35_000
    return obj


def test_the_copy_is_bound_to_the_head(blender, head, tmp_path):
    target = tmp_path / "anna.safetensors"
    blender.ops.gaussianspeech.save_avatar(filepath=str(target))
    assert target.read_bytes() == b"an avatar"
    assert head.gaussianspeech_avatar.source == str(target)
    assert head.gaussianspeech_avatar.gaussians == 35_000
    assert blender.context.window_manager.gaussianspeech_status.message == (
        f"Saved anna.safetensors and bound it to '{head.name}'"
    )


def test_the_copy_is_bound_to_every_head_of_the_avatar(blender, head, add_plain_head, tmp_path):
    second, other = add_plain_head(), add_plain_head()
    second.gaussianspeech_avatar.source = head.gaussianspeech_avatar.source
    other.gaussianspeech_avatar.source = "default"
    blender.context.view_layer.objects.active = head
    blender.ops.gaussianspeech.save_avatar(filepath=str(tmp_path / "anna.safetensors"))
    assert second.gaussianspeech_avatar.source == str(tmp_path / "anna.safetensors")
    assert other.gaussianspeech_avatar.source == "default"


def test_undo_binds_the_first_again_and_keeps_the_file(blender, head, original, tmp_path):
    name = head.name
    blender.ops.ed.undo_push(message="head")
    blender.ops.gaussianspeech.save_avatar(filepath=str(tmp_path / "anna.safetensors"))
    blender.ops.ed.undo_push(message="save")
    blender.ops.ed.undo()
    assert blender.data.objects[name].gaussianspeech_avatar.source == str(original)
    assert (tmp_path / "anna.safetensors").is_file()


@pytest.mark.parametrize("name", ["anna", "anna.ply", "anna.safetensors"])
def test_the_copy_keeps_the_avatars_suffix(blender, head, tmp_path, name):
    blender.ops.gaussianspeech.save_avatar(filepath=str(tmp_path / name))
    assert (tmp_path / "anna.safetensors").is_file()


def test_a_name_with_a_dot_stays_whole(blender, head, tmp_path):
    blender.ops.gaussianspeech.save_avatar(filepath=str(tmp_path / "anna.v2"))
    assert (tmp_path / "anna.v2.safetensors").is_file()


def test_without_a_name_nothing_is_written(blender, head, original, tmp_path):
    with pytest.raises(RuntimeError, match="No file is chosen"):
        blender.ops.gaussianspeech.save_avatar(filepath=f"{tmp_path}/")
    assert head.gaussianspeech_avatar.source == str(original)


def test_an_avatar_that_is_gone_is_named_and_changes_nothing(blender, head, original, tmp_path):
    original.unlink()
    with pytest.raises(RuntimeError, match=r"There is no avatar file .*avatar\.safetensors"):
        blender.ops.gaussianspeech.save_avatar(filepath=str(tmp_path / "anna.safetensors"))
    assert head.gaussianspeech_avatar.source == str(original)


@pytest.mark.parametrize("source", ["", "default"])
def test_without_an_avatar_of_ones_own_saving_is_greyed_out(blender, head, source):
    head.gaussianspeech_avatar.source = source
    assert not blender.ops.gaussianspeech.save_avatar.poll()


def test_with_an_engine_of_another_machine_saving_is_greyed_out(blender, head):
    preferences = blender.context.preferences.addons[PACKAGE].preferences
    preferences.engine_command = "ssh gpu gaussianspeech serve"
    try:
        assert not blender.ops.gaussianspeech.save_avatar.poll()
    finally:
        preferences.engine_command = ""
    assert blender.ops.gaussianspeech.save_avatar.poll()
