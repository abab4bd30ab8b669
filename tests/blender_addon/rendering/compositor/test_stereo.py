# SPDX-License-Identifier: GPL-3.0-or-later
"""Stereo pairs, and cameras that are told apart by suffixes: each view has its own avatars."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.rendering.compositor.composited_scene import HEIGHT, glowing_cube
from tests.blender_addon.rendering.exr_file import channels

ROW = HEIGHT // 2
BLUE = (0, 0, 1)


@pytest.fixture
def head(blender, scene):
    scene.render.use_multiview = True
    file = scene.render.image_settings
    file.file_format, file.color_mode, file.color_depth = "OPEN_EXR", "RGBA", "32"
    file.exr_codec = "ZIP"
    scene.render.image_settings.views_format = "INDIVIDUAL"
    camera = scene.camera.data
    camera.stereo.convergence_distance, camera.stereo.interocular_distance = 4.0, 0.6
    camera.stereo.pivot = "CENTER"
    return blender.data.objects["Head"]


def views(blender, scene, tmp_path):
    """Both pictures."""
    scene.render.filepath = str(tmp_path / "view")
    blender.ops.render.render(write_still=True)
    found = []
    for side in "LR":
        parts = channels(tmp_path / f"view_{side}.exr")
        found.append(np.stack([parts[name] for name in "RGBA"], axis=2))
    return found


def middle(picture, channel):
    """Column in the middle of what has a colour in the middle row."""
    columns = np.flatnonzero(picture[ROW, :, channel] > 0.2)
    return columns.mean()


@pytest.mark.parametrize("convergence", ["OFFAXIS", "PARALLEL", "TOE"])
def test_each_eye_sees_the_avatar_where_it_sees_the_head(
    blender, scene, head, convergence, tmp_path
):
    scene.camera.data.stereo.convergence_mode = convergence
    meshes = [middle(picture, 1) for picture in views(blender, scene, tmp_path)]
    assert abs(meshes[0] - meshes[1]) > 3
    blender.ops.gaussianspeech.set_up_composite()
    avatars = [middle(picture, 0) for picture in views(blender, scene, tmp_path)]
    np.testing.assert_allclose(avatars, meshes, atol=1.0)


@pytest.mark.parametrize("occlusion", ["COVERAGE", "DEPTH"])
def test_what_stands_before_the_avatar_hides_it_from_each_eye(
    blender, scene, head, occlusion, tmp_path
):
    glowing_cube("Bar", (-0.3, -1.5, 0), BLUE).scale = (0.2, 0.2, 3)
    meshes = [picture[ROW, :, 2] > 0.5 for picture in views(blender, scene, tmp_path)]
    scene.gaussianspeech_composite.occlusion = occlusion
    blender.ops.gaussianspeech.set_up_composite()
    for picture, bar in zip(views(blender, scene, tmp_path), meshes, strict=True):
        # A pixel of its edge may fall to either side: both pictures are of a few samples.
        assert ((picture[ROW, :, 2] > 0.5) != bar).sum() <= 1
        beside = ~bar & (picture[ROW, :, 0] > 0.2)
        assert beside.sum() > 10


def test_cameras_are_told_apart_by_their_suffixes(blender, scene, head, tmp_path):
    scene.render.views_format = "MULTIVIEW"
    left = scene.camera
    left.name = "Camera_L"
    right = left.copy()
    right.name = "Camera_R"
    scene.collection.objects.link(right)
    left.location.x, right.location.x = -0.2, 0.2
    meshes = [middle(picture, 1) for picture in views(blender, scene, tmp_path)]
    blender.ops.gaussianspeech.set_up_composite()
    avatars = [middle(picture, 0) for picture in views(blender, scene, tmp_path)]
    np.testing.assert_allclose(avatars, meshes, atol=1.0)
    assert avatars[0] - avatars[1] > 6


def test_avatars_alone_have_a_picture_for_each_eye(blender, scene, head, tmp_path):
    meshes = [middle(picture, 1) for picture in views(blender, scene, tmp_path)]
    blender.ops.gaussianspeech.render_avatars()
    avatars = [middle(picture, 0) for picture in views(blender, scene, tmp_path)]
    np.testing.assert_allclose(avatars, meshes, atol=1.0)


def test_a_view_that_is_switched_off_is_not_rendered(blender, scene, head, disc, tmp_path):
    scene.render.stereo_views["right"].use = False
    blender.ops.gaussianspeech.render_avatars()
    scene.render.filepath = str(tmp_path / "view")
    blender.ops.render.render(write_still=True)
    assert [method for method, *_ in disc.requests].count("avatar.render") == 1
