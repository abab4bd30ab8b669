# SPDX-License-Identifier: GPL-3.0-or-later
import json

import numpy as np
import pytest
import soundfile

from engine.core.timing import frame_count
from engine.motion.interchange.curve_files import read_curves
from engine.motion.interchange.face_curves import curves_of
from engine.motion.performance import Performance
from training.cli import main


@pytest.fixture
def humming(tmp_path):
    """A second and a half of a voice-like tone in every kind of file."""

    def write(name, seconds=1.5, rate=16000, channels=1):
        t = np.arange(round(seconds * rate)) / rate
        tone = 0.3 * np.sign(np.sin(2 * np.pi * 120 * t)) * (0.5 + 0.5 * np.sin(2 * np.pi * 3 * t))
        path = tmp_path / name
        soundfile.write(path, np.stack([tone] * channels, axis=1), rate)
        return path

    return write


@pytest.mark.parametrize(
    ("name", "rate", "channels"),
    [("a.wav", 8000, 1), ("a.flac", 96000, 2), ("a.ogg", 44100, 2), ("a.mp3", 48000, 1)],
)
def test_every_kind_of_file_gives_its_own_number_of_frames(
    humming, tmp_path, name, rate, channels, capsys
):
    path = humming(name, rate=rate, channels=channels)
    seconds = soundfile.info(path).frames / rate
    assert main(["animate", str(path), "--out", str(tmp_path / "out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    performance = Performance.load(result["performance"])
    assert performance.frames == result["frames"] == frame_count(seconds, 25.0)
    assert performance.model == "corrected"


@pytest.mark.parametrize("fps", ["12", "23.976", "29.97", "60", "120"])
def test_every_frame_rate_gives_duration_times_fps_frames(humming, tmp_path, fps):
    path = humming("a.wav", seconds=1.37)
    assert main(["animate", str(path), "--out", str(tmp_path), "--fps", fps]) == 0
    performance = Performance.load(tmp_path / "a.performance.npz")
    assert performance.frames == round(1.37 * float(fps))
    assert performance.fps == float(fps)


def test_dense_offsets_are_stored_on_demand(humming, tmp_path):
    path = humming("a.wav", seconds=0.4)
    assert main(["animate", str(path), "--out", str(tmp_path), "--dense"]) == 0
    with np.load(tmp_path / "a.performance.npz") as data:
        assert data["offsets"].shape == (10, *data["basis"].shape[1:])


def alignment(*phones):
    sounds = [{"t": label, "b": begin, "d": duration} for label, begin, duration in phones]
    return {"t": "hm", "w": [{"t": "hm", "b": 0, "d": 1, "w": sounds}]}


def test_given_phones_are_spoken_as_they_are(humming, tmp_path, monkeypatch):
    monkeypatch.setattr("engine.recognition.recognizer.recognize", None)
    files = [humming("a.wav"), humming("b.wav")]
    given = [alignment(("M", 0.2, 0.2), ("AA", 0.4, 0.5)), alignment(("UW", 0.5, 0.5))]
    for path, content in zip(files, given, strict=True):
        path.with_suffix(".phones.json").write_text(json.dumps(content))
    out = tmp_path / "out"
    arguments = ["animate", *map(str, files), "--out", str(out), "--phones", str(tmp_path)]
    assert main(arguments) == 0
    first, second = (Performance.load(out / f"{name}.performance.npz") for name in "ab")
    assert [p.label for p in first.phones] == ["SIL", "M", "AA", "SIL"]
    assert (first.phones[1].start, first.phones[2].end) == (0.2, 0.9)
    assert [word.text for word in first.words] == ["hm"]
    assert [p.label for p in second.phones] == ["SIL", "UW", "SIL"]
    pucker = second.expression_names.index("mouthPucker")
    assert second.expression[18, pucker] > 3 * first.expression[18, pucker]


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["nothing.wav"], "nothing.wav"),
        (["a.wav", "--fps", "500"], "12 to 120"),
        (["a.wav", "--head", "nobody.pkl"], "nobody.pkl"),
        (["a.wav", "--speech-model", "oracle"], "oracle"),
        (["a.wav", "--text", "x", "--text-file", "y.txt"], "--text-file"),
        (["a.wav", "--text-file", "y.txt"], "y.txt"),
        (["a.wav", "--text-file", "bad.srt"], "bad.srt, line 2"),
        (["a.wav", "--text", "x", "--phones", "y.TextGrid"], "--phones"),
        (["a.wav", "--phones", "y.TextGrid"], "y.TextGrid"),
        (["a.wav", "--phones", "."], "a.phones.json"),
        (["a.wav", "--phones", "bad.phones.json"], "bad.phones.json"),
        (["a.wav", "--phones", "late.phones.json"], "late.phones.json ends at 9 s"),
        (["a.wav", "b.wav", "--phones", "late.phones.json"], "2 recordings"),
        (["a.wav", "--recognizer", "oracle"], "oracle"),
        (["a.wav", "--gaze", "3"], "gaze is 3"),
        (["a.wav", "--emotion-curve", "none.csv"], "none.csv"),
        (["a.wav", "other/a.wav"], "'a'"),
    ],
)
def test_bad_input_is_one_line_that_names_it_and_nothing_is_left(
    humming, tmp_path, monkeypatch, capsys, arguments, names
):
    humming("a.wav")
    (tmp_path / "bad.phones.json").write_text('{"t": "m", "w": [{"t": "m", "w": [{"t": "x1"}]}]}')
    (tmp_path / "late.phones.json").write_text(json.dumps(alignment(("M", 8.0, 1.0))))
    (tmp_path / "bad.srt").write_text("1\n00:00:01,000 --> then\nHello\n")
    monkeypatch.chdir(tmp_path)
    assert main(["animate", *arguments, "--out", "out"]) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert message.startswith("gaussianspeech: ")
    assert names in message
    assert not list(tmp_path.glob("out/*"))


def test_one_bad_file_does_not_keep_the_others_from_being_animated(humming, tmp_path):
    good = humming("good.wav")
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF but no audio")
    assert main(["animate", str(bad), str(good), "--out", str(tmp_path / "out")]) == 2
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good.performance.npz"]


def test_words_and_language_of_a_subtitle_file_go_into_the_performance(
    sample_voice, tmp_path, capsys
):
    speech, text = sample_voice
    soundfile.write(tmp_path / "a.wav", speech.samples, 16000)
    (tmp_path / "a.srt").write_text(f"1\n00:00:00,000 --> 00:00:06,000\n{text}\n")
    words = ["--text-file", str(tmp_path / "a.srt")]
    assert main(["animate", str(tmp_path / "a.wav"), "--out", str(tmp_path), *words, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["text"] == text
    performance = Performance.load(result["performance"])
    assert " ".join(word.text for word in performance.words) == text
    assert performance.language == "en"


def test_gaze_head_motion_and_emotion_are_layers_that_can_be_asked_for(sample_voice, tmp_path):
    speech, text = sample_voice
    soundfile.write(tmp_path / "a.wav", speech.samples, 16000)
    (tmp_path / "joy.csv").write_text("seconds,joy\n0,0\n5,1\n")
    made = {}
    for name, options in {
        "plain": [],
        "off": ["--gaze", "0", "--head-motion", "0", "--emotion", "neutral"],
        "eyes": ["--gaze", "1", "--gaze-target", "10", "0"],
        "head": ["--head-motion", "1"],
        "take": ["--head-motion", "1", "--seed", "2"],
        "fear": ["--emotion", "fear", "--emotion-amount", "0.5"],
        "joy": ["--emotion-curve", str(tmp_path / "joy.csv")],
    }.items():
        command = ["animate", str(tmp_path / "a.wav"), "--out", str(tmp_path / name)]
        command += ["--text", text, "--speech-model", "rules", *options]
        assert main(command) == 0
        made[name] = Performance.load(tmp_path / name / "a.performance.npz")

    def column(name, expression):
        return made[name].weights[:, made[name].expression_names.index(expression)]

    np.testing.assert_array_equal(made["off"].weights, made["plain"].weights)
    assert not made["plain"].head_rotation.any()
    assert np.median(column("eyes", "eyeLookOutLeft")) > 0.6
    assert not column("plain", "eyeLookOutLeft").any()
    assert np.abs(made["head"].head_rotation).max() > 0.01
    np.testing.assert_array_equal(made["head"].weights, made["plain"].weights)
    assert not np.array_equal(made["head"].head_rotation, made["take"].head_rotation)
    assert column("fear", "eyeWideLeft").max() == pytest.approx(0.425, abs=0.01)
    assert column("joy", "cheekSquintLeft")[0] == 0
    assert column("joy", "cheekSquintLeft")[-1] > 0.5


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_out_may_be_a_file_of_arkit_weights(humming, tmp_path, capsys, suffix):
    path, out = humming("a.wav"), tmp_path / f"curves{suffix}"
    assert main(["animate", str(path), "--out", str(tmp_path)]) == 0
    performance = Performance.load(tmp_path / "a.performance.npz")
    capsys.readouterr()
    assert main(["animate", str(path), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["curves"] == str(out)
    found = read_curves(out)
    assert found.fps == 25.0
    np.testing.assert_allclose(found.weights, curves_of(performance).weights, atol=1e-5)


def test_one_file_of_weights_does_not_take_two_of_audio(humming, tmp_path, capsys):
    files = [str(humming(name)) for name in ("a.wav", "b.wav")]
    assert main(["animate", *files, "--out", str(tmp_path / "a.csv")]) == 2
    assert "a.csv is one file for 2 of audio. Name a folder." in capsys.readouterr().err
