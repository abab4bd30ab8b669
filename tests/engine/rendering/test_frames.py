# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import math

import av
import numpy as np
import pytest
import soundfile
import torch
from PIL import Image as Picture

from engine.avatar import MlpColor, load_avatar
from engine.core.errors import BadInputError, CancelledError
from engine.heads.default import load_default_head
from engine.motion.face.pose import pose_matrices
from engine.motion.performance import Performance
from engine.rendering.frames import (
    portrait_camera,
    render_frame,
    render_performance,
    studio_backdrop,
    write_still,
    write_video,
)
from engine.splatting.cpu.backend import CpuBackend

BACKEND = CpuBackend()


@pytest.fixture(scope="module")
def head():
    return load_default_head()


@pytest.fixture(scope="module")
def avatar(head):
    return load_avatar("default", head)


@pytest.fixture
def performance(head):
    """Ten frames in which the jaw opens."""
    weights = np.linspace(0, 1, 10, dtype=np.float32)[:, None]
    expression = np.zeros((10, len(head.expression_names)), np.float32)
    jaw = head.expression_index("jawOpen")
    expression[:, jaw] = weights[:, 0]
    return Performance(
        24.0, weights, head.expression_basis[jaw][None], expression, head.expression_names, head.id
    )


def test_the_portrait_shows_the_face_upright_in_the_middle(head):
    camera = portrait_camera(head, 200, 250)
    points = head.template @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    pixels = points[:, :2] / points[:, 2:] * np.diag(camera.K)[:2] + camera.K[:2, 2]
    nose, chin = (pixels[head.landmarks[name][0]] for name in ("nose_tip", "chin"))
    assert nose[0] == pytest.approx(100, abs=4)
    assert chin[1] > nose[1]
    assert pixels[:, 0].min() > 0
    assert pixels[:, 0].max() < 200
    assert pixels[:, 1].min() > 0


def test_from_the_left_side_the_nose_points_to_the_left_of_the_picture(head):
    camera = portrait_camera(head, 200, 200, turn=30)
    nose = camera.viewmat[:3, :3] @ head.template[head.landmarks["nose_tip"][0]]
    assert nose[0] < -0.01


def test_a_frame_repeats_byte_by_byte(head, avatar):
    camera, backdrop = portrait_camera(head, 96, 96), studio_backdrop(96, 96)
    first, second = (
        render_frame(head.template, None, avatar, CpuBackend(), camera, backdrop) for _ in range(2)
    )
    assert first.tobytes() == second.tobytes()


def test_a_frame_shows_a_face_before_its_backdrop(head, avatar):
    camera = portrait_camera(head, 96, 96)
    backdrop = studio_backdrop(96, 96)
    frame = render_frame(head.template, None, avatar, BACKEND, camera, backdrop)
    assert frame.shape == (96, 96, 3)
    assert np.abs(frame[2, 2] / 255 - backdrop[2, 2]).max() < 0.01
    middle = camera.viewmat @ [*head.template[head.regions["forehead"]].mean(0), 1]
    column, row = (camera.K @ middle[:3] / middle[2])[:2].astype(int)
    forehead = frame[row, column].astype(int)
    assert forehead[0] > forehead[2] + 20


def test_an_open_mouth_is_darker_than_the_closed_one(head, avatar, performance):
    camera = portrait_camera(head, 160, 160)
    frames = list(render_performance(performance, head, avatar, BACKEND, camera))
    assert len(frames) == 10
    changed = np.abs(frames[-1].astype(int) - frames[0]).sum(2) > 40
    rows, columns = np.nonzero(changed)
    # But for single pixels of hair, whose colour follows the expression a little.
    assert np.percentile(rows, 2) > 80
    assert frames[-1][changed].mean() < frames[0][changed].mean()
    assert 60 < np.median(columns) < 100


@pytest.fixture
def blusher(avatar, head):
    """The default avatar with a colour network: 0.2 grey, and 0.8 in red where the jaw is open."""
    width = 1 + 3 + len(head.expression_names)
    first = torch.zeros(1, width)
    first[0, 4 + head.expression_index("jawOpen")] = 1
    low, high = torch.logit(torch.tensor([0.2, 0.8]))
    network = MlpColor(
        torch.zeros(avatar.count, 1),
        first,
        torch.zeros(1),
        torch.stack([high - low, torch.tensor(0.0), torch.tensor(0.0)])[:, None],
        low.expand(3).clone(),
    )
    return dataclasses.replace(avatar, color=network)


def reversed_names(performance):
    """The same performance with its expressions the other way round, and one that no head has."""
    return dataclasses.replace(
        performance,
        expression=np.concatenate([performance.expression[:, ::-1], np.ones((10, 1), "f4")], 1),
        expression_names=(*performance.expression_names[::-1], "twirlMoustache"),
    )


@pytest.mark.parametrize("change", [lambda same: same, reversed_names])
def test_a_networks_colours_follow_the_performance(head, blusher, performance, change):
    camera = portrait_camera(head, 48, 48)
    shut, *_, opened = render_performance(change(performance), head, blusher, BACKEND, camera)
    np.testing.assert_allclose(shut[20, 24], [51, 51, 51], atol=2)
    np.testing.assert_allclose(opened[20, 24], [204, 51, 51], atol=2)


def test_expressions_that_no_head_knows_leave_the_colours_neutral(head, blusher, performance):
    camera = portrait_camera(head, 48, 48)
    names = tuple(f"latent{index}" for index in range(len(head.expression_names)))
    strange = dataclasses.replace(performance, expression_names=names)
    *_, last = render_performance(strange, head, blusher, BACKEND, camera)
    np.testing.assert_allclose(last[20, 24], [51, 51, 51], atol=2)


def test_the_video_has_every_frame_and_the_sound(head, avatar, performance, tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8000), 16000)
    camera = portrait_camera(head, 64, 64)
    reported = []
    write_video(
        tmp_path / "a.mp4",
        performance,
        head,
        avatar,
        BACKEND,
        camera,
        tmp_path / "a.wav",
        lambda fraction, message: reported.append((fraction, message)),
    )
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert len(list(container.decode(container.streams.video[0]))) == 10
        assert container.streams.audio
    assert reported[-1][0] == 1
    assert "frame 10 of 10" in reported[-2][1]


def test_a_cancelled_render_leaves_nothing(head, avatar, performance, tmp_path):
    def cancel(fraction, _message):
        if fraction > 0.4:
            raise CancelledError

    with pytest.raises(CancelledError):
        write_video(
            tmp_path / "a.mp4",
            performance,
            head,
            avatar,
            BACKEND,
            portrait_camera(head, 32, 32),
            None,
            cancel,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_performance_of_another_head_is_refused(head, avatar, performance):
    other = dataclasses.replace(performance, head="flame2023")
    camera = portrait_camera(head, 32, 32)
    with pytest.raises(BadInputError, match="flame2023"):
        next(render_performance(other, head, avatar, BACKEND, camera))


def test_a_still_is_written_as_it_is(tmp_path):
    frame = np.random.default_rng(0).integers(0, 255, (5, 7, 3), dtype=np.uint8)
    write_still(tmp_path / "a.png", frame)
    assert np.array_equal(np.asarray(Picture.open(tmp_path / "a.png")), frame)


def test_a_still_of_an_unknown_kind_is_refused(tmp_path):
    with pytest.raises(BadInputError, match=r"a\.bmpx"):
        write_still(tmp_path / "a.bmpx", np.zeros((2, 2, 3), np.uint8))


def test_a_turned_head_is_the_head_seen_from_the_other_side(performance, head, avatar):
    """Turning the head by an angle about the neck shows what walking round it shows."""
    angle = math.radians(20)
    turned = np.array([[0, angle, 0]] * performance.frames, np.float32)
    camera = portrait_camera(head, 64, 64)
    (about,) = pose_matrices(turned[:1], head.neck)
    walked = dataclasses.replace(camera, viewmat=(camera.viewmat @ about).astype(np.float32))
    still = performance.still(3)
    moved = dataclasses.replace(performance, head_rotation=turned).still(3)
    first = next(render_performance(moved, head, avatar, BACKEND, camera))
    second = next(render_performance(still, head, avatar, BACKEND, walked))
    assert np.abs(first.astype(int) - second).max() <= 2
    plain = next(render_performance(still, head, avatar, BACKEND, camera))
    assert np.abs(first.astype(int) - plain).mean() > 5
