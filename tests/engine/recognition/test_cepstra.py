# SPDX-License-Identifier: GPL-3.0-or-later
"""The front end against PocketSphinx's own."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from pocketsphinx import Decoder, get_model_path

from engine.recognition import cepstra as front_end
from engine.recognition.cepstra import MEAN_REACH, cepstra, subtract_mean
from engine.recognition.senones import senone_scores


def pocketsphinx_scores(samples):
    """(T, 5126) of samples as the library scores them, the mean of all subtracted."""
    with TemporaryDirectory() as folder:
        decoder = Decoder(
            allphone=get_model_path("en-us/en-us-phone.lm.bin"), dict=None, beam=1e-2, pbeam=1e-2,
            compallsen=True, senlogdir=folder, cmn="batch", loglevel="FATAL",
        )  # fmt: skip
        decoder.start_utt()
        decoder.process_raw((samples * 32767).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        (log,) = Path(folder).iterdir()
        data = log.read_bytes()
    start = data.index(b"endhdr\n") + 11
    return np.frombuffer(data, "<i2", offset=start).reshape(-1, 5127)[:, 1:]


def test_scores_are_those_of_the_library(sample_voice, monkeypatch):
    monkeypatch.setattr(front_end, "ADVANCE", 0)
    samples = sample_voice[0].samples
    # Silence of zeros alone gives cepstra whose first is negative, which the library leaves out.
    samples = samples + np.random.default_rng(0).normal(0, 1e-3, len(samples)).astype(np.float32)
    rounded = ((samples * 32767).astype("<i2") / 32767).astype(np.float32)
    theirs = pocketsphinx_scores(rounded)
    whole = (len(samples) - 410) // 160 + 1
    found = cepstra(rounded, np.ones(whole, np.float32))
    ours = senone_scores(found - found.mean(axis=0))
    difference = np.abs(ours[:-3].astype(int) - theirs[: whole - 3])
    assert np.median(difference) <= 1
    assert difference.mean() < 2


def test_blocks_change_nothing(sample_voice, monkeypatch):
    samples = sample_voice[0].samples
    gain = np.linspace(0.5, 2, len(samples) // 160).astype(np.float32)
    whole = cepstra(samples, gain)
    monkeypatch.setattr(front_end, "BLOCK", 37)
    np.testing.assert_allclose(cepstra(samples, gain), whole, atol=1e-4)


def test_the_level_is_in_the_first_cepstrum_alone(sample_voice):
    samples = sample_voice[0].samples[8_000:40_000]
    one = np.ones(200, np.float32)
    louder, softer = cepstra(samples, one), cepstra(samples, one / 2)
    np.testing.assert_allclose(louder[:, 0] - softer[:, 0], np.log(4) * 5, atol=0.2)
    np.testing.assert_allclose(louder[:, 1:], softer[:, 1:], atol=0.4)


def test_the_mean_is_that_of_the_speech_around():
    rng = np.random.default_rng(2)
    values = rng.normal(0, 1, (3000, 13)).astype(np.float32)
    values[1500:] += 5
    values[1400:1600] += 100
    spoken = [(0, 1400), (1600, 3000)]
    found = subtract_mean(values, spoken)
    np.testing.assert_allclose(found[500:1000].mean(axis=0), 0, atol=0.2)
    np.testing.assert_allclose(found[2000:2500].mean(axis=0), 0, atol=0.2)
    part = subtract_mean(values[200:1300], [(0, 1100)])
    np.testing.assert_allclose(
        part[MEAN_REACH:-MEAN_REACH], found[200:1300][MEAN_REACH:-MEAN_REACH], atol=1e-4
    )
    everything = subtract_mean(values[:100], ())
    np.testing.assert_allclose(everything.mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 2])
def test_silence_and_a_single_frame_are_finite(frames):
    assert np.isfinite(cepstra(np.zeros(frames * 160, np.float32), np.ones(frames))).all()
