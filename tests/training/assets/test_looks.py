# SPDX-License-Identifier: GPL-3.0-or-later
"""The default avatar in other looks."""

from dataclasses import replace

import numpy as np
import pytest

from engine.core.srgb import linear
from engine.splatting.camera import Camera
from training.assets.landmark_map import _matrix, camera_matrix
from training.assets.look_pictures import LookPictures
from training.assets.looks import Lamp, brightness, random_look

SIZE = 96
WHITE = np.ones(3)


@pytest.fixture(scope="module")
def pictures(head):
    return LookPictures(head, Camera(np.eye(4, dtype=np.float32), camera_matrix(SIZE), SIZE, SIZE))


@pytest.fixture
def plain():
    """A look in light from everywhere, before black, taken by a camera without faults."""
    return replace(
        random_look(np.random.default_rng(0), SIZE),
        skin=np.array([0.5, 0.3, 0.2]),
        hair=np.array([0.03, 0.02, 0.02]),
        bald=False,
        beard=0.0,
        moustache=0.0,
        brows=1.0,
        lips=1.0,
        lip_hue=WHITE,
        fill=WHITE,
        lamps=(),
        exposure=0.6,
        balance=WHITE,
        gamma=1.0,
        contrast=1.0,
        blur=0.0,
        sharpening=0.0,
        noise=0.0,
        quality=None,
        background=np.zeros((SIZE, SIZE, 3), np.float32),
    )


def taken(pictures, head, look, turn=0.0):
    weights = np.zeros(len(head.expression_names), np.float32)
    matrix = _matrix(head, turn, 0, 0)
    shown = pictures.take(look, head.template, weights, matrix, np.random.default_rng(0))
    return linear(shown / 255.0), matrix


def shown_at(head, image, matrix, region):
    """(N, 3) the pixels of a region's vertices, which face the camera."""
    local = head.template[head.regions[region]] @ matrix[:3, :3].T + matrix[:3, 3]
    flat = local @ camera_matrix(SIZE).T
    column, row = (flat[:, :2] / flat[:, 2:]).astype(int).T
    return image[row, column]


def test_the_face_has_the_hue_of_the_skin(pictures, head, plain):
    for skin in (plain.skin, np.array([0.10, 0.05, 0.03])):
        image, matrix = taken(pictures, head, replace(plain, skin=skin))
        found = np.median(shown_at(head, image, matrix, "nose"), axis=0)
        assert found / found.sum() == pytest.approx(skin / skin.sum(), abs=0.04)


def test_painted_lips_are_redder_than_the_skin_and_pale_ones_are_not(pictures, head, plain):
    def red(**changes):
        image, matrix = taken(pictures, head, replace(plain, **changes))
        lips, nose = (shown_at(head, image, matrix, name).mean(axis=0) for name in ("lips", "nose"))
        return (lips[0] / lips[1]) / (nose[0] / nose[1])

    assert red(lips=0.3) < red() < red(lip_hue=np.array([1.1, 0.4, 0.5]))


def test_fair_hair_is_brighter_than_dark_hair_and_a_bald_head_has_the_colour_of_skin(
    pictures, head, plain
):
    def over_the_forehead(**changes):
        image, _ = taken(pictures, head, replace(plain, **changes))
        top = np.flatnonzero(image[:, SIZE // 2].sum(axis=1) > 0.01)[0]
        return image[top + 3 : top + 8, SIZE // 2 - 4 : SIZE // 2 + 4].mean(axis=(0, 1))

    dark, fair = over_the_forehead(), over_the_forehead(hair=np.array([0.6, 0.5, 0.3]))
    bald = over_the_forehead(bald=True)
    assert brightness(dark) < 0.5 * brightness(fair)
    assert bald / bald.sum() == pytest.approx(plain.skin / plain.skin.sum(), abs=0.06)


def test_light_stands_still_while_the_head_turns(pictures, head, plain):
    lamp = Lamp(np.array([1.0, 0.0, 0.0]), 4.0, WHITE * 2)
    look = replace(plain, fill=0.2 * WHITE, lamps=(lamp,))
    for turn in (-20.0, 20.0):
        image, matrix = taken(pictures, head, look, turn)
        middle = int(matrix[0, 3] / matrix[2, 3] * camera_matrix(SIZE)[0, 0] + SIZE / 2)
        shown = shown_at(head, image, matrix, "cheeks").mean(axis=1)
        local = head.template[head.regions["cheeks"]] @ matrix[:3, :3].T + matrix[:3, 3]
        right = local[:, 0] / local[:, 2] * camera_matrix(SIZE)[0, 0] + SIZE / 2 > middle
        assert shown[right].mean() > 1.4 * shown[~right].mean()


def test_a_beard_darkens_the_chin_alone(pictures, head, plain):
    plainly, matrix = taken(pictures, head, plain)
    bearded, _ = taken(pictures, head, replace(plain, beard=0.9))
    x, y, z = head.template.T
    chin = head.template[(np.abs(x) < 0.01) & (y < -0.065) & (y > -0.08) & (z > 0.09)]
    flat = (chin @ matrix[:3, :3].T + matrix[:3, 3]) @ camera_matrix(SIZE).T
    column, row = (flat[:, :2] / flat[:, 2:]).astype(int).T
    assert bearded[row, column].mean() < 0.7 * plainly[row, column].mean()
    nose = [shown_at(head, image, matrix, "nose").mean() for image in (plainly, bearded)]
    assert nose[1] > 0.9 * nose[0]


def test_a_camera_blurs_compresses_and_adds_noise(plain):
    rng = np.random.default_rng(3)
    picture = rng.random((SIZE, SIZE, 3)).astype(np.float32)
    sharp = plain.photographed(picture, rng)
    np.testing.assert_array_equal(sharp, (picture * 255 + 0.5).astype(np.uint8))
    assert replace(plain, blur=1.5).photographed(picture, rng).std() < 0.5 * sharp.std()
    grey = np.full((SIZE, SIZE, 3), 0.5, np.float32)
    assert replace(plain, noise=8.0).photographed(grey, rng).std() == pytest.approx(8, rel=0.05)
    packed = replace(plain, quality=25).photographed(picture, rng)
    assert np.abs(packed.astype(float) - sharp).mean() > 10


def test_a_seed_has_one_look_and_people_differ():
    first, again, other = (random_look(np.random.default_rng(seed), SIZE) for seed in (5, 5, 6))
    np.testing.assert_array_equal(first.background, again.background)
    np.testing.assert_array_equal(first.skin, again.skin)
    assert np.abs(first.skin - other.skin).max() > 0.02
