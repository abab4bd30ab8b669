# SPDX-License-Identifier: GPL-3.0-or-later
"""F12 with the GaussianSpeech engine: what the engine is asked, and what its answer becomes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.blender_addon.disc_engine import COLOR, Answer, DiscEngine


@pytest.fixture
def disc(addon, monkeypatch):
    engine = DiscEngine()
    monkeypatch.setattr(addon("rendering.engine"), "get_engine", lambda _context: engine)
    return engine


@pytest.fixture
def scene(blender, disc):
    scene = blender.context.scene
    scene.render.engine = "GAUSSIANSPEECH"
    scene.render.film_transparent = True
    scene.render.resolution_x, scene.render.resolution_y = 60, 40
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.camera = blender.data.objects.new("Camera", blender.data.cameras.new("Camera"))
    scene.camera.location, scene.camera.rotation_euler = (0, -6, 0), (np.pi / 2, 0, 0)
    scene.collection.objects.link(scene.camera)
    return scene


@pytest.fixture
def head(blender, scene):
    blender.ops.mesh.primitive_cube_add(size=1)
    head = blender.context.object
    head.name = "Anna"
    known = head.gaussianspeech_head
    known.id, known.source, known.vertex_count = "default", "default", 8
    head.gaussianspeech_avatar.source = "default"
    return head


def rendered(scene, tmp_path) -> np.ndarray:
    import bpy

    scene.render.filepath = str(tmp_path / "still.exr")
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    width, height = image.size
    return np.array(image.pixels[:]).reshape(height, width, 4)


def linear(srgb) -> np.ndarray:
    return ((np.asarray(srgb) + 0.055) / 1.055) ** 2.4


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


def test_every_frame_of_an_animation_is_rendered_at_its_own_pose(
    blender, scene, head, disc, tmp_path
):
    head.keyframe_insert("location", frame=1)
    head.location.x = 1.0
    head.keyframe_insert("location", frame=3)
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.filepath = str(tmp_path / "frame-")
    blender.ops.render.render(animation=True)
    renders = [params for method, params, _ in disc.requests if method == "avatar.render"]
    assert [round(params["items"][0]["matrix"][3], 3) for params in renders] == [0.0, 0.5, 1.0]
    assert len(list(tmp_path.glob("frame-*.exr"))) == 3


def test_animated_shape_keys_drive_vertices_and_expression(scene, head, disc, tmp_path):
    head.shape_key_add(name="Basis")
    key = head.shape_key_add(name="jawOpen")
    for point in key.data:
        point.co.z -= 1.0
    key.value = 0.0
    key.keyframe_insert("value", frame=1)
    key.value = 1.0
    key.keyframe_insert("value", frame=11)
    scene.frame_set(6)
    rendered(scene, tmp_path)
    _, _, arrays = disc.last("avatar.render")
    np.testing.assert_allclose(arrays["expression/0"], [0.5, 0.0], atol=1e-6)
    # Head space has +Y up: the mean height of the vertices fell by half a metre.
    np.testing.assert_allclose(arrays["vertices/0"].mean(0), [0, -0.5, 0], atol=1e-6)


def test_a_muted_shape_key_is_at_rest(scene, head, disc, tmp_path):
    head.shape_key_add(name="Basis")
    key = head.shape_key_add(name="jawOpen")
    key.value, key.mute = 1.0, True
    rendered(scene, tmp_path)
    assert disc.last("avatar.render")[2]["expression/0"].tolist() == [0, 0]


def test_a_head_without_expression_keys_sends_none(scene, head, disc, tmp_path):
    rendered(scene, tmp_path)
    assert set(disc.last("avatar.render")[2]) == {"vertices/0"}


def test_the_matrix_takes_head_space_to_the_world(scene, head, disc, tmp_path):
    head.location = (0.2, 0.3, 0.4)
    rendered(scene, tmp_path)
    matrix = np.reshape(disc.last("avatar.render")[1]["items"][0]["matrix"], (4, 4))
    # The head's forward axis, +Z in head space, is -Y in Blender.
    np.testing.assert_allclose(matrix @ [0, 0, 1, 1], [0.2, -0.7, 0.4, 1], atol=1e-6)


def test_instances_of_a_head_are_drawn_where_they_stand(blender, scene, head, disc, tmp_path):
    cast = blender.data.collections.new("Cast")
    cast.objects.link(head)
    scene.collection.objects.unlink(head)
    for x in (-1.0, 1.0):
        empty = blender.data.objects.new("Instance", None)
        empty.instance_type, empty.instance_collection = "COLLECTION", cast
        empty.location.x = x
        scene.collection.objects.link(empty)
    rendered(scene, tmp_path)
    items = disc.last("avatar.render")[1]["items"]
    assert sorted(item["matrix"][3] for item in items) == [-1.0, 1.0]


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


def test_a_modifier_that_adds_vertices_fails_with_the_objects_name(blender, scene, head):
    head.modifiers.new("Subdivision", "SUBSURF").render_levels = 1
    with pytest.raises(RuntimeError, match="'Anna' has 26 vertices after its modifiers"):
        blender.ops.render.render()


def test_a_deforming_modifier_reaches_the_avatar(scene, head, disc, tmp_path):
    modifier = head.modifiers.new("Cast", "CAST")
    modifier.factor, modifier.use_radius_as_size, modifier.size = 1.0, False, 3.0
    rendered(scene, tmp_path)
    radii = np.linalg.norm(disc.last("avatar.render")[2]["vertices/0"], axis=1)
    np.testing.assert_allclose(radii, 3.0, atol=1e-3)


def test_the_engines_error_names_the_head(blender, scene, head, disc, addon):
    BadInputError = addon("rendering.picture").BadInputError
    disc.error = BadInputError("8 vertices do not fit the avatar.", "Bind it again.")
    with pytest.raises(RuntimeError, match=r"'Anna': 8 vertices do not fit the avatar\. Bind"):
        blender.ops.render.render()


def test_an_engine_that_ends_in_the_middle_fails_the_render(blender, scene, head, disc, addon):
    gone = addon("engine_client").EngineGoneError
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
