# SPDX-License-Identifier: GPL-3.0-or-later
"""Wrinkle features measured on pictures, for recordings of which some frames were filmed."""

import json
import shutil

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError
from engine.motion.model.wrinkles import REGIONS, RidgeDetector
from tests.training.data.speaking_capture import FILMED
from training.data.multiview import MultiViewCapture
from training.data.recordings import find_recordings
from training.speech import wrinkle_measures
from training.speech.captures import measured_wrinkles
from training.speech.wrinkle_measures import Measuring, Regions, measure, region_sums


@pytest.fixture(scope="module")
def capture(speaking_capture, tmp_path_factory):
    return shutil.copytree(speaking_capture, tmp_path_factory.mktemp("speaking") / "capture")


@pytest.fixture
def copied(capture, tmp_path):
    shutil.copytree(capture, tmp_path / "capture")
    return tmp_path / "capture"


def test_each_region_is_measured_where_the_pictures_show_it(capture):
    opened = MultiViewCapture.open(capture)
    view = opened.split("test")[0]
    masks = Regions(opened.head).masks(view)
    rows = np.arange(view.camera.height)[:, None]
    height = {
        name: float((rows * mask.numpy()).sum() / mask.sum())
        for name, mask in zip(REGIONS, masks, strict=True)
        if mask.sum()
    }
    assert height["forehead"] < height["nose"] < height["lower_lip"] < height["neck"]
    sums, weights = region_sums(RidgeDetector(), view, masks)
    expected = RidgeDetector().regions(view.image.permute(2, 0, 1)[None], masks[None])[0].numpy()
    np.testing.assert_allclose(sums / np.maximum(weights, 1), expected, rtol=1e-4, atol=1e-6)


def test_a_filmed_frame_has_what_the_pictures_of_training_show(copied):
    measured = measure(Measuring(copied))
    assert measured == {"c0": (3, 25), "c1": (3, 25)}
    assert measured_wrinkles(find_recordings(copied)) == 3 * len(REGIONS)
    rows = np.load(copied / "speech" / "c0.wrinkles.npy")
    opened = MultiViewCapture.open(copied)
    regions = Regions(opened.head)
    timestep = FILMED.index(("c0", 9))
    parts = [
        region_sums(RidgeDetector(), view, regions.masks(view))
        for view in opened.split("train")
        if view.timestep == timestep
    ]
    expected = sum(s for s, _ in parts) / np.maximum(sum(w for _, w in parts), 1)
    assert len(parts) == 3  # Of four cameras one is kept from training.
    np.testing.assert_allclose(rows[9], expected, rtol=1e-3, atol=1e-6)


def test_frames_that_nobody_filmed_follow_the_tension_of_the_mesh():
    from training.speech.wrinkle_measures import _Fit

    rng = np.random.default_rng(0)
    tension = rng.random((60, 24)).astype(np.float32)
    tension[0] = 0.0
    truth = tension @ rng.random((24, 5)).astype(np.float32) + 1.0
    fit = _Fit(tension[:50], truth[:50])
    guessed = fit.completed(tension[50:], {})
    assert np.abs(guessed - truth[50:]).mean() < 0.3 * np.abs(truth[50:] - truth.mean(0)).mean()
    exact = fit.completed(tension[50:], {4: truth[54] + 0.5})
    np.testing.assert_allclose(exact[4], truth[54] + 0.5, rtol=1e-5)
    np.testing.assert_allclose(exact - guessed, (exact - guessed)[4][None].repeat(10, 0), atol=1e-5)


_NOWHERE = json.dumps(
    {"timesteps": [{"timestep_index": 0, "performance": "speech/x.performance.npz", "frame": 0}]}
)


class _Maps(torch.nn.Module):
    def forward(self, x):
        return torch.cat([x[:, :1], x[:, 1:2]], dim=1)


class _Features(torch.nn.Module):
    def forward(self, x):
        return x.mean(dim=(2, 3))


class _Nonsense(torch.nn.Module):
    def forward(self, x):
        return x[0]


class _Layers(torch.nn.Module):
    def forward(self, x):
        return x[:, :, ::2, ::2], x.mean(dim=(2, 3)), x[:, :1]


@pytest.mark.parametrize(
    ("detector", "size"),
    [(_Maps, 2 * len(REGIONS)), (_Features, 3), (_Layers, 4 * len(REGIONS) + 3)],
)
def test_a_learned_detector_from_a_file_measures_instead(copied, tmp_path, detector, size):
    path = tmp_path / "detector.pt"
    torch.jit.script(detector()).save(str(path))
    measure(Measuring(copied, detector=path))
    assert measured_wrinkles(find_recordings(copied)) == size
    about = json.loads((copied / "speech" / "wrinkles.json").read_text())
    assert about["detector"] == "detector.pt"


def test_a_detector_that_gives_something_else_is_refused(copied, tmp_path):
    path = tmp_path / "detector.pt"
    torch.jit.script(_Nonsense()).save(str(path))
    with pytest.raises(BadInputError, match=r"detector\.pt gives \(3, .*\) for \(1, 3, "):
        measure(Measuring(copied, detector=path))
    with pytest.raises(BadInputError, match=r"none\.pt"):
        measure(Measuring(copied, detector=tmp_path / "none.pt"))


def test_what_was_filmed_of_a_recording_is_read(capture):
    found = find_recordings(capture)
    assert found.names == ["c0", "c1"]
    assert found.named("c1").timesteps == {4: 1, 10: 3, 21: 5}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Nothing is said"),
        ("{", "cannot be read"),
        ('{"timesteps": [{"timestep_index": 0}]}', "Nothing is said"),
        (
            '{"timesteps": [{"timestep_index": 0, "performance": "../x.npz", "frame": 0}]}',
            "cannot be read",
        ),
        (
            _NOWHERE,
            "has no sound of x",
        ),
    ],
)
def test_a_capture_that_does_not_tell_what_is_said_is_refused(copied, content, message):
    (copied / "capture.json").unlink()
    if content is not None:
        (copied / "capture.json").write_text(content)
    with pytest.raises(BadInputError, match=message):
        measure(Measuring(copied))


def test_refined_parameters_count_in_frames_that_were_not_filmed_too(copied, monkeypatch):
    refined, used = object(), []
    opened, read = MultiViewCapture.open, wrinkle_measures.read_motion

    def noted(recording, head, speech, tracking=None):
        used.append(tracking)
        return read(recording, head, speech)

    def without_tracking(data, *, scale, head, tracking):
        assert tracking == copied / "flame_param.npz"
        return opened(data, scale=scale, head=head)

    monkeypatch.setattr(wrinkle_measures, "load_tracking", lambda _: refined)
    monkeypatch.setattr(wrinkle_measures, "read_motion", noted)
    monkeypatch.setattr(MultiViewCapture, "open", without_tracking)
    measure(Measuring(copied, tracking=copied / "flame_param.npz"))
    assert used == [refined, refined]
