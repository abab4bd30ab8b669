# SPDX-License-Identifier: GPL-3.0-or-later
"""Shape keys reach the colour network of an avatar: in F12 and in the viewport, real engine."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.waiting import PATIENCE

SHUT, OPEN = [0.2, 0.2, 0.2], [0.8, 0.2, 0.2]
"""Display-referred sRGB of the avatar below with its jaw shut and open."""


@pytest.fixture(scope="module")
def blusher(engine_file):
    """An avatar of the default head that turns from grey to red as the jaw opens."""
    return engine_file("blusher") / "blusher.safetensors"


@pytest.fixture
def jaw(engine_ready, blusher, addon):
    """The shape key of the jaw, on a head with the avatar before a camera."""
    engine_ready.ops.gaussianspeech.add_head(with_avatar=False)
    head, scene = engine_ready.context.object, engine_ready.context.scene
    engine_ready.ops.gaussianspeech.bind_avatar(avatar=str(blusher))
    addon("demo_scene").set_up(scene, head)
    engine_ready.ops.gaussianspeech.render_avatars()
    scene.render.resolution_x, scene.render.resolution_y = 48, 60
    scene.render.film_transparent = True
    scene.view_settings.view_transform = "Standard"
    return head.data.shape_keys.key_blocks["jawOpen"]


def test_f12_of_an_animation_shows_the_colours_of_each_frame(engine_ready, jaw, tmp_path):
    scene = engine_ready.context.scene
    for frame, value in ((1, 0.0), (2, 1.0)):
        jaw.value = value
        jaw.keyframe_insert("value", frame=frame)
    scene.frame_start, scene.frame_end = 1, 2
    scene.render.filepath = str(tmp_path / "frame-")
    engine_ready.ops.render.render(animation=True)
    for frame, color in ((1, SHUT), (2, OPEN)):
        image = engine_ready.data.images.load(str(tmp_path / f"frame-{frame:04d}.png"))
        pixels = np.array(image.pixels[:]).reshape(60, 48, 4)
        np.testing.assert_allclose(pixels[36, 24], [*color, 1], atol=0.02)


def test_the_viewport_shows_the_colours_of_the_keys_as_they_are(engine_ready, jaw, addon):
    module, cameras = addon("rendering.viewport"), addon("rendering.camera")
    scene = engine_ready.context.scene
    camera = cameras.camera_view(scene.camera.matrix_world, scene.camera.data, scene.render)
    viewport = module.Viewport(SimpleNamespace(tag_redraw=lambda: None))
    for value, color in ((0.0, SHUT), (1.0, OPEN)):
        jaw.value = value
        viewport.update(engine_ready.context.evaluated_depsgraph_get())
        viewport._ask(
            engine_ready.context, module.RenderRequest(viewport._instances, camera, preview=False)
        )
        viewport._rendering.wait(PATIENCE)
        viewport._poll()
        assert viewport.error == ""
        _, pixels = viewport._result
        linear = ((np.array(color) + 0.055) / 1.055) ** 2.4
        middle = np.reshape(pixels, (60, 48, 4))[36, 24]
        np.testing.assert_allclose(middle, [*linear, 1], atol=0.02)
    module.unregister()
