# SPDX-License-Identifier: GPL-3.0-or-later
"""Masks that the user gives, as other programs save them, and those that show no person."""

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import BadInputError
from training.tracking.given_masks import GivenMasks

WHITE = np.zeros((40, 30), np.uint8)
WHITE[10:30, 8:22] = 255
"""A person, (H, W)."""
INSIDE = np.full((478, 2), (15.0, 20.0), np.float32)


def cut_out():
    """The person on nothing, in colours that are darker than the background's."""
    colour = np.full((40, 30, 3), 200, np.uint8)
    colour[WHITE > 0] = 40
    return Image.fromarray(np.dstack([colour, WHITE]))


def palette():
    picture = Image.fromarray(WHITE // 255)
    picture.putpalette([0, 0, 0, 255, 255, 255])
    return picture


@pytest.mark.parametrize(
    "picture",
    [
        Image.fromarray(WHITE),
        Image.fromarray(np.dstack([WHITE] * 3)),
        Image.fromarray(WHITE // 255),
        Image.fromarray(WHITE > 0),
        Image.fromarray(WHITE.astype(np.uint16) * 257),
        Image.fromarray(np.dstack([WHITE] * 3 + [np.full_like(WHITE, 255)])),
        palette(),
        cut_out(),
    ],
)
def test_what_programs_save_as_a_mask_is_one(tmp_path, picture):
    picture.save(tmp_path / "0.png")
    mask = GivenMasks([(tmp_path, 1)]).mask(0, 30, 40)
    np.testing.assert_array_equal(mask, WHITE / 255)


def test_soft_masks_of_sixteen_bits_stay_soft(tmp_path):
    soft = np.tile(np.linspace(0, 65535, 30).astype(np.uint16), (40, 1))
    Image.fromarray(soft).save(tmp_path / "0.png")
    mask = GivenMasks([(tmp_path, 1)]).mask(0, 30, 40)
    np.testing.assert_allclose(mask, soft / 65535, atol=0.003)


def masks(folder, *levels):
    for number, picture in enumerate(levels):
        Image.fromarray(picture).save(folder / f"{number}.png")
    return GivenMasks([(folder, len(levels))])


def test_masks_that_are_white_round_the_person_or_nowhere_are_refused(tmp_path):
    given = masks(tmp_path, WHITE, 255 - WHITE, WHITE, 0 * WHITE)
    points = np.tile(INSIDE, (4, 1, 1))
    given.check_faces(points, np.array([0, 2]), (30, 40))
    with pytest.raises(BadInputError, match=r"2 of 4 masks .* the first .*1\.png") as caught:
        given.check_faces(points, np.arange(4), (30, 40))
    assert "white where the person is" in caught.value.hint


def test_a_mask_that_is_cut_off_is_named(tmp_path):
    given = masks(tmp_path, WHITE, WHITE)
    data = (tmp_path / "1.png").read_bytes()
    (tmp_path / "1.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInputError, match=r"1\.png cannot be read"):
        given.check_faces(np.tile(INSIDE, (2, 1, 1)), np.arange(2), (30, 40))
