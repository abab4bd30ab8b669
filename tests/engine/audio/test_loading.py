# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import hashlib
import tracemalloc

import av
import numpy as np
import pytest
import soundfile

from engine.audio.loading import load_speech, speech_from_samples
from engine.core.errors import BadInputError, CancelledError
from engine.core.timing import frame_count

FORMATS = [
    ("wav", "PCM_16"),
    ("wav", "FLOAT"),
    ("flac", "PCM_16"),
    ("ogg", "VORBIS"),
    ("mp3", None),
]
FORMATS_AND_RATES = [
    (suffix, subtype, rate)
    for suffix, subtype in FORMATS
    for rate in (8000, 11025, 22050, 44100, 48000, 96000)
    if (suffix, rate) != ("mp3", 96000)  # MP3 has no such rate.
]


def pitch_of(samples):
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples)), 1 << 17))
    return spectrum.argmax() * 16000 / (1 << 17)


@pytest.mark.parametrize(("suffix", "subtype", "rate"), FORMATS_AND_RATES)
@pytest.mark.parametrize("channels", [1, 2])
def test_every_format_rate_and_layout_keeps_duration_and_pitch(
    tmp_path, tone, suffix, subtype, channels, rate
):
    path = tmp_path / f"tone.{suffix}"
    samples = tone(rate, channels=channels)
    soundfile.write(path, samples, rate, subtype=subtype)
    speech = load_speech(path)
    assert speech.duration == len(samples) / rate
    assert len(speech.samples) == round(speech.duration * 16000)
    assert speech.samples.dtype == np.float32
    assert pitch_of(speech.samples) == pytest.approx(440, abs=0.5)
    assert np.abs(speech.samples[2000:-2000]).max() == pytest.approx(0.5, abs=0.06)


@pytest.mark.parametrize(("suffix", "codec"), [("m4a", "aac"), ("mp4", "aac"), ("webm", "libopus")])
def test_containers_and_video_files_are_decoded(tmp_path, tone, write_container, suffix, codec):
    path = tmp_path / f"tone.{suffix}"
    write_container(path, codec, tone(48000).astype(np.float32).T)
    speech = load_speech(path)
    assert speech.duration == pytest.approx(1.2345, abs=0.025)
    assert pitch_of(speech.samples) == pytest.approx(440, abs=0.5)


def test_channels_are_averaged(tmp_path):
    path = tmp_path / "two.wav"
    soundfile.write(path, np.tile([0.5, 0.1], (16000, 1)), 16000, subtype="FLOAT")
    np.testing.assert_allclose(load_speech(path).samples, 0.3, atol=1e-6)


@pytest.mark.parametrize(
    ("gains", "taken"), [((0.5, -0.5), 0), ((-0.4, 0.41), 1), ((0.1, 0.3, -0.4, 0.0), 2)]
)
def test_of_channels_that_cancel_each_other_out_the_loudest_is_taken(tmp_path, tone, gains, taken):
    path, samples = tmp_path / "two.wav", tone(16000) * np.array(gains)
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    told = f"cancel each other out: channel {taken + 1} alone was used"
    for speech in (load_speech(path), speech_from_samples(samples, 16000)):
        np.testing.assert_allclose(speech.samples, samples[:, taken], atol=1e-6)
        assert told in speech.warnings[0]


@pytest.mark.parametrize("gains", [(0.5, 0.0), (0.5, -0.3), (0.0,) * 5 + (0.5,), (0.0, 0.0)])
def test_channels_that_leave_something_are_averaged(tmp_path, tone, gains):
    path, samples = tmp_path / "some.wav", tone(16000) * np.array(gains)
    soundfile.write(path, samples, 16000, subtype="FLOAT")
    speech = load_speech(path)
    np.testing.assert_allclose(speech.samples, samples.mean(axis=1), atol=1e-6)
    assert not any("channel" in warning for warning in speech.warnings)


SURROUND = [
    ("wav", "pcm_s16le"),
    ("flac", "flac"),
    ("mka", "libopus"),
    ("m4a", "aac"),
    ("ac3", "ac3"),
]


@pytest.mark.parametrize(("suffix", "codec"), SURROUND)
def test_of_surround_sound_the_centre_is_taken(tmp_path, tone, write_container, suffix, codec):
    path = tmp_path / f"film.{suffix}"
    speech = tone(48000)[:, 0]
    music = 0.4 * np.sin(2 * np.pi * 150 * np.arange(len(speech)) / 48000)
    planes = np.stack([music, music, 0.2 * speech, music, music, music]).astype(np.float32)
    write_container(path, codec, planes)
    found = load_speech(path)
    assert pitch_of(found.samples) == pytest.approx(440, abs=0.5)
    assert "the centre of its surround sound was used: channel 3" in found.warnings[-1]


def test_surround_sound_whose_centre_is_empty_is_averaged(tmp_path, tone, write_container):
    path, speech = tmp_path / "film.flac", tone(48000)[:, 0]
    write_container(path, "flac", np.stack([speech, speech, *[0 * speech] * 4]).astype(np.float32))
    found = load_speech(path)
    assert np.abs(found.samples[2000:-2000]).max() == pytest.approx(0.5 / 3, abs=0.02)
    assert not found.warnings


@pytest.mark.parametrize("rate", [16000, 44100])
def test_a_stretch_is_the_same_as_cutting_the_file(tmp_path, rate):
    noise = np.random.default_rng(1).normal(0, 0.1, rate * 2)
    soundfile.write(tmp_path / "all.wav", noise, rate, subtype="FLOAT")
    first, count = round(0.7 * rate), round(0.51 * rate)
    soundfile.write(tmp_path / "cut.wav", noise[first : first + count], rate, subtype="FLOAT")
    stretch = load_speech(tmp_path / "all.wav", start=0.7, duration=0.51)
    cut = load_speech(tmp_path / "cut.wav")
    assert stretch.duration == cut.duration == count / rate
    np.testing.assert_array_equal(stretch.samples, cut.samples)


def test_a_stretch_of_a_container_is_cut_to_the_sample(tmp_path, tone, write_container):
    path = tmp_path / "tone.m4a"
    write_container(path, "aac", tone(48000).astype(np.float32).T)
    whole = load_speech(path)
    stretch = load_speech(path, start=0.5, duration=0.25)
    assert stretch.duration == 0.25
    np.testing.assert_allclose(stretch.samples[50:-50], whole.samples[8050:11950], atol=1e-3)


def test_a_stretch_past_the_end_stops_there_with_a_warning(tmp_path, tone):
    soundfile.write(tmp_path / "tone.wav", tone(16000), 16000)
    speech = load_speech(tmp_path / "tone.wav", start=1.0, duration=5.0)
    assert speech.duration == pytest.approx(0.2345, abs=1e-4)
    assert any("tone.wav ends" in warning for warning in speech.warnings)


@pytest.mark.parametrize("fps", [12, 23.976, 24000 / 1001, 25, 29.97, 60, 120])
@pytest.mark.parametrize("frames", [9_613, 44_101, 132_301])
def test_frame_counts_follow_the_source_exactly(tmp_path, fps, frames):
    path = tmp_path / "odd.wav"
    soundfile.write(path, np.zeros(frames), 44100)
    assert frame_count(load_speech(path).duration, fps) == round(frames / 44100 * fps)


def test_the_hash_is_of_the_file(tmp_path, tone):
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(16000), 16000)
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_speech(path, start=0.1).sha256 == expected


def test_silence_is_valid_and_reported(tmp_path):
    soundfile.write(tmp_path / "quiet.wav", np.zeros(16000), 16000)
    assert any("silent" in warning for warning in load_speech(tmp_path / "quiet.wav").warnings)


def write_bad(path, kind):
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.1, 32000)
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "no samples":
        soundfile.write(path, np.zeros(0), 16000)
    elif kind == "too short":
        soundfile.write(path, noise[:1600], 16000)
    elif kind == "not audio":
        path.write_text("This is a text, not a sound.\n" * 40)
    elif kind == "random bytes":
        path.write_bytes(rng.bytes(5000))
    elif kind == "nan":
        soundfile.write(path, np.where(np.arange(32000) == 20000, np.nan, noise), 16000, "FLOAT")
    elif kind == "infinite":
        soundfile.write(path, np.where(np.arange(32000) > 20000, np.inf, noise), 16000, "FLOAT")
    elif kind == "nothing but a header":
        soundfile.write(path, noise, 16000)
        path.write_bytes(path.read_bytes()[:44])


@pytest.mark.parametrize(
    "kind",
    [
        *("missing", "folder", "empty", "no samples", "too short", "not audio"),
        *("random bytes", "nan", "infinite", "nothing but a header"),
    ],
)
def test_bad_input_is_named_with_a_remedy(tmp_path, kind):
    path = tmp_path / "voice.wav"
    write_bad(path, kind)
    with pytest.raises(BadInputError) as caught:
        load_speech(path)
    assert "voice.wav" in caught.value.message
    assert caught.value.hint


def test_a_video_without_sound_is_refused(tmp_path):
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 16
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), "rgb24")
        for _ in range(5):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(BadInputError, match="no sound"):
        load_speech(path)


@pytest.mark.parametrize(("start", "duration"), [(-1, None), (np.nan, None), (9, None), (0, 0.0)])
def test_impossible_stretches_are_refused(tmp_path, tone, start, duration):
    soundfile.write(tmp_path / "tone.wav", tone(16000), 16000)
    with pytest.raises(BadInputError):
        load_speech(tmp_path / "tone.wav", start=start, duration=duration)


def test_cancelling_stops_the_reading(tmp_path, tone):
    soundfile.write(tmp_path / "tone.wav", tone(48000, seconds=5), 48000)

    def cancel(fraction, message):
        raise CancelledError

    with pytest.raises(CancelledError):
        load_speech(tmp_path / "tone.wav", progress=cancel)


def test_more_than_can_be_handled_is_refused(tmp_path, monkeypatch, tone):
    from engine.audio import loading

    monkeypatch.setattr(loading, "MAX_DURATION", 1.0)
    soundfile.write(tmp_path / "tone.wav", tone(16000), 16000)
    with pytest.raises(BadInputError, match=r"tone\.wav holds more than"):
        load_speech(tmp_path / "tone.wav")
    assert load_speech(tmp_path / "tone.wav", duration=0.9).duration == 0.9


def test_ten_minutes_are_decoded_in_the_memory_of_the_result(tmp_path):
    path = tmp_path / "long.wav"
    minute = np.random.default_rng(0).integers(-3000, 3000, (48000 * 60, 2), np.int16)
    with soundfile.SoundFile(path, "w", 48000, 2) as file:
        for _ in range(10):
            file.write(minute)
    del minute
    tracemalloc.start()
    speech = load_speech(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert speech.duration == 600
    # The original as float32 takes 230 MB.
    assert peak < 1.3 * speech.samples.nbytes


@pytest.mark.parametrize(
    ("samples", "level"),
    [
        (np.full(16000, 0.25, np.float32), 0.25),
        (np.full((16000, 2), [0.5, 0.0]), 0.25),
        (np.full(16000, 8192, np.int16), 0.25),
        (np.full(16000, 160, np.uint8), 0.25),
    ],
)
def test_samples_of_any_kind_become_speech(samples, level):
    speech = speech_from_samples(samples, 16000)
    np.testing.assert_allclose(speech.samples, level, atol=1e-6)
    assert speech.duration == 1.0


def test_different_samples_have_different_hashes(tone):
    hashes = {
        speech_from_samples(tone(r, pitch=p), r).sha256 for r in (8000, 16000) for p in (99, 98)
    }
    assert len(hashes) == 4


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        (np.zeros(0), 16000),
        (np.zeros(100), 16000),
        (np.full(16000, np.nan), 16000),
        (np.zeros((2, 2, 2)), 16000),
        (np.zeros(16000), 0),
        (np.array(["a"] * 16000), 16000),
    ],
)
def test_bad_samples_are_refused(samples, rate):
    with pytest.raises(BadInputError):
        speech_from_samples(samples, rate)
