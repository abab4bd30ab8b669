# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves Blender as an animated mesh comes back the same."""

from __future__ import annotations

import threading

import pytest

from tests.blender_addon.exporting import (
    add_head,
    assert_same,
    imported_back,
    left_as_it_was,
    world_vertices,
)
from tests.waiting import PATIENCE, until

CHECKED = (5, 12, 28)
"""Scene frames whose vertices are compared."""


@pytest.fixture
def head(blender, addon):
    return add_head(blender, addon)


KINDS = [("ABC", "abc"), ("USD", "usdc"), ("GLB", "glb"), ("FBX", "fbx")]


# A head that does not turn takes the same way, with less to write.
@pytest.mark.parametrize("head_motion", [pytest.param(0.0, marks=pytest.mark.one_blender), 2.0])
@pytest.mark.parametrize(("kind", "suffix"), KINDS)
def test_the_animated_mesh_comes_back_the_same(blender, head, tmp_path, kind, suffix, head_motion):
    head.gaussianspeech_speech.head_motion = head_motion
    before = {frame: world_vertices(head, frame) for frame in CHECKED}
    path = tmp_path / f"anna.{suffix}"
    with left_as_it_was(blender, head):
        blender.ops.gaussianspeech.export(filepath=str(path), format=kind)
    mesh = imported_back(kind, path)
    for frame, expected in before.items():
        assert_same(world_vertices(mesh, frame), expected, kind)


def test_a_glb_begins_at_zero_on_demand(blender, head, tmp_path):
    first = world_vertices(head, 5)
    path = tmp_path / "anna.glb"
    blender.ops.gaussianspeech.export(filepath=str(path), format="GLB", from_zero=True)
    assert_same(world_vertices(imported_back("GLB", path), 0), first, "GLB")


def test_a_blender_that_crashes_is_one_message(blender, head, addon, tmp_path, monkeypatch):
    child = tmp_path / "child.py"
    child.write_text("import os\nprint('Segmentation fault')\nos.abort()\n")
    monkeypatch.setattr(addon("export.background_blender"), "_SCRIPT", child)
    with pytest.raises(RuntimeError, match="ended early"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.abc"), format="ABC")
    assert list(tmp_path.iterdir()) == [child]


@pytest.mark.one_blender
def test_an_export_can_be_cancelled(blender, head, addon, tmp_path):
    files = addon("export.mesh_files")
    future = files.export_mesh(blender.context, [head], tmp_path / "a.glb", "GLB", range(1, 100000))
    until(lambda: future.poll()[0] > 0 or future.done)
    future.cancel()
    with pytest.raises(addon("export.background_blender").CancelledError):
        future.result(PATIENCE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.one_blender
def test_an_export_says_how_far_it_is(blender, head, addon, tmp_path, monkeypatch):
    files, seen = addon("export.mesh_files"), set()

    def watched(future, name, value):
        object.__setattr__(future, name, value)
        seen.add(getattr(future, "_progress", (0.0, "")))

    export = addon("export.background_blender").BackgroundExport
    monkeypatch.setattr(export, "__setattr__", watched, raising=False)
    future = files.export_mesh(blender.context, [head], tmp_path / "a.abc", "ABC", range(1, 2000))
    future.result(PATIENCE)
    fractions = [fraction for fraction, message in seen if "of 1999" in message]
    assert len(fractions) > 3
    assert 0.0 <= min(fractions) < max(fractions) <= 1.0


@pytest.mark.one_blender
def test_beginning_an_export_does_not_hold_blender_up(blender, head, addon, tmp_path, monkeypatch):
    begun, export = threading.Event(), addon("export.background_blender").BackgroundExport
    carry_out = export._carry_out

    def carry_out_later(*given):
        assert begun.wait(PATIENCE), "what begins the export waits for its end"
        return carry_out(*given)

    monkeypatch.setattr(export, "_carry_out", carry_out_later)
    files = addon("export.mesh_files")
    future = files.export_mesh(blender.context, [head], tmp_path / "a.glb", "GLB", range(5, 29))
    begun.set()
    assert future.result(PATIENCE) > 1000


def test_a_head_without_speech_is_refused(blender, head, tmp_path):
    blender.ops.gaussianspeech.remove_line()
    with pytest.raises(RuntimeError, match="'Anna' has no baked speech"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.abc"), format="ABC")
    assert not list(tmp_path.iterdir())


def test_a_hidden_head_is_refused(blender, head, tmp_path):
    head.hide_set(True)
    blender.context.view_layer.objects.active = head
    with pytest.raises(RuntimeError, match="'Anna' is hidden"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.abc"), format="ABC")


def test_a_folder_that_cannot_be_made_is_named(blender, head, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(RuntimeError, match="cannot be written"):
        blender.ops.gaussianspeech.export(filepath=str(blocked / "a.abc"), format="ABC")


def test_a_build_without_an_exporter_says_so(blender, addon, head, monkeypatch, tmp_path):
    files = addon("export.mesh_files")
    assert files.missing_exporter("GLB") == ""
    monkeypatch.setattr(files, "missing_exporter", lambda _kind: "This Blender was built so.")
    with pytest.raises(RuntimeError, match="built so"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.abc"), format="ABC")
    assert list(tmp_path.iterdir()) == []


def test_drivers_and_modifiers_of_other_objects_play_in_the_export(blender, head, tmp_path):
    blender.ops.object.empty_add()
    empty = blender.context.object
    for frame, height in ((5, 0.0), (28, 1.0)):
        empty.location.z = height
        empty.keyframe_insert("location", frame=frame)
    driver = head.data.shape_keys.key_blocks["line corrective 01"].driver_add("value").driver
    variable = driver.variables.new()
    variable.type = "TRANSFORMS"
    variable.targets[0].id, variable.targets[0].transform_type = empty, "LOC_Z"
    driver.expression = f"min({variable.name}, 0.75) * 1.0"
    head.parent = empty
    blender.context.view_layer.objects.active = head
    expected = world_vertices(head, 28)
    path = tmp_path / "a.abc"
    blender.ops.gaussianspeech.export(filepath=str(path), format="ABC")
    assert_same(world_vertices(imported_back("ABC", path), 28), expected, "ABC")
