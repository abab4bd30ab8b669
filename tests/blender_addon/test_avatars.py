# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars on heads with the real engine: binding, F12, and an engine that dies."""

from __future__ import annotations

import os
import signal
import threading

import numpy as np
import pytest

from tests.waiting import until


@pytest.fixture
def head(engine_ready):
    engine_ready.ops.gaussianspeech.add_head(with_avatar=False)
    return engine_ready.context.object


@pytest.fixture
def portrait(engine_ready, head, addon):
    """The head with the default avatar, ready for F12 of the avatar alone."""
    engine_ready.ops.gaussianspeech.bind_avatar()
    scene = engine_ready.context.scene
    addon("demo_scene").set_up(scene, head)
    engine_ready.ops.gaussianspeech.render_avatars()
    scene.render.resolution_x, scene.render.resolution_y = 160, 200
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    return scene


def rendered(bpy, scene, tmp_path) -> np.ndarray:
    scene.render.filepath = str(tmp_path / "still.png")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    width, height = image.size
    return np.array(image.pixels[:]).reshape(height, width, 4)[::-1]


def test_f12_shows_a_face_in_front_of_nothing(engine_ready, portrait, tmp_path):
    pixels = rendered(engine_ready, portrait, tmp_path)
    cheek = pixels[115, 50]
    assert cheek[3] > 0.95
    assert cheek[0] > cheek[1] > cheek[2] > 0.1  # Skin is redder than green, greener than blue.
    assert pixels[5, 5].tolist() == [0, 0, 0, 0]


def test_an_open_jaw_shows_in_the_picture(engine_ready, portrait, head, tmp_path):
    shut = rendered(engine_ready, portrait, tmp_path)
    head.data.shape_keys.key_blocks["jawOpen"].value = 1.0
    opened = rendered(engine_ready, portrait, tmp_path)
    change = np.abs(opened - shut)[..., :3].max(axis=2)
    assert (change[120:] > 0.1).mean() > 0.02
    # The forehead and the hair stay where they are; trained colours follow the face a little.
    assert change[:70].max() < 0.15
    assert change[:70].mean() < 0.01


@pytest.mark.one_blender
def test_an_engine_killed_in_the_middle_of_a_render_fails_it_and_the_next_works(
    engine_ready, portrait, addon, tmp_path, monkeypatch
):
    session = addon("engine_link.session")
    rendered(engine_ready, portrait, tmp_path)
    images = addon("rendering.images")
    ask = images._render

    def kill_at_work(engine):
        pending = engine._connection._pending
        until(lambda: any(p.poll()[1] != "waiting for the engine" for p in list(pending.values())))
        os.kill(engine.hello["pid"], signal.SIGKILL)

    def ask_and_kill(engine, *arguments, **options):
        threading.Thread(target=kill_at_work, args=(engine,)).start()
        return ask(engine, *arguments, **options)

    monkeypatch.setattr(images, "_render", ask_and_kill)
    portrait.render.resolution_x = portrait.render.resolution_y = 5000
    with pytest.raises(RuntimeError, match="The engine was ended by signal 9"):
        engine_ready.ops.render.render()
    monkeypatch.undo()
    portrait.render.resolution_x, portrait.render.resolution_y = 160, 200
    assert rendered(engine_ready, portrait, tmp_path)[115, 50, 3] > 0.95
    assert session.current_engine().state.value == "ready"


def test_binding_counts_the_gaussians(engine_ready, head):
    engine_ready.ops.gaussianspeech.bind_avatar()
    assert head.gaussianspeech_avatar.source == "default"
    assert head.gaussianspeech_avatar.gaussians > 1000


def test_a_missing_avatar_file_is_named_and_changes_nothing(engine_ready, head, tmp_path):
    missing = tmp_path / "none.safetensors"
    with pytest.raises(RuntimeError, match=r"none\.safetensors"):
        engine_ready.ops.gaussianspeech.bind_avatar(avatar=str(missing))
    assert head.gaussianspeech_avatar.source == ""


def test_a_file_that_is_no_avatar_is_refused(engine_ready, head, tmp_path):
    wrong = tmp_path / "wrong.safetensors"
    wrong.write_bytes(b"not an avatar")
    with pytest.raises(RuntimeError, match=r"wrong\.safetensors"):
        engine_ready.ops.gaussianspeech.bind_avatar(avatar=str(wrong))
    assert head.gaussianspeech_avatar.source == ""


def test_no_avatar_is_bound_to_a_changed_mesh(engine_ready, head):
    engine_ready.ops.object.mode_set(mode="EDIT")
    engine_ready.ops.mesh.select_all(action="SELECT")
    engine_ready.ops.mesh.subdivide()
    engine_ready.ops.object.mode_set(mode="OBJECT")
    with pytest.raises(RuntimeError, match=r"'Head' has .* vertices, its head"):
        engine_ready.ops.gaussianspeech.bind_avatar()


def test_without_a_head_binding_is_greyed_out(blender):
    assert not blender.ops.gaussianspeech.bind_avatar.poll()
    assert not blender.ops.gaussianspeech.unbind_avatar.poll()


def test_an_avatar_is_removed(engine_ready, head):
    engine_ready.ops.gaussianspeech.bind_avatar()
    engine_ready.ops.gaussianspeech.unbind_avatar()
    assert head.gaussianspeech_avatar.source == ""


def test_undo_and_redo_of_binding_and_of_the_composite(engine_ready, head, addon):
    bpy, name = engine_ready, head.name
    addon("demo_scene").set_up(bpy.context.scene, head)
    bpy.ops.ed.undo_push(message="head")
    bpy.ops.gaussianspeech.bind_avatar()
    bpy.ops.ed.undo_push(message="bind")
    bpy.ops.gaussianspeech.set_up_composite()
    bpy.ops.ed.undo_push(message="composite")
    scene_name = bpy.context.scene.name
    bpy.ops.ed.undo()
    assert bpy.data.scenes[scene_name].gaussianspeech_composite.avatar_scene is None
    assert len(bpy.data.scenes) == 1
    bpy.ops.ed.undo()
    assert bpy.data.objects[name].gaussianspeech_avatar.source == ""
    bpy.ops.ed.redo()
    assert bpy.data.objects[name].gaussianspeech_avatar.source == "default"
    bpy.ops.ed.redo()
    assert bpy.data.scenes[scene_name].gaussianspeech_composite.avatar_scene is not None
