# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures correct what a tracker says of a video: identity, poses and expressions."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from engine.avatar import load_avatar
from engine.heads import load_head
from engine.splatting.cpu.backend import CpuBackend
from tests.training.tracking.made_capture import VIEWS, made_capture, true_fit
from training.avatar.config import PRESETS
from training.avatar.model import from_avatar
from training.avatar.run import use_threads
from training.avatar.tuning_video import TunedVideo
from training.data.multiview import MultiViewCapture

FRAMES, VISITS = 8, 14
JAW = 0.12


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """What a tracker says of a film: the head nods by 1° too far, the mouth is too far open."""
    fit, folder = true_fit(FRAMES), tmp_path_factory.mktemp("video") / "ada"
    nod = Rotation.from_euler("X", 1, degrees=True).as_matrix()
    expression = fit.expression.copy()
    expression[:, load_head("default").expression_index("jawOpen")] += JAW
    wrong = replace(fit, rotation=fit.rotation @ nod, expression=expression)
    made_capture(folder, fit, wrong, spoken=False)
    return MultiViewCapture.open(folder).trained_on_all()


@pytest.fixture(scope="module")
def tuned(tracked):
    """Refined by the avatar that was filmed, which itself learns nothing."""
    use_threads(1)
    given = load_avatar("default", tracked.head)
    sizes = {"latent": given.color.latents.shape[1], "hidden": len(given.color.first_bias)}
    avatar = from_avatar(given, replace(PRESETS["default"], **sizes), tracked.head)
    avatar.requires_grad_(requires_grad=False)
    video, backend = TunedVideo(tracked, VISITS / 0.6, "cpu"), CpuBackend()
    for visit in range(VISITS):
        for view in tracked.split("train"):
            now = video.refined(view)
            camera = torch.from_numpy(view.camera.viewpoint)
            splats = avatar.splats(now.vertices, now.expression, camera, now.head_matrix)
            image = backend.render(splats, view.camera)
            (image.rgb - view.image).abs().mean().backward()
            # As after the part of the schedule in which nothing moves.
            video.step(0.1 ** (0.4 + 0.6 * visit / VISITS))
    return video


@pytest.fixture(scope="module")
def motion(tuned):
    return tuned.motion()


def off(capture, poses):
    """Mean error of the jaw's weight, and of the head's turns in degrees."""
    true, jaw = true_fit(FRAMES), capture.head.expression_index("jawOpen")
    frames = np.arange(0, FRAMES, FRAMES // VIEWS)
    viewmat = capture.split("train").frames[0].camera.viewmat
    turned = [
        Rotation.from_matrix(viewmat[:3, :3] @ matrix[:3, :3]) * Rotation.from_matrix(R).inv()
        for (_, matrix), R in zip(poses, true.rotation[frames], strict=True)
    ]
    wrong = [abs(w[jaw] - t) for (w, _), t in zip(poses, true.expression[frames, jaw], strict=True)]
    return np.mean(wrong), np.degrees(np.mean([turn.magnitude() for turn in turned]))


def test_pictures_pull_poses_and_expressions_towards_what_was_filmed(tracked, motion):
    poses = tracked.poses()
    before = off(tracked, [(poses[s].expression, poses[s].head_matrix) for s in range(VIEWS)])
    after = off(tracked, [*zip(motion.expression, motion.head_matrix, strict=True)])
    assert before == pytest.approx((JAW, 1.0), abs=0.02)
    assert after[0] < 0.5 * before[0]
    assert after[1] < 0.7 * before[1]


def test_weights_stay_weights(motion):
    weights = motion.expression
    assert weights.min() >= 0
    assert weights.max() <= 1


def test_what_the_pictures_leave_open_stays_what_the_landmarks_said(tracked, motion):
    index, poses = tracked.head.expression_index, tracked.poses()
    for name in ("tongueOut", "eyeLookUpLeft"):
        before = np.array([poses[step].expression[index(name)] for step in range(VIEWS)])
        assert np.abs(motion.expression[:, index(name)] - before).max() < 0.12


def test_nothing_moves_before_there_is_an_avatar(tracked):
    video = TunedVideo(tracked, VISITS, "cpu")
    video.frames.rows.grad = torch.ones_like(video.frames.rows)
    video.step(0.9)
    assert not video.frames.rows.any()
    assert video.frames.rows.grad is None


def test_a_refinement_continues_from_its_state(tracked, tuned, motion):
    again = TunedVideo(tracked, VISITS, "cpu")
    for adam, held in zip(again.adams, [adam.state() for adam in tuned.adams], strict=True):
        adam.restore(held)
    continued = again.motion()
    assert np.array_equal(continued.expression, motion.expression)
    assert continued.head.id == motion.head.id
