# SPDX-License-Identifier: GPL-3.0-or-later
"""The sound of several videos of one person, filmed one after another."""

from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from engine.core.progress import no_progress
from engine.phonemes import SILENCE, Phone
from tests.training.tracking.test_takes import SAMPLE_VOICE, grey, scan_of
from training.tracking import sound
from training.tracking.film_sound import write_sound
from training.tracking.sound import Said, cut_at_pauses, listen
from training.tracking.takes import alike, joined


def test_the_sound_of_takes_follows_their_pictures(tmp_path):
    """Of takes of other rates, and of one without sound."""
    paths = []
    for name, rate, pitch in (("low", 16000, 200), ("high", 48000, 900)):
        tone = 0.5 * np.sin(2 * np.pi * pitch * np.arange(2 * rate) / rate)
        soundfile.write(tmp_path / f"{name}.wav", tone, rate)
        paths.append(tmp_path / f"{name}.wav")
    films = [
        grey(tmp_path / "a.mp4", range(50), sound=paths[0]),
        grey(tmp_path / "b.mp4", range(50)),
        grey(tmp_path / "c.mp4", range(50), sound=paths[1]),
    ]
    whole, _ = joined(alike(films), [scan_of(50)] * 3)
    assert whole.sound
    write_sound(whole, tmp_path / "all.wav", whole.frames)
    samples, rate = soundfile.read(tmp_path / "all.wav")
    assert len(samples) / rate == pytest.approx(6.0, abs=0.01)
    pitches, loud = [], []
    for second in (1, 3, 5):
        part = samples[second * rate - rate // 4 : second * rate + rate // 4]
        loud.append(np.abs(part).max() > 0.1)
        spectrum = np.abs(np.fft.rfft(part))
        pitches.append(np.fft.rfftfreq(len(part), 1 / rate)[spectrum.argmax()])
    assert loud == [True, False, True]
    assert pitches[0] == pytest.approx(200, abs=5)
    assert pitches[2] == pytest.approx(900, abs=5)


def test_a_quiet_take_is_as_loud_as_the_others(tmp_path):
    """Beside what is 26 dB louder its words would be background; what is no speech stays."""
    spoken, rate = soundfile.read(SAMPLE_VOICE, frames=3 * soundfile.info(SAMPLE_VOICE).samplerate)
    hiss = 1e-3 * np.random.default_rng(0).normal(size=len(spoken))
    films = []
    for name, samples in (("a", spoken), ("b", 10 ** (-26 / 20) * spoken), ("c", hiss)):
        soundfile.write(tmp_path / f"{name}.wav", samples, rate)
        films.append(grey(tmp_path / f"{name}.mp4", range(75), sound=tmp_path / f"{name}.wav"))
    whole, _ = joined(alike(films), [scan_of(75)] * 3)
    write_sound(whole, tmp_path / "all.wav", whole.frames)
    written = np.split(soundfile.read(tmp_path / "all.wav")[0], 3)
    loud, quiet, noise = (20 * np.log10(np.sqrt(np.mean(part**2))) for part in written)
    assert loud == pytest.approx(quiet, abs=0.5)
    assert noise == pytest.approx(-60, abs=2)
    write_sound(films[1], tmp_path / "alone.wav", 75)
    alone = soundfile.read(tmp_path / "alone.wav")[0]
    assert 20 * np.log10(np.sqrt(np.mean(alone**2))) < loud - 10


def test_lips_do_not_close_for_what_the_next_video_says(monkeypatch):
    phones = (Phone(SILENCE, 0.0, 2.02), Phone("B", 2.02, 2.1), Phone("AA", 2.1, 4.0))
    known = SimpleNamespace(phones=phones, words=(), language="en", warnings=())
    monkeypatch.setattr(sound, "recognize", lambda *_, **__: known)
    closed, apart = (
        listen(SAMPLE_VOICE, None, 100, 25.0, no_progress, begins=begins).closure
        for begins in ([0], [0, 50])
    )
    assert closed[47:50].max() > 0.1
    assert not apart[:50].any()
    assert np.allclose(apart[50:], closed[50:], atol=0.2)
    assert apart[51] > 0.8


def test_recordings_end_where_a_video_ends():
    silence = tuple(Phone(SILENCE, at, at + 0.4) for at in (5.8, 11.8, 17.8))
    said = Said(silence, (), "en", np.zeros(600), ())
    assert cut_at_pauses(said, 600, 25.0) == [(0, 150), (150, 300), (300, 450), (450, 600)]
    cut = cut_at_pauses(said, 600, 25.0, [0, 210])
    assert cut == [(0, 210), (210, 450), (450, 600)]
    with_short = cut_at_pauses(said, 600, 25.0, [0, 10])
    assert with_short[0] == (0, 10)


def test_a_text_is_read_in_the_language_that_is_given():
    spoken = {
        language: listen(SAMPLE_VOICE, "Sieh die Wolken", 100, 25.0, no_progress, language=language)
        for language in ("", "de")
    }
    assert [said.language for said in spoken.values()] == ["en", "de"]
    english, german = ([phone.label for phone in said.phones] for said in spoken.values())
    assert english != german
