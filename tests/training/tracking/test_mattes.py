# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks of the head: without shoulders, with long hair, whichever way the head is turned."""

from contextlib import closing

import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from engine.heads.default import load_default_head
from tests.conftest import REPOSITORY
from training.tracking.mattes import FADE, ShownHead, of_the_head

SIZE, METRE = 400, 1000.0
"""Pixels of the square pictures, and of a metre in them."""


def turned(roll=0.0, nod=0.0):
    """The default head in a picture, tilted to a shoulder and nodding by degrees."""
    head = load_default_head()
    template = head.template.astype(float)
    low, high = template[:, 1].min(), template[:, 1].max()
    end = np.flatnonzero(template[:, 1] < low + 0.03 * (high - low))
    neck = template[end].mean(axis=0)
    mouth = template[[head.landmarks[name][0] for name in ("nose_tip", "chin")]]
    points = np.concatenate([template, mouth, [neck, neck - [0, FADE, 0]]])
    points = points @ Rotation.from_euler("zx", [roll, nod], degrees=True).as_matrix().T
    pixels = points[:, :2] * [METRE, -METRE] + SIZE / 2
    here, below = pixels[-2:]
    return ShownHead(pixels[:-4], head.regions["face"], pixels[-4:-2], end, below - here)


def beside(shown):
    """(H, W) height above the neck's end, and distance from its axis, metres."""
    y, x = np.mgrid[:SIZE, :SIZE]
    down = shown.down / np.linalg.norm(shown.down)
    at = np.stack([x, y], axis=-1) - shown.neck
    return -(at @ down) / METRE, np.abs(at @ [-down[1], down[0]]) / METRE


def person(shown, hair=0.0):
    """(H, W) mask of the head's own silhouette and of shoulders below its chin."""
    height, aside = beside(shown)
    mask = np.zeros((SIZE, SIZE), np.float32)
    mask[(height > 0.04) & (aside < 0.07 + hair) & (height < 0.27)] = 1
    mask[height <= 0.04] = 1
    return mask


@pytest.mark.parametrize("roll", [0.0, 25.0, -40.0])
def test_shoulders_beside_the_neck_go(roll):
    shown = turned(roll)
    height, aside = beside(shown)
    found = of_the_head(person(shown), shown)
    assert found[(height < 0.02) & (aside > 0.085)].max() == 0
    assert found[height < -FADE].max() == 0
    assert found[(height > 0.02) & (height < 0.2) & (aside < 0.04)].min() == 1


def test_long_hair_stays_beside_the_neck():
    shown = turned()
    height, aside = beside(shown)
    found = of_the_head(person(shown, hair=0.06), shown)
    assert found[(height > 0.01) & (height < 0.2) & (aside < 0.11)].min() > 0.9
    assert found[(height < 0.03) & (aside > 0.14)].max() == 0


def test_shoulders_that_reach_the_chin_are_not_taken_for_hair():
    shown = turned()
    height, aside = beside(shown)
    mask = person(shown)
    mask[height <= 0.065] = 1
    found = of_the_head(mask, shown)
    assert found[(height < 0.02) & (aside > 0.085)].max() == 0


@pytest.mark.parametrize("nod", [-60.0, 60.0, 80.0])
def test_a_face_that_looks_far_up_or_down_stays(nod):
    shown = turned(nod=nod)
    height, _ = beside(shown)
    found = of_the_head(np.ones((SIZE, SIZE), np.float32), shown)
    column, row = shown.mesh[shown.face].astype(int).T
    above = height[row, column] > 0.01
    assert found[row, column][above].min() > 0.5


def test_a_neck_that_points_at_the_camera_cuts_nothing():
    shown = turned()
    mask = person(shown)
    found = of_the_head(mask, shown._replace(down=np.zeros(2)))
    assert found[mask == 1].min() == 1


def test_a_segmenter_remembers_no_picture(mediapipe):
    """One is enough for the films of several cameras, and for a film with cuts."""
    from training.tracking.mediapipe_faces import PersonSegmenter

    with Image.open(REPOSITORY / "docs" / "images" / "demo.png") as demo:
        shown = np.asarray(demo.convert("RGB"))
    moved = np.roll(shown, shown.shape[1] // 8, axis=1)
    with closing(PersonSegmenter()) as segmenter:
        first = segmenter.segment(moved)
        segmenter.segment(shown)
        again = segmenter.segment(moved)
    assert first.mean() > 0.2
    np.testing.assert_array_equal(again, first)
