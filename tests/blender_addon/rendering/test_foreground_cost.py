# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands before avatars is rendered where they are, in frames in which something may."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.blender_addon.rendering.compositor.composited_scene import glowing_cube
from tests.blender_addon.rendering.foreground_scene import bar, blurred, rendered, scene

__all__ = ["bar", "blurred", "rendered", "scene"]

MAGENTA = (1, 0, 1)


@pytest.fixture
def covered(blender, scene):
    """The scene with a composite by coverage, few samples."""
    scene.cycles.samples = 4
    scene.gaussianspeech_composite.occlusion = "COVERAGE"
    blender.ops.gaussianspeech.set_up_composite()
    return scene


@pytest.fixture
def foreground_rendered(covered, addon, rendered, tmp_path):
    """Render the scene; whether its foreground was."""

    def render():
        rendered(covered, tmp_path)
        foreground = covered.gaussianspeech_composite.foreground_scene
        return foreground.name in addon("rendering.pass_times").times_of(covered).scenes

    return render


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ((0, -1.5, 0), True),
        ((0.3, -1.5, 0), True),
        ((2, -1.5, 0), False),
        ((0, 1.5, 0), False),
        ((0, -9, 0), False),
    ],
)
def test_it_is_rendered_if_something_stands_before_a_head(
    bar, foreground_rendered, place, expected
):
    bar.location = place
    assert foreground_rendered() is expected


def test_walls_round_the_head_and_the_camera_do_not_stand_between(blender, foreground_rendered):
    glowing_cube("Room", (0, 0, 0), (0.2, 0.2, 0.2)).scale = (8, 12, 6)
    assert not foreground_rendered()


def test_it_is_not_rendered_for_a_head_that_is_out_of_the_picture(blender, bar, covered, addon):
    head = blender.data.objects["Head"]
    head.location.x = 30
    bar.location.x = 30
    blender.ops.render.render()
    foreground = covered.gaussianspeech_composite.foreground_scene
    assert foreground.name not in addon("rendering.pass_times").times_of(covered).scenes


def test_what_crosses_while_the_shutter_is_open_stands_before(covered, bar, foreground_rendered):
    for frame, x in ((0, -6.0), (2, 6.0)):
        bar.location.x = x
        bar.keyframe_insert("location", frame=frame)
    covered.frame_set(1)
    bar.keyframe_insert("location", frame=1)
    covered.render.use_motion_blur, covered.render.motion_blur_shutter = True, 1.0
    assert foreground_rendered()
    bar.animation_data_clear()
    bar.location.x = 6
    assert not foreground_rendered()


def test_what_is_so_far_out_of_focus_that_it_reaches_the_head_stands_before(
    covered, bar, foreground_rendered
):
    bar.location.x = 0.75
    assert not foreground_rendered()
    dof = covered.camera.data.dof
    dof.use_dof, dof.focus_distance, dof.aperture_fstop = True, 4.0, 0.04
    assert foreground_rendered()


@pytest.mark.parametrize("what", ["fog", "displacement", "hair"])
def test_what_has_no_bounds_stands_before(blender, covered, bar, foreground_rendered, what):
    bar.location.x = 5
    assert not foreground_rendered()
    if what == "fog":
        covered.world = blender.data.worlds.new("World")
        if covered.world.node_tree is None:
            covered.world.use_nodes = True
        tree = covered.world.node_tree
        output = next(node for node in tree.nodes if node.type == "OUTPUT_WORLD")
        volume = tree.nodes.new("ShaderNodeVolumeScatter")
        tree.links.new(volume.outputs[0], output.inputs["Volume"])
    elif what == "displacement":
        material = bar.data.materials[0]
        material.displacement_method = "DISPLACEMENT"
        nodes = material.node_tree.nodes
        moved = nodes.new("ShaderNodeDisplacement")
        output = next(node for node in nodes if node.type == "OUTPUT_MATERIAL")
        material.node_tree.links.new(moved.outputs[0], output.inputs["Displacement"])
    else:
        bar.modifiers.new("Hair", "PARTICLE_SYSTEM").particle_system.settings.type = "HAIR"
    assert foreground_rendered()


def test_in_an_animation_it_is_rendered_in_the_frames_that_need_it_and_leaves_no_ghost(
    blender, covered, bar, addon, rendered, tmp_path
):
    bar.location.x = 6
    alone = rendered(covered, tmp_path)
    for frame, x in ((1, 6.0), (2, 0.0), (3, 6.0)):
        bar.location.x = x
        bar.keyframe_insert("location", frame=frame)
    found, times = [], addon("rendering.pass_times")
    foreground = covered.gaussianspeech_composite.foreground_scene.name

    def note(scene, *_):
        found.append(foreground in times.times_of(scene).scenes)

    covered.frame_start, covered.frame_end = 1, 3
    covered.render.filepath = str(tmp_path / "frame-")
    # After that of the add-on, which counts.
    blender.app.handlers.render_write.append(note)
    try:
        blender.ops.render.render(animation=True)
    finally:
        blender.app.handlers.render_write.remove(note)
    assert found == [False, True, False]
    for frame in (1, 3):
        image = blender.data.images.load(covered.render.frame_path(frame=frame))
        picture = np.array(image.pixels[:]).reshape(64, 96, 4)
        np.testing.assert_array_equal(picture, alone)


def test_where_there_is_no_avatar_the_picture_is_the_scenes_own_to_the_bit(
    blender, covered, bar, addon, rendered, tmp_path
):
    scene = covered
    light = blender.data.objects.new("Lamp", blender.data.lights.new("Lamp", "POINT"))
    light.location = (1, -3, 2)
    scene.collection.objects.link(light)
    grey = blender.data.materials.new("Grey")  # Noise of its lighting.
    bar.data.materials[0] = grey
    composited = rendered(scene, tmp_path)
    blender.ops.gaussianspeech.remove_composite()
    blender.data.objects["Head"].visible_camera = False
    alone = rendered(scene, tmp_path)
    np.testing.assert_array_equal(composited[:, :24], alone[:, :24])
    assert not np.array_equal(composited, alone)


def test_what_a_fast_head_uncovers_does_not_stand_before_it(scene, bar, blurred, tmp_path):
    move = blurred.moving_head(scene, bar)
    assert blurred.compared(scene, tmp_path, move, 24)[0] > 32


def test_a_failed_frame_is_magenta_with_coverage_too(
    blender, covered, bar, disc, addon, rendered, monkeypatch, tmp_path
):
    monkeypatch.setattr(addon("rendering.engine"), "get_engine", lambda _context: disc)
    disc.error = addon("engine_link.client").EngineGoneError("The engine ended.", "Try again.")
    np.testing.assert_allclose(rendered(covered, tmp_path)[..., :3].mean((0, 1)), MAGENTA)


@pytest.mark.parametrize("orthographic", [False, True])
def test_the_opening_of_the_bounding_holdout_is_where_the_avatars_are(addon, orthographic):
    camera_module = addon("rendering.camera")
    bounding = addon("rendering.foreground.bounding_holdout")
    K = np.array([[120.0, 0, 40], [0, 130, 34], [0, 0, 1]])
    if orthographic:
        K[0, 0], K[1, 1] = 30, 32
    camera = camera_module.ViewCamera(np.eye(4), K, 96, 64, 0.1, 100.0, orthographic)
    lens = None if orthographic else camera_module.ViewLens(0.02, 3.0)
    corners = bounding.holdout_corners(camera, lens, (10, 20, 50, 60), (2.0, 2.5))
    front, opening, back = corners.reshape(3, 4, 3)
    assert (back[:, 2] < -2.5).all()
    assert (front[:, 2] > -2.0).all()

    def pixels(points, ray):
        """Of rays through a point of the lens, which meet in the plane that is sharp."""
        if orthographic:
            return points[:, :2] * (1, -1) @ K[:2, :2] + K[:2, 2]
        sharp = ray + (points[:, :2] - ray) * (3.0 / -points[:, 2:])
        return sharp * (1, -1) / 3.0 @ K[:2, :2] + K[:2, 2]

    for ray in ((0, 0), (0.02, 0), (-0.02, 0), (0, 0.02), (0, -0.02)):
        seen = pixels(opening, np.array(ray))
        assert (seen.min(0) <= (10, 20)).all()
        assert (seen.max(0) >= (50, 60)).all()
        for whole in (front, back):
            seen = pixels(whole, np.array(ray))
            assert (seen.min(0) < 0).all()
            assert (seen.max(0) > (96, 64)).all()


def test_times_between_which_an_engine_may_render_more_are_not_taken_for_all(addon):
    occluders = addon("rendering.foreground.occluders").Occluders(times=[1.0])
    still = SimpleNamespace(use_motion_blur=False)
    blurred = SimpleNamespace(
        use_motion_blur=True, motion_blur_shutter=0.5, motion_blur_position="CENTER"
    )
    assert occluders.clear(still)
    assert not occluders.clear(blurred)
    occluders.times += [0.75, 1.25]
    assert occluders.clear(blurred)
    assert not addon("rendering.foreground.occluders").Occluders().clear(still)
