"""Live speech: the same frames at any pace, closed lips, still lips where nobody speaks."""

from __future__ import annotations

import functools
import io
import sys
import types
from importlib.resources import as_file, files

import numpy as np
import pytest

from engine.audio.loading import SAMPLE_RATE, load_speech
from engine.core.errors import BadInputError
from engine.live.session import run
from engine.live.sound import Microphone, Pipe, SoundFile
from engine.live.speech import LOOK_AHEAD, LiveSpeech
from engine.motion.lip_contact import lip_gap
from engine.motion.model.ids import MODELS
from engine.recognition.live import HOP, LiveRecognizer

FPS = 60.0


@pytest.fixture(scope="module")
def voice():
    with as_file(files("engine.assets") / "sample_voice.wav") as path:
        return load_speech(path).samples[: 3 * SAMPLE_RATE]


def spoken(head, samples, chunk=HOP, model="rules", **options):
    """All frames of a sound that comes in chunks."""
    with LiveSpeech(head, FPS, model=model, **options) as live:
        made = [live.push(samples[i : i + chunk]) for i in range(0, len(samples), chunk)]
        made.append(live.finish())
    return np.concatenate(made)


@pytest.fixture(scope="module")
def usual(head, voice):
    """All frames of the voice, hop by hop, by the name of a model."""
    return functools.cache(lambda model="rules": spoken(head, voice, model=model))


@pytest.mark.parametrize("model", MODELS)
def test_frames_do_not_depend_on_the_chunks(head, voice, model):
    steady = spoken(head, voice, 160, model)
    assert len(steady) == round(len(voice) / SAMPLE_RATE * FPS)
    np.testing.assert_array_equal(spoken(head, voice, len(voice), model), steady)
    np.testing.assert_array_equal(spoken(head, voice, 1111, model), steady)


def test_a_frame_comes_within_its_look_ahead_and_one_hop(head, voice):
    with LiveSpeech(head, FPS, model="rules") as live:
        given = 0
        for taken in range(HOP // 4, len(voice), HOP // 4):
            given += len(live.push(voice[taken - HOP // 4 : taken]))
            due = (taken - HOP) / SAMPLE_RATE - LOOK_AHEAD
            assert given >= due * FPS - 1e-6


def test_the_mouth_opens_and_shuts(head, usual):
    weights = usual()
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    widest = (weights @ gap.parting).max(axis=1)
    assert widest.max() > 0.005
    assert widest.min() < 0.0003
    assert weights.min() >= 0
    assert weights.max() <= 1


def test_the_level_of_the_microphone_does_not_matter(head, voice, usual):
    jaw = head.expression_names.index("jawOpen")
    loud, soft = usual()[30:, jaw], spoken(head, voice * 0.05)[30:, jaw]
    assert np.corrcoef(loud, soft)[0, 1] > 0.9


@pytest.mark.parametrize("model", MODELS)
def test_a_slow_machine_catches_up(head, voice, usual, model):
    one = spoken(head, voice, HOP, model, catch_up=True)
    np.testing.assert_array_equal(one, usual(model))
    late = spoken(head, voice, 5 * HOP, model, catch_up=True)
    assert len(late) == len(one)
    jaw = head.expression_names.index("jawOpen")
    assert np.corrcoef(one[:, jaw], late[:, jaw])[0, 1] > 0.95


@pytest.mark.parametrize("model", MODELS)
def test_a_stall_of_seconds_loses_no_frame(head, voice, model):
    stalled = spoken(head, voice, len(voice), model, catch_up=True)
    assert len(stalled) == round(len(voice) / SAMPLE_RATE * FPS)


@pytest.mark.parametrize("noise", ["silence", "white", "tone"])
def test_where_nobody_speaks_the_mouth_rests(head, noise):
    time = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
    sound = {
        "silence": np.zeros_like(time),
        "white": np.random.default_rng(0).normal(size=len(time)) * 0.1,
        "tone": 0.3 * np.sin(2 * np.pi * 220 * time),
    }[noise].astype(np.float32)
    mouth = [i for i, name in enumerate(head.expression_names) if name.startswith(("jaw", "mouth"))]
    assert spoken(head, sound)[:, mouth].max() < 0.02


def test_other_rates_are_resampled(head, voice, usual):
    import soxr

    jaw = head.expression_names.index("jawOpen")
    resampled = soxr.resample(voice, SAMPLE_RATE, 48_000)
    one, other = usual()[:, jaw], spoken(head, resampled, rate=48_000.0)[:, jaw]
    assert len(one) == len(other)
    assert np.corrcoef(one, other)[0, 1] > 0.9


def test_eyes_blink_as_asked(head, voice, usual):
    from engine.motion.style import Style

    lid = head.expression_names.index("eyeBlinkLeft")
    assert usual()[:, lid].max() > 0.9
    assert spoken(head, voice, style=Style(upper_face=0.0))[:, lid].max() < 0.05


def test_recognition_goes_through_a_change_of_utterance(voice, monkeypatch):
    def phones(longest):
        monkeypatch.setattr("engine.recognition.senone_stream.LONGEST", longest)
        recognizer = LiveRecognizer(3.0)
        for first in range(0, len(voice) - HOP, HOP):
            recognizer.push(voice[first : first + HOP])
        _, found = recognizer.recognized(0.0)
        recognizer.close()
        return [phone.label for phone in found.phones]

    whole, cut = phones(60 * 100), phones(100)
    assert len(whole) > 10
    matching = sum(a == b for a, b in zip(whole, cut, strict=False))
    assert matching >= 0.8 * len(whole)


class Kept:
    """A sender that keeps what it is sent."""

    def __init__(self, fail_at=None, error=None):
        self.frames, self.fail_at, self.error = [], fail_at, error

    def send(self, frame, seconds, weights):
        if frame == self.fail_at:
            raise self.error
        self.frames.append((frame, seconds, weights))

    def close(self):
        pass


@pytest.fixture
def pcm(voice):
    return (voice[: 2 * SAMPLE_RATE] * 32767).astype("<i2").tobytes()


def test_a_session_sends_every_frame_of_a_pipe(head, pcm):
    kept = Kept()
    # A byte too few at its end: the last sample is no sample.
    source = Pipe(io.BytesIO(pcm[:-1]), SAMPLE_RATE, "s16le")
    count = run(LiveSpeech(head, FPS, model="rules"), source, [kept])
    assert count == len(kept.frames) == 120
    assert [number for number, _, _ in kept.frames] == list(range(120))
    assert kept.frames[6][1] == pytest.approx(0.1)
    assert kept.frames[0][2].shape == (52,)


@pytest.mark.parametrize("kind", [BadInputError, OverflowError])
def test_what_a_sender_cannot_send_ends_the_session(head, pcm, kind):
    source = Pipe(io.BytesIO(pcm), SAMPLE_RATE, "s16le")
    with pytest.raises(kind, match="receiver is gone"):
        run(LiveSpeech(head, FPS, model="rules"), source, [Kept(5, kind("The receiver is gone."))])


def test_samples_that_are_no_numbers_are_refused():
    source = Pipe(io.BytesIO(np.full(400, np.nan, "<f4").tobytes()), SAMPLE_RATE, "f32le")
    with pytest.raises(BadInputError, match="NaN"):
        list(source.blocks())


def test_a_file_gives_its_samples(tmp_path, voice):
    import soundfile

    path = tmp_path / "voice.wav"
    soundfile.write(path, voice[:SAMPLE_RATE], SAMPLE_RATE, subtype="FLOAT")
    made = np.concatenate(list(SoundFile(path, paced=False).blocks()))
    np.testing.assert_allclose(made, voice[:SAMPLE_RATE], atol=1e-6)
    paced = np.concatenate(list(SoundFile(path, paced=True).blocks()))
    np.testing.assert_array_equal(paced, made)


def fake_portaudio(**changes):
    """sounddevice as :class:`Microphone` uses it."""

    class PortAudioError(Exception):
        pass

    class InputStream:
        open = 0

        def __init__(self, *, callback, blocksize, **_):
            self.callback, self.blocksize = callback, blocksize
            InputStream.open += 1

        def start(self):
            self.callback(np.ones((self.blocksize, 1), np.float32), self.blocksize, None, None)

        def close(self):
            InputStream.open -= 1

    def query_devices(number=None, _kind=None):
        if number == "nothing":
            raise ValueError("No input device matching 'nothing'")
        return {"name": "Desk", "default_samplerate": 48_000.0, "max_input_channels": 1}

    def check_input_settings(**_):
        raise PortAudioError("Invalid sample rate")

    parts = {
        "PortAudioError": PortAudioError,
        "InputStream": InputStream,
        "query_devices": query_devices,
        "check_input_settings": check_input_settings,
    }
    return types.SimpleNamespace(**(parts | changes))


def test_a_microphone_that_stops_is_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", fake_portaudio())
    monkeypatch.setattr("engine.live.sound.SILENT_FOR", 0.05)
    source = Microphone()
    assert source.rate == 48_000
    blocks = source.blocks()
    assert len(next(blocks)) == 480
    with pytest.raises(BadInputError, match="'Desk' gives no sound any more"):
        next(blocks)


def test_a_microphone_listens_only_while_its_sound_is_taken(monkeypatch):
    portaudio = fake_portaudio()
    monkeypatch.setitem(sys.modules, "sounddevice", portaudio)
    source = Microphone()
    assert portaudio.InputStream.open == 0
    blocks = source.blocks()
    next(blocks)
    assert portaudio.InputStream.open == 1
    blocks.close()
    assert portaudio.InputStream.open == 0


def test_a_microphone_that_cannot_be_started_is_named_and_let_go(monkeypatch):
    portaudio = fake_portaudio()
    monkeypatch.setitem(sys.modules, "sounddevice", portaudio)

    def busy(_stream):
        raise portaudio.PortAudioError("Device unavailable")

    monkeypatch.setattr(portaudio.InputStream, "start", busy)
    with pytest.raises(BadInputError, match="The microphone 3 cannot be opened: Device unavail"):
        next(Microphone("3").blocks())
    assert portaudio.InputStream.open == 0


def test_a_microphone_that_is_not_there_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sounddevice", fake_portaudio())
    with pytest.raises(BadInputError, match="'nothing' cannot be opened: No input device"):
        Microphone("nothing")


def test_a_model_of_another_encoder_is_refused(head, monkeypatch):
    from engine.live import speech

    loaded = types.SimpleNamespace(basis=None, encoder=types.SimpleNamespace(id="wav2vec2"))
    monkeypatch.setattr(speech, "loaded_model", lambda *_: loaded)
    with pytest.raises(BadInputError, match="cannot run live"):
        LiveSpeech(head, FPS, model="starter")
