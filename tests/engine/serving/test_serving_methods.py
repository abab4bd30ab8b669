# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine's methods, called as the server calls them."""

from __future__ import annotations

import numpy as np
import pytest
import soundfile

from engine.core.errors import BadInputError, CancelledError
from engine.core.json_values import JsonObject
from engine.heads import load_head
from engine.heads.flame_param import FlameParam, save_flame_param
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.interchange.curve_files import write_curves
from engine.motion.interchange.face_curves import FaceCurves
from engine.serving.methods import make_methods
from engine.serving.request import Request
from tests.engine.heads.flame_people import TEETH, identity, write_model


@pytest.fixture(scope="module")
def call():
    methods = make_methods()

    def ask(method, arrays=None, progress=lambda _fraction, _message: None, **params):
        return methods[method](Request(method, JsonObject(params, method), arrays or {}, progress))

    return ask


@pytest.fixture(scope="module")
def voice(tmp_path_factory):
    """0.8 s in which a buzz like a voice's comes and goes, as stereo FLAC."""
    rate = 44_100
    time = np.arange(round(0.8 * rate)) / rate
    buzz = sum(np.sin(2 * np.pi * 120 * k * time) / k for k in range(1, 30))
    samples = 0.1 * buzz * (np.sin(2 * np.pi * 3 * time) > 0)
    path = tmp_path_factory.mktemp("voice") / "voice.flac"
    soundfile.write(path, np.stack([samples, samples], axis=1), rate)
    return path


def test_head_load_gives_geometry_that_fits_together(call):
    reply = call("head.load", head="default")
    vertices = len(reply.arrays["template"])
    faces, uv_faces = reply.arrays["faces"], reply.arrays["uv_faces"]
    assert faces.shape == uv_faces.shape
    assert faces.max() < vertices
    assert uv_faces.max() < len(reply.arrays["uv"])
    assert len(reply.arrays["expression_basis"]) == len(reply.body["expression_names"])
    for region in reply.body["regions"]:
        assert reply.arrays[f"region/{region}"].max() < vertices


def test_a_misspelt_parameter_is_named(call):
    with pytest.raises(BadInputError, match="haed"):
        call("head.load", haed="default")


def test_a_missing_head_file_is_named(call, tmp_path):
    with pytest.raises(BadInputError, match=r"nobody\.pkl"):
        call("head.load", head=str(tmp_path / "nobody.pkl"))


@pytest.mark.parametrize("fps", [24.0, 24000 / 1001, 60.0])
def test_speech_gives_a_value_per_frame_and_key(call, voice, fps):
    reply = call("speech.predict", head="default", fps=fps, audio=str(voice))
    values = reply.arrays["key_values"]
    assert reply.body["frames"] == len(values) == round(0.8 * fps)
    assert values.shape[1] == len(reply.body["key_names"])
    assert values.min() >= 0
    assert values.max() <= 1
    assert reply.body["max_error_mm"] <= 0.1
    assert reply.body["performance"] is None


def test_a_stretch_of_the_file_is_as_long_as_asked_for(call, voice):
    reply = call("speech.predict", fps=25.0, audio=str(voice), start=0.1, duration=0.4)
    assert reply.body["frames"] == 10


def test_samples_give_what_their_file_gives(call, voice):
    samples, rate = soundfile.read(voice, dtype="float32")
    by_file = call("speech.predict", fps=25.0, audio=str(voice))
    by_samples = call("speech.predict", {"samples": samples}, fps=25.0, rate=rate)
    np.testing.assert_allclose(
        by_samples.arrays["key_values"], by_file.arrays["key_values"], atol=0.02
    )


def test_a_file_that_is_sent_gives_what_its_path_gives(call, voice):
    content = np.frombuffer(voice.read_bytes(), np.uint8)
    stretch = {"fps": 25.0, "start": 0.1, "duration": 0.5}
    by_path = call("speech.predict", audio=str(voice), **stretch)
    sent = call("speech.predict", {"audio_file": content}, audio_name="../voice.flac", **stretch)
    np.testing.assert_array_equal(sent.arrays["key_values"], by_path.arrays["key_values"])
    assert sent.body["source_sha256"] == by_path.body["source_sha256"]


@pytest.mark.parametrize("name", ["voice.wav", "..", "", "a" * 300 + ".wav", "bad\0name.wav"])
def test_a_sent_file_that_is_no_sound_is_refused_whatever_its_name(call, name):
    content = np.frombuffer(b"this is no sound at all", np.uint8)
    with pytest.raises(BadInputError) as caught:
        call("speech.predict", {"audio_file": content}, audio_name=name, fps=25.0)
    assert caught.value.hint


def test_cues_are_in_the_time_of_the_whole_sound(call, sample_voice, tmp_path):
    speech, text = sample_voice
    soundfile.write(tmp_path / "a.wav", np.pad(speech.samples, (8000, 0)), 16000)
    cues = [{"text": text, "start": 0.5, "end": 6.5}, {"text": "Never said.", "start": 9.0}]
    whole = call("speech.predict", fps=25.0, audio=str(tmp_path / "a.wav"), cues=cues)
    assert " ".join(word for word, _, _ in whole.body["words"]).startswith(text)
    later = call("speech.predict", fps=25.0, audio=str(tmp_path / "a.wav"), cues=cues, start=0.5)
    assert not later.body["warnings"]
    assert later.body["language"] == "en"
    for (word, start, _), (same, then, _) in zip(
        later.body["words"], whole.body["words"], strict=False
    ):
        assert word == same
        assert start == pytest.approx(then - 0.5, abs=0.03)


PHONES = [["SIL", 0.0, 0.4], ["M", 0.4, 0.5], ["AA", 0.5, 0.7]]


@pytest.mark.parametrize("model", ["corrected", "rules", "starter"])
def test_given_phones_are_spoken_without_recognising(call, voice, monkeypatch, model):
    monkeypatch.setattr("engine.recognition.recognizer.recognize", None)
    ask = {"fps": 50.0, "audio": str(voice), "model": model, "language": "en"}
    words = [["ma", 0.4, 0.7]]
    made = call("speech.predict", phones=PHONES, words=words, **ask)
    assert made.body["phones"] == [*PHONES, ["SIL", 0.7, pytest.approx(0.8)]]
    assert (made.body["words"], made.body["language"]) == (words, "en")
    later = [[label, start + 0.1, end + 0.1] for label, start, end in PHONES[1:]]
    moved = call("speech.predict", phones=later, **ask)
    differ = np.abs(moved.arrays["key_values"] - made.arrays["key_values"]).max(axis=1)
    assert differ[23:35].max() > 0.1


def test_given_phones_are_in_the_time_of_the_whole_sound(call, voice):
    made = call("speech.predict", fps=25.0, audio=str(voice), start=0.45, phones=PHONES)
    assert [label for label, *_ in made.body["phones"]] == ["M", "AA", "SIL"]
    np.testing.assert_allclose(made.body["phones"][1][1:], [0.05, 0.25], atol=1e-6)


def test_words_alone_are_pronounced(call, voice):
    made = call("speech.predict", fps=25.0, audio=str(voice), words=[["map", 0.3, 0.6]])
    assert [label for label, *_ in made.body["phones"]] == ["SIL", "M", "AE", "P", "SIL"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"phones": "M"}, "list of"),
        ({"phones": [["M", 0.1]]}, "list of"),
        ({"phones": [["M", 0.1, "x"]]}, "time of 'M'"),
        ({"phones": [[1, 0.1, 0.2]]}, "list of"),
        ({"phones": [["x1", 0.1, 0.2]]}, "x1"),
        ({"phones": [["M", 0.3, 0.5], ["P", 0.4, 0.6]]}, "'M' and 'P' overlap"),
        ({"phones": PHONES, "text": "ma"}, "Both a text and phones"),
    ],
)
def test_given_phones_that_do_not_fit_are_named(call, voice, given, named):
    with pytest.raises(BadInputError, match=named):
        call("speech.predict", fps=25.0, audio=str(voice), **given)


def test_a_sound_is_recognised_once_for_each_text_and_recogniser(call, voice, monkeypatch):
    from engine.recognition import recognizer, whisper_models

    asked, recognize = [], recognizer.recognize

    def watched(speech, text, progress, **options):
        asked.append((text, options["recognizer"]))
        return recognize(speech, text, progress, **options)

    monkeypatch.setattr(recognizer, "recognize", watched)

    def predicted(**params):
        return call("speech.predict", audio=str(voice), **params)

    first = predicted(fps=25.0, text="Boom boom")
    again = predicted(fps=50.0, text="Boom boom", model="starter")
    assert again.body["phones"] == first.body["phones"]
    assert asked == [("Boom boom", "auto")]
    predicted(fps=25.0, text="Boom boom", duration=0.5)
    predicted(fps=25.0, text="Boom boom boom")
    predicted(fps=25.0, text="Boom boom boom", recognizer="phones")
    others = [("Boom boom", "auto"), ("Boom boom boom", "auto"), ("Boom boom boom", "phones")]
    assert asked[1:] == others
    # A model that was downloaded since may write down other words.
    monkeypatch.setattr(whisper_models, "find_multilingual", lambda: voice.parent)
    predicted(fps=25.0, text="Boom boom boom")
    assert len(asked) == 5


def test_a_text_and_cues_together_are_refused(call, voice):
    with pytest.raises(BadInputError, match="cues"):
        call("speech.predict", fps=25.0, audio=str(voice), text="x", cues=[{"text": "x"}])


def test_a_saved_performance_loads_as_it_was_predicted(call, voice, tmp_path):
    path = str(tmp_path / "voice.performance.npz")
    predicted = call("speech.predict", fps=25.0, audio=str(voice), save=path)
    loaded = call("performance.load", path=path)
    assert loaded.body["key_names"] == predicted.body["key_names"]
    assert loaded.body["phones"] == predicted.body["phones"]
    assert loaded.body["prosody"] == predicted.body["prosody"]
    np.testing.assert_allclose(
        loaded.arrays["key_values"], predicted.arrays["key_values"], atol=1e-6
    )


def test_a_reply_has_what_gaze_and_head_motion_are_baked_from(call, voice):
    head, reply = load_head("default"), call("speech.predict", fps=25.0, audio=str(voice))
    assert set(reply.body["prosody"]) == {"accents", "tones"}
    np.testing.assert_allclose(reply.body["neck"], head.neck)
    np.testing.assert_allclose(reply.body["eyes"], head.template[head.regions["eyeballs"]].mean(0))
    assert reply.arrays["head_rotation"].shape == (len(reply.arrays["key_values"]), 3)


def test_speech_without_a_sound_says_what_it_needs(call):
    with pytest.raises(BadInputError, match="samples"):
        call("speech.predict", fps=25.0)


def test_a_cancel_ends_the_prediction_and_writes_nothing(call, voice, tmp_path):
    def cancelled(_fraction, _message):
        raise CancelledError

    path = tmp_path / "voice.performance.npz"
    with pytest.raises(CancelledError):
        call("speech.predict", progress=cancelled, fps=25.0, audio=str(voice), save=str(path))
    assert not list(tmp_path.iterdir())


def test_the_poses_of_a_flame_person_load_for_the_head_that_carries_them(call, tmp_path):
    shape, static = identity()
    model = write_model(tmp_path / "flame2023.npz")
    param = FlameParam.neutral(TEETH, 5, shape)
    param.static_offset[:] = static
    param.neck_pose[:, 1] = np.linspace(0, 0.2, 5)
    param.eyes_pose[:, 1] = np.linspace(0, -0.3, 5)
    save_flame_param(param, tmp_path / "flame_param.npz")
    head = load_head(tmp_path / "flame_param.npz", model)
    reply = call("performance.load", path=str(tmp_path / "flame_param.npz"))
    assert reply.body["head"] == head.id
    assert reply.body["frames"] == 5
    # Turning neck and eyes is no expression: corrective keys carry it.
    assert reply.arrays["corrective_deltas"].shape[0] > 0
    assert reply.body["max_error_mm"] < 0.5


def test_curves_load_at_the_frames_that_are_asked_for(call, tmp_path):
    weights = np.zeros((61, 52), np.float32)
    weights[:, ARKIT_NAMES.index("jawOpen")] = np.linspace(0, 1, 61)
    path = tmp_path / "take.csv"
    write_curves(FaceCurves(60.0, weights, np.zeros((61, 3), np.float32)), path)
    loaded = call("performance.load", path=str(path), head="default", fps=24.0, rate=60.0)
    assert (loaded.body["frames"], loaded.body["fps"]) == (25, 24.0)
    jaw = loaded.arrays["key_values"][:, loaded.body["key_names"].index("jawOpen")]
    np.testing.assert_allclose(jaw, np.linspace(0, 1, 25), atol=1e-5)
    content = np.frombuffer(path.read_bytes(), np.uint8)
    sent = call("performance.load", {"motion_file": content}, name="take.csv", fps=24.0)
    np.testing.assert_array_equal(sent.arrays["key_values"], loaded.arrays["key_values"])


def test_a_motion_file_has_to_come_somehow(call):
    with pytest.raises(BadInputError, match="motion_file"):
        call("performance.load", head="default")


def test_flame_parameters_of_a_head_that_is_not_flame_are_refused(call, voice, tmp_path):
    path = str(tmp_path / "voice.performance.npz")
    call("speech.predict", fps=25.0, audio=str(voice), save=path)
    out = tmp_path / "flame_param.npz"
    with pytest.raises(BadInputError, match="no FLAME parameters"):
        call("performance.flame", path=path, head="default", out=str(out))
    assert not out.exists()
