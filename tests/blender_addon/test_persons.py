# SPDX-License-Identifier: GPL-3.0-or-later
"""Adding a person: head, avatar and speech model with one click."""

import json
import shutil
import sys
import time

import numpy as np
import pytest

from tests.blender_addon.conftest import REPOSITORY
from tests.waiting import until

VOICE = REPOSITORY / "engine" / "assets" / "sample_voice.wav"


@pytest.fixture(scope="module")
def people(engine_file, tmp_path_factory):
    """A person's folder and one of GaussianAvatars, each with the FLAME model beside it."""
    return shutil.copytree(engine_file("people"), tmp_path_factory.mktemp("people") / "people")


def corners(obj):
    found = np.empty(3 * len(obj.data.vertices), np.float32)
    obj.data.vertices.foreach_get("co", found)
    x, y, z = found.reshape(-1, 3).T
    return np.stack([x, z, -y], 1)  # Head space.


def wait_for_avatar(addon, obj):
    poll = addon("engine_link.background").poll_finished
    avatar = obj.gaussianspeech_avatar
    until(lambda: avatar.gaussians, meanwhile=lambda: (poll(), time.sleep(0.01)))


def test_one_click_adds_head_avatar_and_speech_model(engine_ready, people, addon):
    folder = people / "ada"
    assert engine_ready.ops.gaussianspeech.add_person(person=str(folder)) == {"FINISHED"}
    obj = engine_ready.context.object
    assert obj.name == "Ada"
    assert np.allclose(corners(obj), np.load(people / "template.npy"), atol=1e-6)
    assert obj.gaussianspeech_head.source == str(folder / "avatar.safetensors")
    speech = obj.gaussianspeech_speech
    assert (speech.model, speech.model_file) == ("FILE", str(folder / "speech_model.safetensors"))
    wait_for_avatar(addon, obj)
    assert obj.gaussianspeech_avatar.source == str(folder / "avatar.safetensors")
    assert obj.gaussianspeech_avatar.gaussians == 10_144


def test_f12_shows_the_person(engine_ready, people, addon, tmp_path):
    engine_ready.ops.gaussianspeech.add_person(person=str(people / "ada"))
    obj, scene = engine_ready.context.object, engine_ready.context.scene
    wait_for_avatar(addon, obj)
    addon("demo_scene").set_up(scene, obj)
    engine_ready.ops.gaussianspeech.render_avatars()
    scene.render.resolution_x, scene.render.resolution_y = 48, 60
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    scene.render.filepath = str(tmp_path / "picture.png")
    engine_ready.ops.render.render(write_still=True)
    image = engine_ready.data.images.load(scene.render.filepath)
    pixels = np.array(image.pixels[:]).reshape(60, 48, 4)
    np.testing.assert_allclose(pixels[36, 24], [0.8, 0.1, 0.1, 1], atol=0.03)


@pytest.mark.one_blender
def test_the_person_speaks_from_a_strip_and_f12_shows_it(engine_ready, people, addon, tmp_path):
    """Where the jaw has fallen the picture of the person is another."""
    engine_ready.ops.gaussianspeech.add_person(person=str(people / "ada"))
    obj, scene = engine_ready.context.object, engine_ready.context.scene
    wait_for_avatar(addon, obj)
    scene.render.fps = 24
    engine_ready.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    assert engine_ready.ops.gaussianspeech.predict() == {"FINISHED"}
    addon("demo_scene").set_up(scene, obj)
    engine_ready.ops.gaussianspeech.render_avatars()
    scene.render.resolution_x, scene.render.resolution_y = 48, 60
    scene.render.film_transparent = True
    depsgraph = engine_ready.context.evaluated_depsgraph_get()
    moved = [far_from_rest(depsgraph, scene, obj, frame) for frame in range(1, 140)]
    assert max(moved) > 0.005
    pictures = []
    for frame in (1 + int(np.argmin(moved)), 1 + int(np.argmax(moved))):
        scene.frame_set(frame)
        scene.render.filepath = str(tmp_path / f"{frame}.png")
        engine_ready.ops.render.render(write_still=True)
        image = engine_ready.data.images.load(scene.render.filepath)
        pictures.append(np.array(image.pixels[:]).reshape(60, 48, 4))
    shut, fallen = pictures
    assert shut[..., 3].max() == pytest.approx(1, abs=0.01)
    assert np.abs(shut[:30] - fallen[:30]).max() > 0.1  # Rows from below: chin and neck.


def far_from_rest(depsgraph, scene, obj, frame):
    """How far the farthest vertex is from the neutral face, metres."""
    scene.frame_set(frame)
    mesh = obj.evaluated_get(depsgraph).to_mesh()
    found = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", found)
    x, y, z = found.reshape(-1, 3).T
    return float(np.abs(np.stack([x, z, -y], 1) - corners(obj)).max())


def test_a_colour_networks_expression_is_held_near_what_it_saw(blender, addon):
    """The GPU's drawing of the viewport has no engine, and holds it by itself."""
    arrays = addon("rendering.splats.arrays")
    weight = np.array([[0, 0, 0, 0, 1.0]], np.float32)
    shapes = np.zeros((1, 1)), weight, np.zeros(1), np.zeros((3, 1)), np.zeros(3)
    seen = np.array([[0.0], [0.4]], np.float32)
    held = arrays.NetworkColor(*(np.asarray(s, np.float32) for s in shapes), seen)
    assert held.bias(np.array([0.3], np.float32)) == pytest.approx([0.3])
    assert held.bias(np.array([9.0], np.float32)) == pytest.approx([0.5])


def test_a_gaussian_avatars_folder_comes_in_as_the_person(engine_ready, people):
    chosen = str(people / "306" / "point_cloud.ply")
    assert engine_ready.ops.gaussianspeech.add_person(person=chosen) == {"FINISHED"}
    obj = engine_ready.context.object
    assert obj.name == "306"
    assert np.allclose(corners(obj), np.load(people / "template.npy"), atol=1e-5)


def test_an_avatar_on_the_mean_head_is_refused_with_what_differs(engine_ready, people):
    model = str(people / "flame2023.npz")
    engine_ready.ops.gaussianspeech.add_head(head=model, with_avatar=False)
    chosen = str(people / "ada" / "avatar.safetensors")
    with pytest.raises(RuntimeError, match=r"its neutral face is another.*mm away"):
        engine_ready.ops.gaussianspeech.bind_avatar(avatar=chosen)


def test_the_default_person_is_one_too(engine_ready):
    assert engine_ready.ops.gaussianspeech.add_person() == {"FINISHED"}
    obj = engine_ready.context.object
    assert obj.gaussianspeech_head.id == "default"
    assert obj.gaussianspeech_avatar.source == "default"
    assert obj.gaussianspeech_speech.model == "corrected"


def test_a_folder_that_is_no_person_is_named(engine_ready, tmp_path):
    (tmp_path / "person.json").write_text(json.dumps({"format": "other", "avatar": "default"}))
    with pytest.raises(RuntimeError, match=r"person\.json"):
        engine_ready.ops.gaussianspeech.add_person(person=str(tmp_path))
    with pytest.raises(RuntimeError, match="no person's folder"):
        engine_ready.ops.gaussianspeech.add_person(person=sys.prefix)
