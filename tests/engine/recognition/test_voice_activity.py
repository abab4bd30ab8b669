# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from difflib import SequenceMatcher
from pathlib import Path

import numpy as np
import pytest
from scipy.signal import butter, istft, lfilter, sosfilt, stft

from engine.audio.features import features
from engine.audio.loading import load_speech
from engine.recognition.recognizer import recognize
from engine.recognition.voice_activity import detect_voice_activity
from tests.conftest import HUMAN
from tests.engine.recognition.made_speech import RATE, labels, speech_of, spoken

SECONDS = 6
PHONES = Path(__file__).parents[2] / "speech" / "sample_voice.phones.json"
CASES = HUMAN.parent / "cases" / "audio"


def regions(samples):
    samples = np.asarray(samples, np.float32)
    return detect_voice_activity(samples, features(samples, len(samples) // 160)).regions


def covered(found, frames):
    mask = np.zeros(frames, bool)
    for start, stop in found:
        mask[start:stop] = True
    return mask


@pytest.fixture(scope="module")
def words(sample_voice):
    """Samples of some words of the sample voice, 0.2 to 0.5 s long."""
    (line,) = json.loads(PHONES.read_text("utf-8"))["w"]
    sounds = [phone["t"] for phone in line["w"]]
    found = []
    for word in ("L EH N D", "V OY S", "M UW V", "M AW TH", "S AA F T", "W IH S P ER", "B UW M"):
        wanted = word.split()
        first = next(k for k in range(len(sounds)) if sounds[k : k + len(wanted)] == wanted)
        last = line["w"][first + len(wanted) - 1]
        start, end = line["w"][first]["b"], last["b"] + last["d"]
        found.append(sample_voice[0].samples[round(start * RATE) : round(end * RATE)])
    return found


def whispered(samples):
    """The same speech with noise for a voice, and the low harmonics gone."""
    rng = np.random.default_rng(2)
    spectrum = stft(samples, RATE, nperseg=320)[2]
    noise = np.exp(2j * np.pi * rng.random(spectrum.shape))
    whisper = istft(np.abs(spectrum) * noise, RATE, nperseg=320)[1][: len(samples)]
    return sosfilt(butter(2, 500, "highpass", fs=RATE, output="sos"), whisper).astype(np.float32)


def creaky(samples):
    """Speech in irregular pulses, 8 to 30 ms apart, that die away within 10 ms."""
    rng = np.random.default_rng(4)
    edges = np.cumsum(rng.uniform(0.008, 0.03, len(samples) // 100) * RATE).astype(int)
    edges = edges[edges < len(samples)]
    pulses = np.zeros(len(samples))
    pulses[edges] = 1
    gate = lfilter([1], [1, -0.994], pulses)
    return (samples * np.clip(gate, 0, 1.5)).astype(np.float32)


def breathy(samples):
    """Half voice, half whisper, in a hiss 25 dB under the speech."""
    rng = np.random.default_rng(5)
    hiss = rng.normal(0, samples.std() * 0.05, len(samples))
    return (0.4 * samples + 0.8 * whispered(samples) + hiss).astype(np.float32)


@pytest.mark.parametrize("voice", [whispered, creaky, breathy])
@pytest.mark.parametrize("gain", [1.0, 0.02])
def test_a_voice_without_much_pitch_is_speech(sample_voice, voice, gain):
    samples = sample_voice[0].samples
    frames = len(samples) // 160
    clear = covered(regions(samples), frames)
    found = covered(regions(gain * voice(samples)), frames)
    assert (clear & ~found).sum() / clear.sum() < 0.1
    assert (found & ~clear).sum() / clear.sum() < 0.1


def test_a_whisper_moves_the_lips_without_a_text(sample_voice):
    found = spoken(recognize(speech_of(whispered(sample_voice[0].samples)), recognizer="phones"))
    assert len(found) > 20


def notes(rng, lowest, seconds, harmonics):
    """A melody: notes that are struck and die away."""
    sound = np.zeros(SECONDS * RATE)
    for start in np.arange(0, SECONDS, seconds):
        pitch = lowest * 2 ** (rng.choice([0, 2, 4, 5, 7, 9, 11, 12]) / 12)
        first = int(start * RATE)
        time = np.arange(min(int(seconds * 1.1 * RATE), len(sound) - first)) / RATE
        tone = sum(np.sin(2 * np.pi * pitch * k * time) / k for k in range(1, harmonics + 1))
        sound[first : first + len(time)] += np.minimum(time / 0.01, 1) * np.exp(-time / 0.6) * tone
    return sound


def drums(rng):
    sound = np.zeros(SECONDS * RATE)
    for beat in range(int(SECONDS / 0.15)):
        first = int(beat * 0.15 * RATE)
        time = np.arange(min(1600, len(sound) - first)) / RATE
        if beat % 4 == 0:
            kick = np.sin(2 * np.pi * (60 + 80 * np.exp(-40 * time)) * time)
            sound[first : first + len(time)] += 2 * kick * np.exp(-20 * time)
        if beat % 4 == 2:
            sound[first : first + len(time)] += rng.normal(0, 1, len(time)) * np.exp(-25 * time)
    return sound


def music(seed):
    rng = np.random.default_rng(seed)
    time = np.arange(SECONDS * RATE) / RATE
    chord = sum(np.sin(2 * np.pi * f * k * time) / k for f in (220, 277, 330) for k in (1, 2, 3, 4))
    vibrato = 5 * np.sin(2 * np.pi * 5.5 * time) / 5.5
    pink = lfilter(
        [0.049922035, -0.095993537, 0.050612699, -0.004408786],
        [1, -2.494956002, 2.017265875, -0.522189400],
        rng.normal(0, 1, SECONDS * RATE),
    )
    wind = np.interp(time, np.linspace(0, SECONDS, 10), rng.random(10))
    return {
        "melody": 0.15 * notes(rng, 220, 0.3, 6),
        "bass": 0.2 * notes(rng, 55, 0.6, 10),
        "flute": 0.2 * notes(rng, 440, 0.5, 2),
        "drums": 0.2 * drums(rng),
        "chord": 0.1 * chord,
        "chord on and off": 0.1 * chord * (time > 1.5) * (time < 4),
        "violin": 0.1
        * sum(np.sin(2 * np.pi * k * (330 * time + vibrato)) / k for k in range(1, 8)),
        "steady tone": 0.3 * np.sin(2 * np.pi * 220 * time),
        "sweep": 0.2 * np.sin(2 * np.pi * (100 * time + 150 * time**2)),
        "pink noise": 0.5 * pink,
        "wind": pink * wind,
        "trembling noise": 0.5 * pink * (1 + np.sin(2 * np.pi * 4 * time)),
    }


@pytest.mark.parametrize("kind", music(0))
def test_music_and_noise_are_no_speech(kind):
    for seed in range(3):
        assert regions(music(seed)[kind]) == ()


def gated(samples):
    """Half a second of it every two seconds, and no sound at all between, as of a noise gate."""
    time = np.arange(len(samples)) / RATE
    return np.where(time % 2.0 < 0.5, samples, 0.0)


@pytest.mark.parametrize("kind", music(0))
def test_music_and_noise_in_short_parts_are_no_speech(kind):
    for seed in range(3):
        assert regions(gated(music(seed)[kind])) == ()


@pytest.mark.parametrize("seconds", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("voice", [np.asarray, breathy])
def test_a_word_between_silences_without_any_noise_is_speech(words, voice, seconds):
    silence = np.zeros(round(seconds * RATE), np.float32)
    found = [bool(regions(np.concatenate([silence, voice(word), silence]))) for word in words]
    assert sum(found) >= len(words) - 1  # "Boom" is hardly more than a hum.


def test_music_moves_no_lips():
    assert labels(recognize(speech_of(music(1)["melody"]))) == ["SIL"]


def test_speech_between_music_is_found_alone(sample_voice):
    melody = music(2)["melody"].astype(np.float32)
    voice = sample_voice[0].samples
    found = regions(np.concatenate([melody, voice, melody]))
    assert found[0][0] > 580
    assert found[-1][1] < 620 + len(voice) // 160
    alone = covered(regions(voice), len(voice) // 160)
    among = covered(found, 1200 + len(voice) // 160 + 1)[600 : 600 + len(voice) // 160]
    assert (alone & ~among).sum() / alone.sum() < 0.05


def test_a_breath_before_speech_is_none_of_it(sample_voice):
    rng = np.random.default_rng(8)
    voice = sample_voice[0].samples
    start = np.flatnonzero(np.abs(voice) > 0.02)[0]
    quiet = rng.normal(0, 1e-4, 2 * RATE).astype(np.float32)
    rise = np.hanning(RATE // 4).astype(np.float32)
    quiet[RATE : RATE + len(rise)] += 0.01 * rise * rng.normal(0, 1, len(rise)).astype(np.float32)
    # The breath ends 0.25 s before the first sound.
    found = regions(np.concatenate([quiet[: round(1.5 * RATE)], voice[start:]]))
    assert 140 <= found[0][0] <= 155


def test_a_soft_speaker_after_a_loud_one_is_speech(sample_voice):
    voice = sample_voice[0].samples
    gap = np.zeros(2 * RATE, np.float32)
    found = regions(np.concatenate([voice, gap, 0.01 * voice]))
    first = covered(found, 2 * len(voice) // 160 + 200)
    frames = len(voice) // 160
    assert first[frames + 200 :].mean() == pytest.approx(first[:frames].mean(), abs=0.08)


@pytest.fixture(scope="module")
def whole(sample_voice):
    """Samples of the sample voice four times, at several levels, and what is recognised in them."""
    voice = sample_voice[0].samples
    rng = np.random.default_rng(6)
    pause = rng.normal(0, 1e-4, RATE // 2).astype(np.float32)
    samples = np.concatenate([3 * voice, pause, 0.3 * voice, pause, voice, pause, 0.1 * voice])
    return samples, recognize(speech_of(samples), recognizer="phones")


@pytest.mark.parametrize(("cut", "alike"), [(5.12, 1.0), (3.217, 0.93), (6.9173, 0.93)])
def test_a_part_is_recognised_as_in_the_whole(whole, cut, alike):
    """Equal phones four seconds from where it was cut, though the rest is louder.

    Nearly equal ones where the cut shifts the frames of 10 ms, and the detector's of 32 ms.
    """
    samples, theirs = whole
    first = round(cut * RATE)
    last = first + 12 * RATE
    ours = recognize(speech_of(samples[first:last]), recognizer="phones")
    inner = [p.label for p in ours.phones if 4 < (p.start + p.end) / 2 < 8]
    outer = [p.label for p in theirs.phones if 4 < (p.start + p.end) / 2 - cut < 8]
    assert len(inner) > 25
    assert SequenceMatcher(None, inner, outer).ratio() >= alike
    frames = slice(400, 800)
    start = round(first / 160)
    energy = theirs.energy[start : start + 1200]
    assert np.abs(ours.energy[frames] - energy[frames]).mean() < 0.03


@pytest.mark.parametrize(
    ("name", "start", "stop"),
    [("mfa_whisper.flac", 0.65, 2.2), ("Claire_joy_mandarin.wav", 0.5, 7.85)],
)
def test_recorded_voices_are_speech_throughout(name, start, stop):
    """Whispered words; acted Mandarin."""
    path = CASES / name
    if not path.is_file():
        pytest.skip(f"There is no {path}.")
    speech = load_speech(path)
    found = covered(regions(speech.samples), 900)
    assert found[round(start * 100) : round(stop * 100)].mean() > 0.95
    phones = recognize(speech, recognizer="phones").phones
    silence = sum(min(p.end, stop) - max(p.start, start) for p in phones
                  if p.label == "SIL" and p.end > start and p.start < stop)  # fmt: skip
    assert silence / (stop - start) <= 0.05
