# SPDX-License-Identifier: GPL-3.0-or-later
from pathlib import Path

import numpy as np
import pytest
import torch

import engine.assets
from engine.avatar import load_avatar, splats
from engine.heads.default import load_default_head
from engine.splatting.camera import look_at
from engine.splatting.cpu.backend import CpuBackend

BACKEND = CpuBackend()


@pytest.fixture(scope="module")
def head():
    return load_default_head()


@pytest.fixture(scope="module")
def avatar(head):
    return load_avatar("default", head)


def seen(head, avatar, *, at, tall, turn=0.0, **weights):
    """The avatar in an expression, ``tall`` metres of it around ``at``, before pure green."""
    expression = np.zeros(len(head.expression_names), np.float32)
    for name, value in weights.items():
        expression[head.expression_index(name)] = value
    towards = np.array([np.sin(turn), 0, np.cos(turn)])
    fov = 2 * np.arctan(0.5 * tall)
    camera = look_at(at + towards, np.asarray(at), width=120, height=120, vertical_fov=fov)
    gaussians = splats(
        avatar, torch.from_numpy(head.deform(expression)), torch.from_numpy(expression)
    )
    return BACKEND.render(gaussians, camera, torch.tensor([0.0, 1.0, 0.0]))


def test_the_asset_is_small_enough_to_ship(avatar):
    path = Path(engine.assets.__file__).parent / "default_avatar.safetensors"
    assert path.stat().st_size < 5e6
    assert 25_000 <= avatar.count <= 35_000


@pytest.mark.parametrize("turn", [-0.9, 0.0, 0.9, 3.1])
def test_the_skull_and_face_have_no_holes(head, avatar, turn):
    image = seen(head, avatar, at=[0, 0.02, 0.02], tall=0.09, turn=turn)
    assert image.alpha.min() > 0.9
    assert image.alpha.mean() > 0.995


def test_open_eyes_show_dark_pupils_in_bright_eyes_and_lids_cover_them(head, avatar):
    for side in ("left", "right"):
        iris = head.regions[f"{side}_eyeball"]
        middle = head.template[np.intersect1d(iris, head.regions["pupils"])].mean(0)
        view = {"at": middle, "tall": 0.012}
        opened = seen(head, avatar, **view).rgb
        shut = seen(head, avatar, **view, eyeBlinkLeft=1, eyeBlinkRight=1).rgb
        pupil, iris = opened[55:65, 55:65], opened[55:65, [*range(20, 28), *range(92, 100)]]
        # The studio's softboxes are reflected in the pupil.
        assert pupil.mean() < 0.3
        assert pupil.mean() < 0.7 * iris.mean()
        assert shut[45:60, 30:90].mean(dim=(0, 1))[0] > 0.35
        red, _, blue = shut[30:60, 30:90].mean(dim=(0, 1))
        assert red > blue + 0.08


def test_the_open_mouth_is_dark_inside_and_shows_teeth(head, avatar):
    lips = head.template[head.landmarks["inner_lip_upper"]].mean(0)
    weights = {"jawOpen": 0.7, "mouthUpperUpLeft": 0.6, "mouthUpperUpRight": 0.6}
    opened = seen(head, avatar, at=lips - [0, 0.012, 0], tall=0.04, **weights)
    closed = seen(head, avatar, at=lips - [0, 0.012, 0], tall=0.04)
    brightness = opened.rgb.mean(-1)
    assert brightness[20:100, 40:80].min() < 0.2
    white = (opened.rgb.min(-1).values > 0.5) & (closed.rgb.min(-1).values < 0.5)
    assert white.sum() > 30
    assert opened.alpha.min() > 0.9


def test_closed_lips_show_no_teeth(head, avatar):
    lips = head.template[head.landmarks["inner_lip_upper"]].mean(0)
    image = seen(head, avatar, at=lips, tall=0.02)
    red, green, blue = image.rgb.unbind(-1)
    assert ((red - blue) > 0.05).float().mean() > 0.97
    assert (green < red).all()


def test_raised_brows_furrow_the_forehead(head, avatar):
    def lines(**weights):
        image = seen(head, avatar, at=[0, 0.0667, 0.09], tall=0.02, **weights)
        profile = image.rgb.mean(-1)[:, 40:80].mean(1).numpy()
        down = np.arange(len(profile))
        return np.std(profile - np.polyval(np.polyfit(down, profile, 3), down))

    raised = lines(browInnerUp=1, browOuterUpLeft=1, browOuterUpRight=1)
    assert raised > 1.5 * lines()


def test_the_back_of_the_head_has_hair_and_the_neck_has_none(head, avatar):
    hair = seen(head, avatar, at=[0, 0.04, -0.08], tall=0.06, turn=np.pi).rgb.mean(-1)
    neck = seen(head, avatar, at=[0, -0.1, -0.05], tall=0.02, turn=np.pi).rgb
    assert hair.mean() < 0.3
    red, _, blue = neck.mean(dim=(0, 1))
    assert red > 0.4
    assert red > blue
