# SPDX-License-Identifier: GPL-3.0-or-later
"""One small picture of each part of rendering, beside the one that is kept.

After a change that is meant to be seen, with Blender 5.2's Python::

    GAUSSIANSPEECH_GOLDEN=write GAUSSIANSPEECH_ZIP=build GAUSSIANSPEECH_PYTHON=… \\
        python -m pytest tests/blender_addon/rendering/test_golden_pictures.py

The avatar is made here, of the default head's triangles: a new default avatar changes no picture.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.blender_addon.rendering import golden_picture
from tests.blender_addon.rendering.avatar_tensors import write_tensors
from tests.blender_addon.rendering.compositor.composited_scene import glowing_cube

WIDTH, HEIGHT = 72, 96
EXACT, SAMPLED, DENOISED = 46.0, 36.0, 30.0
"""Decibels: of what has no noise, of Cycles' samples, and of light that is denoised."""
EYE = (0.1, -1.2, 0.0)


@pytest.fixture
def head(engine_ready, addon, tmp_path):
    """The default head with an avatar of coloured stripes, its mouth open."""
    bpy = engine_ready
    bpy.ops.gaussianspeech.add_head()
    head = bpy.context.object
    mesh = head.data
    mesh.calc_loop_triangles()
    corners = np.array([triangle.vertices for triangle in mesh.loop_triangles])
    points = np.array([vertex.co for vertex in mesh.vertices])
    binding = np.arange(0, len(corners), 2, dtype=np.int32)
    centres = points[corners[binding]].mean(axis=1)
    G = len(binding)
    colors = 0.5 + 0.3 * np.sin(centres * (70, 50, 90) + (0, 1, 2))
    coefficients = np.zeros((G, 16, 3), np.float32)
    coefficients[:, 0] = (colors - 0.5) / 0.28209479177387814
    write_tensors(
        tmp_path / "stripes.safetensors",
        addon("rendering.splats.arrays").load_arrays("default").faces_sha256,
        {
            "binding": binding,
            "positions": np.zeros((G, 3), np.float32),
            "log_scales": np.full((G, 3), math.log(0.8), np.float32),
            "quats": np.tile(np.array([1, 0, 0, 0], np.float32), (G, 1)),
            "opacity_logits": np.full(G, 3.0, np.float32),
            "color.coefficients": coefficients,
            "light.vertices": np.ones((len(points), 3), np.float32),
        },
    )
    bpy.ops.gaussianspeech.bind_avatar(avatar=str(tmp_path / "stripes.safetensors"))
    mesh.shape_keys.key_blocks["jawOpen"].value = 0.6
    return head


@pytest.fixture
def shot(blender, head):
    """A camera before the head, and a bar beside its nose between the two."""
    scene = blender.context.scene
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.view_settings.view_transform = "Standard"
    scene.camera = blender.data.objects.new("Camera", blender.data.cameras.new("Camera"))
    scene.camera.location, scene.camera.rotation_euler = EYE, (math.pi / 2, 0, 0.083)
    scene.camera.data.lens = 110
    scene.collection.objects.link(scene.camera)
    return scene


@pytest.fixture
def in_cycles(blender, shot):
    """The shot in Cycles, with a wall behind the head and a bar before it."""
    shot.render.engine = "CYCLES"
    shot.cycles.samples, shot.cycles.use_denoising = 64, False
    glowing_cube("Wall", (0, 1, 0), (0.15, 0.2, 0.3)).scale = (6, 0.1, 6)
    glowing_cube("Bar", (0.06, -0.5, 0), (0.6, 0.3, 0.05)).scale = (0.03, 0.03, 2)
    return shot


def rendered(scene, tmp_path) -> np.ndarray:
    """As a screen shows it, top row first, over black."""
    import bpy

    scene.render.filepath = str(tmp_path / "picture.png")
    settings = scene.render.image_settings
    settings.file_format, settings.color_mode = "PNG", "RGB"
    bpy.ops.render.render(write_still=True)
    assert not bpy.context.window_manager.gaussianspeech_status.is_error
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    return np.array(image.pixels[:]).reshape(HEIGHT, WIDTH, -1)[::-1, :, :3]


def view_of(shot, addon):
    camera = shot.camera
    import bpy

    bpy.context.view_layer.update()
    return addon("rendering.camera").camera_view(camera.matrix_world, camera.data, shot.render)


def instances_of(blender, addon):
    depsgraph = blender.context.evaluated_depsgraph_get()
    return addon("rendering.instances").visible_avatars(depsgraph)


def test_the_engines_picture(blender, shot, addon):
    view, instances = view_of(shot, addon), instances_of(blender, addon)
    engine = addon("engine_link.session").get_engine(blender.context)
    image = addon("rendering.images").render_image(
        engine, instances, view, lambda future: future.result()
    )
    golden_picture.check("avatar", image.rgb, EXACT)


def test_the_viewports_picture_is_the_same(blender, renderer, shot, addon):
    view, instances = view_of(shot, addon), instances_of(blender, addon)
    avatars = addon("rendering.splats.scene").SceneAvatars()
    picture = renderer.SplatPicture("32")
    picture.draw([avatars.subject("head", instance) for instance in instances], view)
    golden_picture.check("avatar", picture.read()[..., :3], EXACT)


def test_the_lens(blender, shot, head, tmp_path):
    shot.render.engine = "GAUSSIANSPEECH"
    shot.render.film_transparent = True
    for frame, turn in ((0, -0.2), (2, 0.2)):
        head.rotation_euler.z = turn
        head.keyframe_insert("rotation_euler", frame=frame)
    shot.frame_set(1)
    shot.render.use_motion_blur, shot.render.motion_blur_shutter = True, 1.0
    dof = shot.camera.data.dof
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 1.0, 1.0
    golden_picture.check("lens", rendered(shot, tmp_path), EXACT)


def test_the_composite(blender, in_cycles, tmp_path):
    in_cycles.view_settings.view_transform = "AgX"
    blender.ops.gaussianspeech.set_up_composite()
    golden_picture.check("composite", rendered(in_cycles, tmp_path), SAMPLED)


def test_the_coverage_of_what_is_out_of_focus(blender, in_cycles, tmp_path):
    dof = in_cycles.camera.data.dof
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 1.1, 0.7
    blender.ops.gaussianspeech.set_up_composite()
    golden_picture.check("coverage", rendered(in_cycles, tmp_path), SAMPLED)


def test_the_scenes_light(blender, in_cycles, head, tmp_path):
    blender.data.objects["Bar"].hide_render = True
    lamp = blender.data.lights.new("Lamp", "POINT")
    lamp.color, lamp.energy = (1.0, 0.1, 0.05), 40.0
    obj = blender.data.objects.new("Lamp", lamp)
    obj.location = (-0.7, -0.6, 0.3)
    in_cycles.collection.objects.link(obj)
    head.gaussianspeech_light.enabled = True
    blender.ops.gaussianspeech.set_up_composite()
    golden_picture.check("light", rendered(in_cycles, tmp_path), DENOISED)


def test_a_change_is_refused_and_shown(monkeypatch, tmp_path):
    monkeypatch.setattr(golden_picture, "FOLDER", tmp_path)
    monkeypatch.setenv(golden_picture.VARIABLE, "write")
    picture = np.random.default_rng(0).random((6, 5, 3))
    golden_picture.check("noise", picture, 40)
    monkeypatch.delenv(golden_picture.VARIABLE)
    golden_picture.check("noise", picture, 50)
    with pytest.raises(AssertionError, match=r"20\.0 dB from the kept picture") as failed:
        golden_picture.check("noise", np.where(picture > 0.5, picture - 0.1, picture + 0.1), 40)
    folder = str(failed.value).split(" are in ")[1].split(". ")[0]
    shown = golden_picture.read_png(golden_picture.Path(folder) / "noise.png")
    assert shown.shape == (6, 15, 3)
