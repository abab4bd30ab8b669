# SPDX-License-Identifier: GPL-3.0-or-later
"""Furrows in pictures, compression on meshes."""

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.motion.model.wrinkles import REGIONS, RidgeDetector, SkinTension


def _picture(value=0.7):
    return torch.full((1, 1, 48, 48), value)


def test_an_even_picture_has_no_furrows():
    assert RidgeDetector()(_picture()).max() < 1e-4


def test_a_slope_of_brightness_has_no_furrows():
    slope = torch.linspace(0.0, 1.0, 48).expand(1, 1, 48, 48)
    assert RidgeDetector((2.0,))(slope)[..., 12:-12, 12:-12].max() < 1e-4


@pytest.mark.parametrize("turn", [0, 1])
def test_a_dark_line_is_a_furrow_where_it_runs(turn):
    picture = _picture()
    picture[..., 24] = 0.3
    furrows = RidgeDetector((1.5,))(torch.rot90(picture, turn, (2, 3)))[0, 0]
    furrows = torch.rot90(furrows, -turn, (0, 1))
    assert furrows[24, 24] > 0.05
    assert furrows[24, 24] == furrows[24].max()
    assert furrows[24, 5] < 1e-3


def test_a_bright_line_is_no_furrow():
    picture = _picture()
    picture[..., 24] = 1.0
    assert RidgeDetector((1.5,))(picture)[0, 0, 24, 24] < 1e-4


def test_a_wide_furrow_answers_at_a_wide_scale():
    picture = _picture()
    x = torch.arange(48.0) - 24
    picture = picture - 0.4 * torch.exp(-0.5 * (x / 4.0) ** 2)
    strength = RidgeDetector((1.0, 2.0, 4.0))(picture)[0, :, 24, 24]
    assert strength.argmax() == 2


def test_regions_are_distinguished():
    picture = _picture()
    picture[..., 8:40, 10] = 0.2
    masks = torch.zeros(1, 2, 48, 48)
    masks[0, 0, :, :24], masks[0, 1, :, 24:] = 1.0, 1.0
    left, right = RidgeDetector((1.5,)).regions(picture, masks)[0]
    assert left > 20 * right


def test_furrows_have_gradients():
    picture = torch.rand(1, 3, 24, 24, dtype=torch.float64, requires_grad=True)
    detector = RidgeDetector((1.0,))
    assert torch.autograd.gradcheck(lambda p: detector(p).sum(), picture, atol=1e-4)


def test_a_width_of_nothing_is_refused():
    with pytest.raises(BadInputError):
        RidgeDetector((0.0,))


def test_a_neutral_face_has_no_tension():
    head = load_head("default")
    features = SkinTension(head).features(np.zeros((3, len(head.expression_names)), np.float32))
    assert features.shape == (3, 2 * len(REGIONS))
    assert (features == 0).all()


def test_raised_brows_compress_the_forehead_and_an_open_jaw_does_not():
    head = load_head("default")
    weights = np.zeros((2, len(head.expression_names)), np.float32)
    weights[0, head.expression_index("browInnerUp")] = 1.0
    weights[1, head.expression_index("jawOpen")] = 1.0
    compressed = SkinTension(head).features(weights)[:, 2 * REGIONS.index("forehead")]
    assert compressed[0] > 0.01
    assert compressed[0] > 10 * compressed[1]
