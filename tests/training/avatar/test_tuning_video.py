# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures correct what a tracker says of a video: identity and poses."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from engine.avatar import load_avatar
from engine.splatting.cpu.backend import CpuBackend
from tests.training.tracking.made_capture import VIEWS, made_capture, true_fit
from training.avatar.config import PRESETS
from training.avatar.model import from_avatar
from training.avatar.run import use_threads
from training.avatar.tuning_video import TunedVideo, refined_pictures
from training.data.multiview import MultiViewCapture

FRAMES, VISITS = 8, 10


def tracked_with(folder, nods):
    """What a tracker says of a film whose heads it sees nod too far, by degrees."""
    fit = true_fit(FRAMES)
    nod = Rotation.from_rotvec(np.outer(nods, [1, 0, 0]), degrees=True).as_matrix()
    wrong = replace(fit, rotation=fit.rotation @ nod)
    made_capture(folder, fit, wrong, spoken=False)
    return MultiViewCapture.open(folder).trained_on_all()


@pytest.fixture(scope="module")
def tracked(tmp_path_factory):
    """It nods by 1° too far, up and down in turn."""
    nods = np.array([1, 1, -1, -1] * (FRAMES // 4))
    return tracked_with(tmp_path_factory.mktemp("video") / "ada", nods)


def learn(video, tracked):
    """Have pictures correct what a video's tracker says, by an avatar that learns nothing."""
    use_threads(1)
    given = load_avatar("default", tracked.head)
    sizes = {"latent": given.color.latents.shape[1], "hidden": len(given.color.first_bias)}
    avatar = from_avatar(given, replace(PRESETS["default"], **sizes), tracked.head)
    avatar.requires_grad_(requires_grad=False)
    backend = CpuBackend()
    for visit in range(VISITS):
        for view in tracked.split("train"):
            now = video.refined(view)
            camera = torch.from_numpy(view.camera.viewpoint)
            splats = avatar.splats(now.vertices, now.expression, camera, now.head_matrix)
            image = backend.render(splats, view.camera)
            (image.rgb - view.image).abs().mean().backward()
            # As after the part of the schedule in which nothing moves.
            video.step(0.4 + 0.6 * visit / VISITS)


@pytest.fixture(scope="module")
def tuned(tracked):
    """Refined by the avatar that was filmed."""
    video = TunedVideo(tracked, VISITS / 0.6, "cpu")
    learn(video, tracked)
    return video


@pytest.fixture(scope="module")
def motion(tuned):
    return tuned.motion()


def degrees_off(capture, matrices):
    """Mean error of the head's turns."""
    true = true_fit(FRAMES).rotation[:: FRAMES // VIEWS]
    viewmat = capture.split("train").frames[0].camera.viewmat
    turned = viewmat[:3, :3] @ np.stack(matrices)[:, :3, :3] @ np.swapaxes(true, 1, 2)
    return np.degrees(Rotation.from_matrix(turned).magnitude().mean())


def test_pictures_pull_poses_towards_what_was_filmed(tracked, motion):
    before = [pose.head_matrix for pose in tracked.poses().values()]
    assert degrees_off(tracked, before) == pytest.approx(1.0, abs=0.02)
    assert degrees_off(tracked, motion.head_matrix) < 0.5


def test_the_face_that_was_filmed_stays_itself(tracked, motion):
    face = tracked.head.regions["face"]
    moved = motion.head.template[face] - tracked.head.template[face]
    # Where in head space a face lies is of no matter: the pose makes up for it.
    assert 0 < np.linalg.norm(moved - moved.mean(0), axis=1).mean() < 5e-4


def test_pictures_pull_the_face_towards_the_one_that_was_filmed(tracked):
    """Of a face that is wrong by half a deviation in thirty components."""
    video = TunedVideo(tracked, VISITS / 0.6, "cpu")
    wrong = np.random.default_rng(3).normal(0, 0.5, (1, 30)).astype(np.float32)
    video.shape.rows.data[:, :30] = torch.from_numpy(wrong)
    face = tracked.head.regions["face"]

    def away():
        moved = (video.motion().head.template - tracked.head.template)[face]
        return np.linalg.norm(moved - moved.mean(0), axis=1).mean()

    before = away()
    learn(video, tracked)
    assert away() < 0.5 * before


def test_a_nod_of_all_pictures_alike_is_corrected_too(tmp_path):
    """Of a face that is known: a few pictures cannot tell a nod from a face that is tilted."""
    tracked = tracked_with(tmp_path / "ada", np.ones(FRAMES))
    video = TunedVideo(tracked, VISITS / 0.6, "cpu")
    video.shape.rows.requires_grad_(requires_grad=False)
    learn(video, tracked)
    assert degrees_off(tracked, video.motion().head_matrix) < 0.5


def test_pictures_that_are_left_out_follow_their_neighbours(tracked):
    """Of a long video those are trained on that can be seen often enough."""
    some = MultiViewCapture.open(tracked.folder).trained_on_all(2)
    assert [frame.timestep for frame in some.split("train").frames] == [0, VIEWS - 1]
    video = TunedVideo(some, VISITS, "cpu")
    video.frames.rows.grad = torch.zeros_like(video.frames.rows)
    video.frames.rows.grad[[0, -1]] = torch.tensor([[1.0], [-1.0]]).expand(2, 6)
    video.step(0.41)
    moved = video.frames.rows.detach()
    assert (moved[0] < 0).all()
    between = torch.linspace(0, 1, VIEWS)[:, None]
    torch.testing.assert_close(moved, (1 - between) * moved[:1] + between * moved[-1:])


def test_what_is_seen_often_enough_depends_on_the_steps():
    short, long = (replace(PRESETS["default"], steps=steps) for steps in (300, 6000))
    assert (refined_pictures(short), refined_pictures(long)) == (48, 500)


def test_nothing_moves_before_there_is_an_avatar(tracked):
    video = TunedVideo(tracked, VISITS, "cpu")
    video.frames.rows.grad = torch.ones_like(video.frames.rows)
    video.step(0.05)
    assert not video.frames.rows.any()
    assert video.frames.rows.grad is None


@pytest.mark.parametrize("take", [0, 1])
def test_corrections_are_smooth_within_a_take(tracked, tmp_path, take):
    record = json.loads((tracked.folder / "capture.json").read_text())
    for row in record["timesteps"][VIEWS // 2 :]:
        row["take"] = take
    shutil.copytree(tracked.folder, tmp_path / "ada")
    (tmp_path / "ada" / "capture.json").write_text(json.dumps(record))
    video = TunedVideo(MultiViewCapture.open(tmp_path / "ada"), VISITS, "cpu")
    before = torch.tensor([1e-3, 1e-3, -1e-3, -1e-3])[:, None].expand_as(video.frames.rows).clone()
    video.frames.rows.data += before
    video.frames.rows.grad = torch.full_like(before, 1e-9)
    video.step(0.41)
    moved = (video.frames.rows - before)[:, 0].detach()
    # Beside the cut, a row is drawn to the other side where that is of the same take.
    assert torch.allclose(moved[0], moved[1], rtol=1e-3) == (take == 1)


@pytest.mark.parametrize("visits", [1, 10])
def test_a_step_is_short_however_few_there_are(tracked, visits):
    video = TunedVideo(tracked, visits, "cpu")
    sign = torch.tensor([1.0, -1.0, 1.0, -1.0])[:, None]
    video.frames.rows.grad = sign.expand_as(video.frames.rows).clone()
    video.step(0.41)
    assert 0.1 < np.degrees(video.frames.rows[:, :3].abs().max().item()) < 0.8


def test_a_refinement_continues_from_its_state(tracked, tuned, motion):
    again = TunedVideo(tracked, VISITS, "cpu")
    for adam, held in zip(again.adams, [adam.state() for adam in tuned.adams], strict=True):
        adam.restore(held)
    continued = again.motion()
    assert np.array_equal(continued.head_matrix, motion.head_matrix)
    assert continued.head.id == motion.head.id
