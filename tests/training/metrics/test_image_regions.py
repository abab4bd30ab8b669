# SPDX-License-Identifier: GPL-3.0-or-later
"""Region masks against rays, and on the default head by what one sees there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.splatting.camera import Camera, look_at
from training.metrics.image_regions import REGIONS, WRINKLES, region_masks, visible_faces


@pytest.fixture(scope="module")
def camera(head):
    centre = (head.template.max(0) + head.template.min(0)) / 2
    eye = centre + np.array([0.1, 0.05, 0.8], np.float32)
    return look_at(eye, centre, width=140, height=200, vertical_fov=0.5)


def posed(head, **weights):
    expression = np.zeros(len(head.expression_names), np.float32)
    for name, value in weights.items():
        expression[head.expression_index(name)] = value
    return head.deform(expression)


def nearest_by_rays(vertices, faces, camera):
    """Möller–Trumbore for every pixel and triangle, float64."""
    rotation = camera.viewmat[:3, :3].astype(np.float64)
    corners = (vertices.astype(np.float64) @ rotation.T + camera.viewmat[:3, 3])[faces]
    shown = np.full((camera.height, camera.width), -1)
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    for y in range(camera.height):
        for x in range(camera.width):
            pixel = np.array([x + 0.5, y + 0.5, 1.0])
            ray, origin = np.linalg.solve(camera.K.astype(np.float64), pixel), np.zeros(3)
            if camera.orthographic:
                flat = np.linalg.solve(camera.K[:2, :2], pixel[:2] - camera.K[:2, 2])
                ray, origin = np.array([0.0, 0.0, 1.0]), np.array([*flat, 0.0])
            p = np.cross(ray, second)
            determinant = (first * p).sum(1)
            offset = origin - corners[:, 0]
            u = (offset * p).sum(1) / determinant
            q = np.cross(offset, first)
            v = (q @ ray) / determinant
            t = (q * second).sum(1) / determinant
            hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > camera.near)
            if hit.any():
                shown[y, x] = np.where(hit, t, np.inf).argmin()
    return shown


@pytest.mark.parametrize("orthographic", [False, True])
def test_depth_buffer_agrees_with_rays(orthographic):
    chance = np.random.default_rng(3)
    vertices = chance.uniform(-0.5, 0.5, (60, 3)).astype(np.float32)
    faces = chance.permutation(60).reshape(20, 3).astype(np.int32)
    camera = look_at(
        np.array([0.2, 0.1, 2.0], np.float32),
        np.zeros(3, np.float32),
        width=40,
        height=30,
        vertical_fov=0.6,
    )
    if orthographic:
        K = np.array([[30, 0, 20], [0, 30, 15], [0, 0, 1]], np.float32)
        camera = replace(camera, K=K, orthographic=True)
    expected = nearest_by_rays(vertices, faces, camera)
    assert (expected >= 0).sum() > 100
    np.testing.assert_array_equal(visible_faces(vertices, faces, camera), expected)


def test_triangles_at_or_behind_the_camera_are_left_out():
    vertices = np.array([[-1, -1, 1], [1, -1, 1], [0, 1, -1]], np.float32)
    camera = Camera(np.eye(4, dtype=np.float32), np.eye(3, dtype=np.float32) * 8, 16, 16)
    shown = visible_faces(vertices, np.array([[0, 1, 2]], np.int32), camera)
    assert (shown == -1).all()


def masks_of(head, camera, vertices, alpha=None, picture=None):
    shape = (camera.height, camera.width)
    alpha = np.ones(shape, np.float32) if alpha is None else alpha
    if picture is None:
        picture = np.random.default_rng(0).random((*shape, 3)).astype(np.float32)
    return region_masks(head, vertices, camera, alpha, picture)


def test_mouth_shows_its_inside_only_when_it_is_open(head, camera):
    shut = masks_of(head, camera, posed(head))["mouth interior"].sum()
    opened = masks_of(head, camera, posed(head, jawOpen=0.8))["mouth interior"].sum()
    assert shut == 0
    assert opened > 100


def test_closed_lids_hide_the_eyes(head, camera):
    seen = masks_of(head, camera, posed(head))["eyes"].sum()
    closed = masks_of(head, camera, posed(head, eyeBlinkLeft=1, eyeBlinkRight=1))["eyes"].sum()
    assert closed < 0.2 * seen


def test_regions_are_apart(head, camera):
    masks = masks_of(head, camera, posed(head, jawOpen=0.5))
    together = sum(masks[name].astype(int) for name in ("mouth interior", "eyes", "hair", "skin"))
    assert together.max() == 1


def test_nothing_lies_beside_the_person(head, camera):
    alpha = np.zeros((camera.height, camera.width), np.float32)
    alpha[: camera.height // 2] = 1
    for mask in masks_of(head, camera, posed(head, jawOpen=0.8), alpha).values():
        assert not mask[camera.height // 2 :].any()


def test_hair_reaches_beyond_the_mesh_above_the_scalp_and_not_below_the_chin(head, camera):
    vertices = posed(head)
    covered = visible_faces(vertices, head.faces, camera) >= 0
    masks = masks_of(head, camera, vertices)
    beyond = masks["hair"] & ~covered
    rows = np.flatnonzero(covered.any(1))
    assert beyond[: rows[0]].any()
    assert not beyond[rows[-1] :].any()


def test_wrinkles_are_where_the_true_skin_is_furrowed(head, camera):
    vertices = posed(head)
    picture = np.full((camera.height, camera.width, 3), 0.6, np.float32)
    skin = masks_of(head, camera, vertices, picture=picture)["skin"]
    row = int(np.flatnonzero(skin.any(1))[8])
    picture[row] = 0.3
    wrinkles = masks_of(head, camera, vertices, picture=picture)[WRINKLES]
    line = np.zeros_like(skin)
    line[row - 2 : row + 3] = True
    assert (wrinkles & line & skin).sum() >= skin[row].sum()
    assert wrinkles.sum() <= 0.11 * skin.sum()


def test_a_head_without_names_has_no_regions(head, camera):
    masks = masks_of(replace(head, regions={}), camera, posed(head))
    assert set(masks) == {*REGIONS, WRINKLES}
    assert not any(mask.any() for mask in masks.values())
