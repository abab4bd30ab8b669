# SPDX-License-Identifier: GPL-3.0-or-later
"""F12 with the GaussianSpeech engine: what the engine is asked, and what its answer becomes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.blender_addon.rendering.disc_engine import COLOR, Answer
from tests.blender_addon.rendering.exr_file import channels
from tests.blender_addon.rendering.f12.f12_scene import linear, rendered


def test_a_still_holds_the_avatars_colour_in_linear_light(scene, head, tmp_path):
    pixels = rendered(scene, tmp_path)
    np.testing.assert_allclose(pixels[20, 30], [*linear(COLOR), 1], atol=2e-3)


def test_a_transparent_film_is_empty_round_the_avatar(scene, head, tmp_path):
    assert rendered(scene, tmp_path)[0, 0].tolist() == [0, 0, 0, 0]


def test_an_opaque_film_shows_the_worlds_colour(blender, scene, head, tmp_path):
    scene.render.film_transparent = False
    scene.world = blender.data.worlds.new("World")
    scene.world.color = (0.1, 0.2, 0.4)
    if scene.world.node_tree is not None:
        scene.world.node_tree.nodes.clear()
    pixels = rendered(scene, tmp_path)
    np.testing.assert_allclose(pixels[0, 0], [0.1, 0.2, 0.4, 1], atol=1e-3)


def test_a_render_region_is_cropped_out_of_the_full_frame(scene, head, tmp_path):
    whole = rendered(scene, tmp_path)
    scene.render.use_border = scene.render.use_crop_to_border = True
    scene.render.border_min_x, scene.render.border_max_x = 0.4, 0.8
    scene.render.border_min_y, scene.render.border_max_y = 0.5, 0.75
    part = rendered(scene, tmp_path)
    assert part.shape == (10, 24, 4)
    np.testing.assert_allclose(part, whole[20:30, 24:48], atol=2e-3)


def test_a_render_region_without_a_crop_stands_in_an_empty_full_frame(scene, head, tmp_path):
    whole = rendered(scene, tmp_path)
    scene.render.use_border = True
    scene.render.border_min_x, scene.render.border_max_x = 0.4, 0.8
    scene.render.border_min_y, scene.render.border_max_y = 0.5, 0.75
    part = rendered(scene, tmp_path)
    expected = np.zeros_like(whole)
    expected[20:30, 24:48] = whole[20:30, 24:48]
    np.testing.assert_allclose(part, expected, atol=2e-3)


def center_and_area(pixels) -> tuple[float, float, float]:
    """Where the disc stands, in pixels from the picture's lower left corner, and its area."""
    alpha = pixels[..., 3]
    y, x = np.mgrid[: alpha.shape[0], : alpha.shape[1]] + 0.5
    area = float(alpha.sum())
    return float((x * alpha).sum()) / area, float((y * alpha).sum()) / area, area


def test_the_resolution_percentage_scales_the_picture(scene, head, tmp_path):
    *_, whole = center_and_area(rendered(scene, tmp_path))
    scene.render.resolution_percentage = 50
    half = rendered(scene, tmp_path)
    assert half.shape == (20, 30, 4)
    x, y, area = center_and_area(half)
    assert (x, y) == pytest.approx((15, 10), abs=0.02)
    assert area == pytest.approx(whole / 4, rel=0.05)


def test_a_camera_shift_moves_the_picture(scene, head, tmp_path):
    scene.camera.data.shift_x, scene.camera.data.shift_y = 0.1, -0.05
    x, y, _ = center_and_area(rendered(scene, tmp_path))
    # The unit is the longer side, 60 pixels; the picture goes the other way.
    assert (x, y) == pytest.approx((30 - 6, 20 + 3), abs=0.02)


def test_the_sensor_fit_chooses_the_side_that_the_sensor_spans(scene, head, tmp_path):
    camera = scene.camera.data
    camera.sensor_width = camera.sensor_height = 36
    camera.sensor_fit = "HORIZONTAL"
    *_, wide = center_and_area(rendered(scene, tmp_path))
    camera.sensor_fit = "VERTICAL"
    *_, tall = center_and_area(rendered(scene, tmp_path))
    assert tall / wide == pytest.approx((40 / 60) ** 2, rel=0.05)


def test_an_orthographic_camera_shows_the_same_size_at_any_distance(scene, head, tmp_path):
    camera = scene.camera.data
    camera.type, camera.ortho_scale = "ORTHO", 4.0
    *_, near = center_and_area(rendered(scene, tmp_path))
    scene.camera.location.y = -20
    *_, far = center_and_area(rendered(scene, tmp_path))
    # The corner of the cube is the disc's edge; 15 pixels are a metre.
    assert near == pytest.approx(np.pi * (15 * np.sqrt(3) / 2) ** 2, rel=0.03)
    assert far == pytest.approx(near, rel=1e-3)


def test_several_cameras_bound_to_markers_take_turns(blender, scene, head, disc, tmp_path):
    first = scene.camera
    side = blender.data.objects.new("Side", first.data.copy())
    side.location, side.rotation_euler = (9, 0, 0), (np.pi / 2, 0, np.pi / 2)
    scene.collection.objects.link(side)
    for frame, camera in ((1, first), (2, side)):
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    scene.frame_start, scene.frame_end = 1, 2
    scene.render.filepath = str(tmp_path / "frame-")
    blender.ops.render.render(animation=True)
    seen = [params["camera"] for method, params, _ in disc.requests if method == "avatar.render"]
    assert [round(camera["viewmat"][11], 3) for camera in seen] == [6, 9]


def test_each_view_layer_shows_the_heads_that_it_does_not_exclude(
    blender, scene, head, disc, tmp_path
):
    hall = blender.data.collections.new("Hall")
    scene.collection.children.link(hall)
    other = head.copy()
    other.location.x = 1.5
    hall.objects.link(other)
    alone = scene.view_layers.new("Alone")
    alone.layer_collection.children["Hall"].exclude = True
    file = scene.render.image_settings
    if hasattr(file, "media_type"):
        file.media_type, file.use_exr_interleave = "MULTI_LAYER_IMAGE", True
    file.file_format, file.color_depth, file.exr_codec = "OPEN_EXR_MULTILAYER", "32", "ZIP"
    scene.render.filepath = str(tmp_path / "layers.exr")
    blender.ops.render.render(write_still=True)
    read = channels(tmp_path / "layers.exr")
    both = scene.view_layers[0].name
    right = 20, int(30 + 1.5 * 60 * 50 / 36 / 6)
    assert [read[f"{layer}.Combined.A"][right] for layer in (both, "Alone")] == [1, 0]
    assert [read[f"{layer}.Combined.A"][20, 30] for layer in (both, "Alone")] == [1, 1]
    assert read["Alone.Depth.Z"][20, 30] == pytest.approx(6, abs=1e-4)


def test_a_frame_is_one_request(blender, scene, head, disc, tmp_path):
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.filepath = str(tmp_path / "frame-")
    blender.ops.render.render(animation=True)
    assert [method for method, *_ in disc.requests] == ["avatar.render"] * 3


def test_heads_hidden_from_renders_or_switched_off_are_not_drawn(scene, head, disc, tmp_path):
    for name, hidden, enabled in (("Hidden", True, True), ("Off", False, False)):
        other = head.copy()
        other.name, other.hide_render = name, hidden
        other.gaussianspeech_avatar.enabled = enabled
        scene.collection.objects.link(other)
    rendered(scene, tmp_path)
    assert len(disc.last("avatar.render")[1]["items"]) == 1


def test_a_scene_without_an_avatar_fails_with_the_reason(blender, scene):
    with pytest.raises(RuntimeError, match="No head with an avatar is visible"):
        blender.ops.render.render()


def test_a_scene_without_a_camera_fails_with_the_reason(blender, scene, head):
    scene.camera = None
    with pytest.raises(RuntimeError, match="no camera"):
        blender.ops.render.render()


def renders(disc) -> list[dict]:
    return [params for method, params, _ in disc.requests if method == "avatar.render"]


def move(head, scene, metres):
    for frame, x in ((1, 0.0), (2, metres)):
        head.location.x = x
        head.keyframe_insert("location", index=0, frame=frame)
    scene.frame_set(1)


@pytest.mark.parametrize("position", ["START", "CENTER", "END"])
def test_a_moving_head_is_blurred_while_the_shutter_is_open(scene, head, disc, tmp_path, position):
    move(head, scene, 1.0)
    scene.render.use_motion_blur, scene.render.motion_blur_shutter = True, 0.5
    scene.render.motion_blur_position = position
    scene.frame_set(1, subframe=0.5)
    blurred = rendered(scene, tmp_path)[..., 3]
    assert scene.frame_current_final == 1.5
    seen = [params["items"][0]["matrix"][3] for params in renders(disc)]
    begin = {"START": 0.5, "CENTER": 0.25, "END": 0.0}[position]
    assert len(seen) > 3
    ease = [3 * t**2 - 2 * t**3 for t in (begin, begin + 0.5)]  # About what Blender's curve is.
    assert ease[0] - 0.1 < min(seen) < max(seen) < ease[1] + 0.1
    assert 0.05 < blurred[(blurred > 0.01) & (blurred < 0.99)].mean() < 0.95


def test_what_rests_is_rendered_once(scene, head, disc, tmp_path):
    scene.render.use_motion_blur = True
    rendered(scene, tmp_path)
    assert len(renders(disc)) == 1


def test_the_blur_of_light_on_black_is_that_of_the_light(scene, head, disc, tmp_path):
    move(head, scene, 40.0)
    scene.render.use_motion_blur = True
    scene.render.motion_blur_shutter = 1.0
    scene.render.film_transparent = True
    picture = rendered(scene, tmp_path)
    covered = picture[picture[..., 3] > 0.02]
    straight = covered[:, :3] / covered[:, 3:]
    np.testing.assert_allclose(straight, np.broadcast_to(linear(COLOR), straight.shape), atol=0.02)


def test_depth_of_field_is_the_cameras(blender, scene, head, disc, tmp_path):
    camera = scene.camera.data
    camera.dof.use_dof, camera.dof.aperture_fstop, camera.lens = True, 0.3, 50.0
    camera.dof.focus_distance = 2.0
    rendered(scene, tmp_path)
    lens = renders(disc)[-1]["lens"]
    assert lens["radius"] == pytest.approx(0.05 / 0.6)
    assert lens["focus"] == pytest.approx(2.0)
    assert 8 <= lens["samples"] <= 64
    target = blender.data.objects.new("Target", None)
    target.location = (1.0, -3.0, 0.5)
    scene.collection.objects.link(target)
    camera.dof.focus_object = target
    rendered(scene, tmp_path)
    assert renders(disc)[-1]["lens"]["focus"] == pytest.approx(3.0)
    camera.dof.focus_object = None
    camera.dof.aperture_fstop = 64.0
    rendered(scene, tmp_path)
    assert "lens" not in renders(disc)[-1]


def test_the_engines_error_names_the_head(blender, scene, head, disc, addon):
    BadInputError = addon("rendering.images").BadInputError
    disc.error = BadInputError("8 vertices do not fit the avatar.", "Bind it again.")
    with pytest.raises(RuntimeError, match=r"'Anna': 8 vertices do not fit the avatar\. Bind"):
        blender.ops.render.render()


def test_an_engine_that_ends_in_the_middle_fails_the_render(blender, scene, head, disc, addon):
    gone = addon("engine_link.client").EngineGoneError
    disc.error = gone("The engine ended with exit code -9.", "Try again.")
    with pytest.raises(RuntimeError, match=r"The engine ended with exit code -9\. Try again\."):
        blender.ops.render.render()


def test_a_picture_of_the_wrong_size_fails_the_render(blender, scene, head, disc, monkeypatch):
    wrong = np.zeros((3, 3, 3), np.float32)
    monkeypatch.setattr(disc, "_render", lambda *_: (wrong, wrong[..., 0], wrong[..., 0]))
    with pytest.raises(RuntimeError, match="no rgb of shape"):
        blender.ops.render.render()


def test_cancelling_the_render_cancels_the_request(addon):
    class Endless(Answer):
        cancelled = False

        def cancel(self):
            self.cancelled = True

    endless = Endless()
    endless.done = False
    # Blender's own methods cannot be replaced on a render engine, so one is stood in for.
    stand_in = SimpleNamespace(test_break=lambda: True)
    engine = addon("rendering.engine")
    with pytest.raises(engine.CancelledError):
        engine.GaussianSpeechRenderEngine._wait(stand_in, endless)
    assert endless.cancelled


def test_blenders_own_camera_and_output_panels_show(blender, addon):
    for name in ("DATA_PT_lens", "RENDER_PT_format", "RENDER_PT_output"):
        assert "GAUSSIANSPEECH" in getattr(blender.types, name).COMPAT_ENGINES


def test_unregistering_takes_the_engine_from_every_panel(blender, addon):
    compat = addon("rendering.panel_compat")
    compat.hide_panels()
    try:
        assert not [
            panel
            for panel in blender.types.Panel.__subclasses__()
            if "GAUSSIANSPEECH" in getattr(panel, "COMPAT_ENGINES", ())
        ]
    finally:
        compat.show_panels()
