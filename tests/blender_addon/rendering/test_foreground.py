# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands before an avatar and is blurred, against the mean of many sharp pictures."""

from __future__ import annotations

import numpy as np

from tests.blender_addon.rendering.foreground_scene import bar, blurred, rendered, scene

__all__ = ["bar", "blurred", "rendered", "scene"]

FRAMES = 48


def test_what_moves_before_the_avatar_is_the_mean_of_sharp_frames(scene, bar, blurred, tmp_path):
    move = blurred.moving_bar(scene, bar)
    coverage, depth = blurred.compared(scene, tmp_path, move, FRAMES)
    assert coverage > 38
    assert depth < 26


def test_an_avatar_that_moves_behind_what_rests_is_the_mean_of_sharp_frames(
    scene, bar, blurred, tmp_path
):
    move = blurred.moving_head(scene, bar)
    coverage, depth = blurred.compared(scene, tmp_path, move, FRAMES)
    assert coverage > 40
    assert depth < coverage - 6


def test_what_is_out_of_focus_before_the_avatar_is_the_mean_over_the_lens(
    scene, bar, blurred, tmp_path
):
    move = blurred.bar_out_of_focus(scene, bar, FRAMES)
    coverage, depth = blurred.compared(scene, tmp_path, move, FRAMES)
    assert coverage > 36
    assert depth < coverage - 6


def test_the_avatar_is_seen_through_what_lets_light_through(blender, scene, rendered, tmp_path):
    blender.ops.gaussianspeech.set_up_composite()
    alone = rendered(scene, tmp_path)[32, 48]
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
    through = rendered(scene, tmp_path)[32, 48]
    np.testing.assert_allclose(through[:3], 0.5 * alone[:3], atol=0.02)


def test_the_scene_for_it_comes_and_goes_with_what_needs_it(blender, scene, rendered, tmp_path):
    composite = scene.gaussianspeech_composite
    kinds = ("objects", "meshes", "materials", "node_groups", "scenes")

    def names():
        return {kind: sorted(item.name for item in getattr(blender.data, kind)) for kind in kinds}

    composite.occlusion = "DEPTH"
    blender.ops.gaussianspeech.set_up_composite()
    assert composite.foreground_scene is None
    without = names()
    composite.occlusion = "AUTO"
    rendered(scene, tmp_path)
    assert composite.foreground_scene is not None
    matte = next(iter(composite.foreground_scene.collection.objects))
    assert matte.gaussianspeech_light_proxy.head.name == "Head"
    composite.occlusion = "DEPTH"
    rendered(scene, tmp_path)
    assert composite.foreground_scene is None
    assert {**names(), "node_groups": []} == {**without, "node_groups": []}


def test_eevee_renders_it_by_itself_where_the_picture_is_blurred(blender, scene):
    composite = scene.gaussianspeech_composite
    new_name = (4, 2) <= blender.app.version < (5, 0)
    scene.render.engine = "BLENDER_EEVEE_NEXT" if new_name else "BLENDER_EEVEE"
    blender.ops.gaussianspeech.set_up_composite()
    assert composite.foreground_scene is None
    scene.camera.data.dof.use_dof = True
    blender.ops.gaussianspeech.set_up_composite()
    assert composite.foreground_scene is not None
    scene.camera.data.dof.use_dof = False
    scene.render.use_motion_blur = True
    blender.ops.gaussianspeech.set_up_composite()
    assert composite.foreground_scene is not None


def test_what_is_sharp_before_the_avatar_has_smooth_outlines_by_itself(
    blender, scene, bar, blurred, rendered, tmp_path
):
    move = blurred.nothing_moves(scene, bar)
    assert scene.gaussianspeech_composite.occlusion == "AUTO"
    blender.ops.gaussianspeech.set_up_composite()
    by_itself = rendered(scene, tmp_path)
    scene.gaussianspeech_composite.occlusion = "COVERAGE"
    np.testing.assert_array_equal(rendered(scene, tmp_path), by_itself)
    coverage, depth = blurred.compared(scene, tmp_path, move, 1)
    assert coverage > depth + 6


def test_engines_without_holdouts_compare_depths(blender, scene):
    scene.gaussianspeech_composite.occlusion = "COVERAGE"
    scene.render.engine = "BLENDER_WORKBENCH"
    blender.ops.gaussianspeech.set_up_composite()
    assert scene.gaussianspeech_composite.foreground_scene is None
    scene.render.engine = "CYCLES"
    blender.ops.gaussianspeech.set_up_composite()
    assert scene.gaussianspeech_composite.foreground_scene is not None


def test_the_foreground_follows_the_shutters_curve(blender, scene, rendered, tmp_path):
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
    blender, scene, bar, addon, rendered, tmp_path, capsys
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
