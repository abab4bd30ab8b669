# SPDX-License-Identifier: GPL-3.0-or-later
"""The camera's pixels against Blender's own projection."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

POINTS = np.random.default_rng(7).uniform([-0.4, -0.4, -6.0], [0.4, 0.4, -2.0], (20, 3))
"""Points in front of a camera, in its own OpenGL axes."""


@pytest.fixture
def camera_module(addon):
    return addon("rendering.camera")


@pytest.fixture
def pixel_error(camera_module):
    """The largest distance in pixels between Blender's projection of the points and ours."""
    from functools import partial

    return partial(worst_distance, camera_module)


@pytest.fixture
def scene(blender):
    from mathutils import Euler, Matrix, Vector

    scene = blender.context.scene
    data = blender.data.cameras.new("Camera")
    camera = blender.data.objects.new("Camera", data)
    scene.collection.objects.link(camera)
    scene.camera = camera
    camera.matrix_world = Matrix.LocRotScale(
        Vector((0.3, -2.0, 1.6)), Euler((1.4, 0.2, -0.5)), Vector((2.0, 2.0, 2.0))
    )
    return scene


def worst_distance(camera_module, scene) -> float:
    import bpy
    from bpy_extras.object_utils import world_to_camera_view
    from mathutils import Vector

    camera = scene.camera
    bpy.context.view_layer.update()
    view = camera_module.camera_view(camera.matrix_world, camera.data, scene.render)
    width, height = camera_module.film_size(scene.render)
    crop = camera_module.render_region(scene.render)
    worst = 0.0
    for point in POINTS:
        world = camera.matrix_world.normalized() @ Vector(point)
        oracle = world_to_camera_view(scene, camera, world)
        expected = (oracle.x * width - crop.x, crop.y + crop.height - oracle.y * height)
        x, y, z, _ = view.viewmat @ np.array([*world, 1.0])
        flat = np.array([x, y, 1.0]) if view.orthographic else np.array([x / z, y / z, 1.0])
        u, v, _ = view.K @ flat
        assert z == pytest.approx(oracle.z, abs=1e-5)
        worst = max(worst, abs(u - expected[0]), abs(v - expected[1]))
    return worst


@pytest.mark.parametrize(
    ("kind", "fit", "size"),
    list(
        itertools.product(
            ("PERSP", "ORTHO"), ("AUTO", "HORIZONTAL", "VERTICAL"), ((640, 480), (480, 640))
        )
    ),
)
def test_projection_agrees_with_blender(scene, kind, fit, size, pixel_error):
    camera = scene.camera.data
    camera.type, camera.sensor_fit, camera.ortho_scale = kind, fit, 0.8
    camera.lens, camera.sensor_width, camera.sensor_height = 85.0, 36.0, 20.0
    scene.render.resolution_x, scene.render.resolution_y = size
    assert pixel_error(scene) < 0.01


def test_projection_honours_the_shift(scene, pixel_error):
    scene.camera.data.shift_x, scene.camera.data.shift_y = 0.21, -0.33
    assert pixel_error(scene) < 0.01


@pytest.mark.parametrize("size", [(640, 480), (480, 500)])
@pytest.mark.parametrize("fit", ["AUTO", "HORIZONTAL", "VERTICAL"])
def test_projection_honours_the_pixel_aspect(scene, fit, size, pixel_error):
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.pixel_aspect_x, scene.render.pixel_aspect_y = 1.0, 1.5
    scene.camera.data.sensor_fit = fit
    scene.camera.data.shift_x, scene.camera.data.shift_y = 0.1, 0.15
    assert pixel_error(scene) < 0.01


def test_projection_honours_the_resolution_percentage(scene, pixel_error, camera_module):
    scene.render.resolution_percentage = 37
    assert camera_module.film_size(scene.render) == (710, 399)
    scene.render.resolution_percentage = 35  # Divides both sides: the oracle ignores rounding.
    assert pixel_error(scene) < 0.01


def test_projection_honours_the_render_region(scene, pixel_error, camera_module):
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 400, 300, 100
    render.use_border, render.use_crop_to_border = True, True
    render.border_min_x, render.border_max_x = 0.25, 0.75
    render.border_min_y, render.border_max_y = 0.5, 0.9
    crop = camera_module.render_region(render)
    assert (crop.x, crop.y, crop.width, crop.height) == (100, 150, 200, 120)
    assert pixel_error(scene) < 0.01


def test_clip_range_is_the_cameras(scene, camera_module):
    scene.camera.data.clip_start, scene.camera.data.clip_end = 0.25, 40.0
    view = camera_module.camera_view(
        scene.camera.matrix_world, scene.camera.data, scene.render
    ).body()
    assert (view["near"], view["far"]) == (0.25, 40.0)


def test_a_panoramic_camera_is_refused_with_its_name(scene, camera_module):
    scene.camera.data.type = "PANO"
    with pytest.raises(Exception, match="'Camera' is of type Pano"):
        camera_module.camera_view(scene.camera.matrix_world, scene.camera.data, scene.render)


def test_a_smaller_view_keeps_its_framing(scene, camera_module):
    view = camera_module.camera_view(scene.camera.matrix_world, scene.camera.data, scene.render)
    half = view.scaled(0.5)
    assert (half.width, half.height) == (960, 540)
    np.testing.assert_allclose(half.K[:2], view.K[:2] / 2)


@pytest.mark.parametrize("orthographic", [False, True])
def test_viewport_projection_agrees_with_opengl(blender, orthographic, camera_module):
    from mathutils import Euler, Matrix, Vector

    width, height = 640, 480
    view = Matrix.LocRotScale(Vector((0.1, 0.2, -3.0)), Euler((0.4, 0.1, 0.3)), None)
    window = np.zeros((4, 4))
    window[0, 0], window[1, 1], window[2, 2] = 1.7, 2.2, -1.01
    if orthographic:
        window[0, 3], window[1, 3], window[3, 3] = 0.13, -0.21, 1.0
    else:
        window[0, 2], window[1, 2], window[2, 3], window[3, 2] = 0.13, -0.21, -0.02, -1.0
    camera = camera_module.region_view(view, window, width, height, (0.1, 100.0))
    for point in POINTS / 6:
        clip = window @ np.array(view) @ np.array([*point, 1.0])
        ndc = clip[:2] / clip[3]
        expected = ((ndc[0] + 1) / 2 * width, (1 - ndc[1]) / 2 * height)
        x, y, z, _ = camera.viewmat @ np.array([*point, 1.0])
        flat = np.array([x, y, 1.0]) if orthographic else np.array([x / z, y / z, 1.0])
        np.testing.assert_allclose((camera.K @ flat)[:2], expected, atol=1e-6)
