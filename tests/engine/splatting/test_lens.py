# SPDX-License-Identifier: GPL-3.0-or-later
"""Depth of field against the mean over many points of the aperture."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.avatar import AvatarPipeline, load_avatar
from engine.heads import load_head
from engine.splatting.backend import Image, Splats
from engine.splatting.camera import look_at
from engine.splatting.lens import Lens, lens_cameras, mean_in_linear_light
from engine.splatting.registry import choose_backend

SIZE = 160


@pytest.fixture(scope="module")
def backend():
    return choose_backend("cpu")


@pytest.fixture(scope="module")
def camera():
    return look_at(
        np.array([0.3, 0.1, 0.9]), np.zeros(3), width=SIZE, height=SIZE, vertical_fov=0.5
    )


def dot(position):
    return Splats(
        torch.tensor([position], dtype=torch.float32),
        torch.tensor([[1.0, 0, 0, 0]]),
        torch.full((1, 3), 0.002),
        torch.tensor([0.9]),
        torch.ones(1, 3),
    )


def picture(backend, splats, camera, lens, samples):
    cameras = lens_cameras(camera, lens, samples)
    return mean_in_linear_light([backend.render(splats, each) for each in cameras])


def width_of(image):
    """Standard deviation of the alpha, pixels, along x."""
    weights = image.alpha.sum(0).double()
    at = torch.arange(SIZE) + 0.5
    mean = (weights * at).sum() / weights.sum()
    return float(((weights * (at - mean) ** 2).sum() / weights.sum()).sqrt())


def test_what_is_in_focus_stays_as_sharp_and_the_rest_is_spread_as_far_as_the_lens_says(backend):
    camera = look_at(
        np.array([0.0, 0.0, 1.0]), np.zeros(3), width=SIZE, height=SIZE, vertical_fov=0.5
    )
    lens = Lens(0.02, 1.0)
    sharp, seen = (
        backend.render(dot([0, 0, 0]), camera),
        picture(backend, dot([0, 0, 0]), camera, lens, 64),
    )
    assert float((sharp.alpha - seen.alpha).abs().max()) < 1e-3
    # 0.2 m behind: c = R |z − f| / (f z) · focal length in pixels, of a disc half as much a side.
    circle = camera.K[0, 0] * lens.radius * 0.2 / 1.2
    behind = width_of(picture(backend, dot([0, 0, -0.2]), camera, lens, 64))
    own = width_of(backend.render(dot([0, 0, -0.2]), camera))
    assert behind == pytest.approx(np.hypot(own, circle / 2), rel=0.03)


def test_few_points_of_the_aperture_come_close_to_many(backend, camera):
    head = load_head("default")
    pipeline = AvatarPipeline(load_avatar("default", head), "cpu")
    centred = head.template - head.template.mean(0)
    splats = pipeline.splats(centred, None, np.eye(4, dtype=np.float32), camera.viewpoint)
    lens = Lens(0.02, 0.75)
    truth = picture(backend, splats, camera, lens, 200)
    found = picture(backend, splats, camera, lens, 16)
    sharp = backend.render(splats, camera)

    def psnr(image):
        return -10 * np.log10(float(((image.rgb - truth.rgb) ** 2).mean()))

    assert psnr(found) > 35
    assert psnr(sharp) < psnr(found) - 5


def test_shares_of_the_aperture_are_all_of_it(camera):
    lens = Lens(0.02, 0.9)
    whole = lens_cameras(camera, lens, 9)
    shares = [lens_cameras(camera, lens, 9, first=first, step=2) for first in range(2)]
    assert [len(share) for share in shares] == [5, 4]
    np.testing.assert_array_equal(whole[3].viewmat, shares[1][1].viewmat)


def test_light_is_averaged_and_not_what_a_screen_shows():
    def plain(value, alpha=1.0):
        rgb = torch.full((1, 1, 3), value * alpha)
        return Image(rgb, torch.full((1, 1), alpha), torch.full((1, 1), 2.0 * (alpha > 0)))

    mean = mean_in_linear_light([plain(1.0), plain(0.0)])
    assert float(mean.rgb[0, 0, 0]) == pytest.approx(1.055 * 0.5 ** (1 / 2.4) - 0.055, abs=1e-5)
    half = mean_in_linear_light([plain(0.6), plain(0.0, alpha=0.0)])
    assert float(half.alpha) == 0.5
    assert float(half.rgb[0, 0, 0]) == pytest.approx(0.3, abs=1e-5)
    assert float(half.depth) == pytest.approx(2.0)
