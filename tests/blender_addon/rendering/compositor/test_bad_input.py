# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a GPU, a pass or an object is missing, avatars are drawn another way, or it is said why."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tests.blender_addon.rendering.compositor.composited_scene import HEIGHT, WIDTH, rendered
from tests.blender_addon.rendering.disc_engine import COLOR

MIDDLE = HEIGHT // 2, WIDTH // 2


@pytest.fixture
def overlay(addon, monkeypatch):
    module = addon("rendering.overlay")
    monkeypatch.setattr(module, "_failure", "")
    monkeypatch.setattr(module, "_unusable", "")
    return module


def refusing(overlay, monkeypatch, error):
    """Have the GPU refuse; the number of times that it was asked."""
    asked = []

    def subjects(*_args, **_options):
        asked.append(1)
        raise error

    monkeypatch.setattr(overlay, "_avatars", SimpleNamespace(subjects=subjects, clear=lambda: None))
    return asked


@pytest.mark.parametrize(
    "error",
    [
        SystemError("GPU functions for drawing are not available in background mode"),
        Exception("Shader Compile Error, see console for more details"),
    ],
)
def test_without_a_gpu_or_its_shaders_the_panel_says_so_and_it_is_asked_once(
    overlay, monkeypatch, error
):
    asked = refusing(overlay, monkeypatch, error)
    context = SimpleNamespace(space_data=None)
    for _ in range(3):
        assert not overlay.draw(context, None, print, all_heads=True)
    assert overlay.failure() == f"This GPU cannot draw avatars: {error}"
    assert len(asked) == 1
    overlay._on_new_file()
    assert overlay.failure() == ""


def test_without_a_gpu_the_own_viewport_shows_pictures_of_the_engine(overlay, addon, monkeypatch):
    viewport = addon("rendering.viewport")
    refusing(overlay, monkeypatch, SystemError("no GPU"))
    shown = viewport.Viewport(SimpleNamespace(tag_redraw=lambda: None))
    shown._instances, requests = ("Anna",), []
    monkeypatch.setattr(shown, "_ask", lambda _context, request: requests.append(request))
    context = SimpleNamespace(
        region=SimpleNamespace(width=40, height=30),
        region_data=SimpleNamespace(view_matrix=np.eye(4), window_matrix=np.eye(4)),
        space_data=SimpleNamespace(clip_start=0.01, clip_end=100.0),
    )
    shown.draw(context, SimpleNamespace(scene=None))
    assert [(request.camera.width, request.preview) for request in requests] == [(20, True)]


def test_a_shader_that_does_not_compile_is_no_error_of_the_scene(
    blender, overlay, addon, monkeypatch, add_plain_head
):
    renderer, scenes = addon("rendering.splats.renderer"), addon("rendering.splats.scene")

    def refused(*_args):
        raise Exception("Shader Compile Error")  # noqa: TRY002 - as Blender does

    monkeypatch.setattr(renderer, "_texture", lambda *_args: None)
    monkeypatch.setattr(renderer, "footprint_shader", refused)
    arrays = addon("rendering.splats.arrays").load_arrays("default")
    faces = np.zeros((int(arrays.binding.max()) + 1, 3), np.int32)
    monkeypatch.setattr(type(arrays), "corners", lambda _self, _faces: np.zeros((1, 4)))
    monkeypatch.setattr(
        scenes.SceneAvatars,
        "subjects",
        lambda *_args, **_options: renderer.GpuAvatar(arrays, faces),
    )
    assert not overlay.draw(SimpleNamespace(space_data=None), None, print, all_heads=False)
    assert overlay.failure() == "This GPU cannot draw avatars: Shader Compile Error"


def test_view_layers_without_a_depth_pass_get_it_back(blender, scene, tmp_path):
    blender.ops.gaussianspeech.set_up_composite()
    composite = scene.gaussianspeech_composite
    for layer in (*scene.view_layers, *composite.avatar_scene.view_layers):
        layer.use_pass_z = False
    np.testing.assert_allclose(rendered(scene, tmp_path)[MIDDLE], COLOR, atol=0.01)


@pytest.mark.parametrize("occlusion", ["DEPTH", "COVERAGE"])
@pytest.mark.parametrize("place", [(50, 0, 0), (0, -9, 0)])
def test_a_head_that_leaves_the_frame_leaves_the_scene_as_it_is(
    blender,
    scene,
    tmp_path,
    occlusion,
    place,
):
    head = blender.data.objects["Head"]
    head.gaussianspeech_avatar.source = str(tmp_path / "avatar.ply")
    head.location = place
    alone = rendered(scene, tmp_path, "exr")
    head.gaussianspeech_light.enabled = True
    scene.gaussianspeech_composite.occlusion = occlusion
    scene.render.use_motion_blur = scene.camera.data.dof.use_dof = True
    blender.ops.gaussianspeech.set_up_composite()
    np.testing.assert_allclose(rendered(scene, tmp_path, "exr"), alone, atol=0.02)
    assert not blender.context.window_manager.gaussianspeech_status.is_error
