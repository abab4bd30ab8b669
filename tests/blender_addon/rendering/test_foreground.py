# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands before an avatar and is blurred, against the mean of many sharp pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.blender_addon.rendering.compositor.composited_scene import glowing_cube
from tests.blender_addon.rendering.disc_engine import DiscEngine

WIDTH, HEIGHT = 96, 64
BLUE, WHITE = (0.05, 0.05, 0.8), (0.9, 0.9, 0.9)
FRAMES = 48


@pytest.fixture
def scene(blender, addon, monkeypatch):
    """A head before a bright wall; the disc of its avatar is as large as its sphere."""
    monkeypatch.setattr(addon("rendering.engine"), "get_engine", lambda _context: DiscEngine())
    scene = blender.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 64, False
    scene.cycles.use_adaptive_sampling = False
    scene.render.resolution_x, scene.render.resolution_y = WIDTH, HEIGHT
    scene.view_settings.view_transform = "Standard"
    scene.camera = blender.data.objects.new("Camera", blender.data.cameras.new("Camera"))
    scene.camera.location, scene.camera.rotation_euler = (0, -4, 0), (np.pi / 2, 0, 0)
    scene.collection.objects.link(scene.camera)
    blender.ops.mesh.primitive_uv_sphere_add(radius=0.5, segments=32, ring_count=16)
    head = blender.context.object
    head.name = "Head"
    known = head.gaussianspeech_head
    known.id, known.source = "default", "default"
    known.vertex_count = len(head.data.vertices)
    head.gaussianspeech_avatar.source = "/nowhere/avatar.ply"
    glowing_cube("Wall", (0, 3, 0), WHITE).scale = (20, 0.1, 20)
    return scene


@pytest.fixture
def bar(scene):
    """A dark bar before the face."""
    cube = glowing_cube("Bar", (0.0, -1.5, 0), BLUE)
    cube.scale = (0.12, 0.12, 4)
    return cube


def rendered(scene, tmp_path) -> np.ndarray:
    """Scene-linear colours and alpha."""
    import bpy

    scene.render.filepath = str(tmp_path / "picture.exr")
    settings = scene.render.image_settings
    settings.file_format, settings.color_depth, settings.color_mode = "OPEN_EXR", "32", "RGBA"
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    return np.array(image.pixels[:]).reshape(HEIGHT, WIDTH, 4)


def psnr(one, other) -> float:
    """Of the middle, where avatar, bar and wall meet."""
    rows = slice(HEIGHT // 4, 3 * HEIGHT // 4)
    return -10 * math.log10(float(np.mean((one - other)[rows, 20:76, :3] ** 2)))


def sharp_mean(scene, tmp_path, steps, move):
    """The mean of sharp pictures, each by depth."""
    scene.gaussianspeech_composite.occlusion = "DEPTH"
    scene.cycles.samples = 16
    pictures = []
    for step in range(steps):
        move((step + 0.5) / steps)
        pictures.append(rendered(scene, tmp_path))
    return np.mean(pictures, axis=0)


def test_what_moves_before_the_avatar_is_the_mean_of_sharp_frames(blender, scene, bar, tmp_path):
    move_at_constant_speed(bar, -0.4, 0.4)
    blender.ops.gaussianspeech.set_up_composite()
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 1.0
    scene.frame_set(1)
    by_coverage = rendered(scene, tmp_path)
    scene.gaussianspeech_composite.occlusion = "DEPTH"
    by_depth = rendered(scene, tmp_path)
    scene.render.use_motion_blur = False

    def move(part):
        scene.frame_set(0 if part < 0.5 else 1, subframe=(part + 0.5) % 1)

    truth = sharp_mean(scene, tmp_path, FRAMES, move)
    assert psnr(by_coverage, truth) > 38
    assert psnr(by_depth, truth) < 26


def move_at_constant_speed(obj, start, end):
    """Along x, from frame 0 to frame 2."""
    from blender_addon.standalone import addon_module

    for frame, x in ((0, start), (2, end)):
        obj.location.x = x
        obj.keyframe_insert("location", frame=frame)
    for curve in addon_module("compat").fcurves_of(obj):
        for key in curve.keyframe_points:
            key.interpolation = "LINEAR"


def test_what_is_out_of_focus_before_the_avatar_is_the_mean_over_the_lens(
    blender, scene, bar, tmp_path
):
    blender.ops.gaussianspeech.set_up_composite()
    camera = scene.camera
    dof = camera.data.dof
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 4.0, 0.15
    by_coverage = rendered(scene, tmp_path)
    scene.gaussianspeech_composite.occlusion = "DEPTH"
    by_depth = rendered(scene, tmp_path)
    dof.use_dof = False
    radius = camera.data.lens / 1000 / (2 * dof.aperture_fstop)

    def move(part):
        index = part * FRAMES - 0.5
        away, angle = radius * math.sqrt(part), index * math.pi * (3 - math.sqrt(5))
        x, z = away * math.cos(angle), away * math.sin(angle)
        camera.location = (x, -4, z)
        # What is in the focal plane stays where it is.
        shift = camera.data.lens / camera.data.sensor_width / dof.focus_distance
        camera.data.shift_x, camera.data.shift_y = -x * shift, -z * shift

    truth = sharp_mean(scene, tmp_path, FRAMES, move)
    assert psnr(by_coverage, truth) > 36
    assert psnr(by_depth, truth) < psnr(by_coverage, truth) - 6


def test_the_avatar_is_seen_through_what_lets_light_through(blender, scene, tmp_path):
    blender.ops.gaussianspeech.set_up_composite()
    alone = rendered(scene, tmp_path)[HEIGHT // 2, WIDTH // 2]
    blender.ops.mesh.primitive_plane_add(size=6, location=(0, -1.5, 0), rotation=(np.pi / 2, 0, 0))
    pane = blender.data.materials.new("Pane")
    if pane.node_tree is None:
        pane.use_nodes = True
    nodes = pane.node_tree.nodes
    nodes.clear()
    glass, output = nodes.new("ShaderNodeBsdfTransparent"), nodes.new("ShaderNodeOutputMaterial")
    glass.inputs["Color"].default_value = (0.5, 0.5, 0.5, 1)
    pane.node_tree.links.new(glass.outputs[0], output.inputs["Surface"])
    blender.context.object.data.materials.append(pane)
    scene.gaussianspeech_composite.occlusion = "COVERAGE"
    through = rendered(scene, tmp_path)[HEIGHT // 2, WIDTH // 2]
    np.testing.assert_allclose(through[:3], 0.5 * alone[:3], atol=0.02)


def test_the_scene_for_it_comes_and_goes_with_what_needs_it(blender, scene, tmp_path):
    composite = scene.gaussianspeech_composite
    kinds = ("objects", "meshes", "materials", "node_groups", "scenes")

    def names():
        return {kind: sorted(item.name for item in getattr(blender.data, kind)) for kind in kinds}

    blender.ops.gaussianspeech.set_up_composite()
    assert composite.foreground_scene is None
    sharp = names()
    scene.camera.data.dof.use_dof = True
    rendered(scene, tmp_path)
    assert composite.foreground_scene is not None
    matte = next(iter(composite.foreground_scene.collection.objects))
    assert matte.gaussianspeech_light_proxy.head.name == "Head"
    scene.camera.data.dof.use_dof = False
    rendered(scene, tmp_path)
    assert composite.foreground_scene is None
    assert {**names(), "node_groups": []} == {**sharp, "node_groups": []}


def test_engines_without_holdouts_compare_depths(blender, scene):
    scene.gaussianspeech_composite.occlusion = "COVERAGE"
    scene.render.engine = "BLENDER_WORKBENCH"
    blender.ops.gaussianspeech.set_up_composite()
    assert scene.gaussianspeech_composite.foreground_scene is None
    scene.render.engine = "CYCLES"
    blender.ops.gaussianspeech.set_up_composite()
    assert scene.gaussianspeech_composite.foreground_scene is not None


def test_the_foreground_follows_the_shutters_curve(blender, scene, tmp_path):
    scene.render.use_motion_blur = True
    blender.ops.gaussianspeech.set_up_composite()
    curve = scene.render.motion_blur_shutter_curve.curves[0]
    curve.points.new(0.5, 0.3)
    scene.render.motion_blur_shutter_curve.update()
    rendered(scene, tmp_path)
    foreground = scene.gaussianspeech_composite.foreground_scene
    followed = foreground.render.motion_blur_shutter_curve.curves[0].points
    shape = [tuple(point.location) for point in curve.points]
    assert [tuple(point.location) for point in followed] == shape


def test_what_light_and_coverage_cost_is_printed_and_known(
    blender, scene, bar, addon, tmp_path, capsys
):
    head = blender.data.objects["Head"]
    head.gaussianspeech_light.enabled = True
    scene.camera.data.dof.use_dof = True
    blender.ops.gaussianspeech.set_up_composite()
    rendered(scene, tmp_path)
    composite, times = scene.gaussianspeech_composite, addon("rendering.pass_times")
    found = times.times_of(scene)
    light, front = (
        found.scenes[other.name] for other in (composite.light_scene, composite.foreground_scene)
    )
    assert 0 < light < found.whole
    assert 0 < front < found.whole
    assert light + front + found.scenes[scene.name] <= found.whole
    said = f"scene light {light:.1f} of the last frame's {found.whole:.1f} s; occlusion {front:.1f}"
    assert said in capsys.readouterr().out
    assert times.cost(scene, None) == ""
