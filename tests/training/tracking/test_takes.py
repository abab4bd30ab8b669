# SPDX-License-Identifier: GPL-3.0-or-later
"""Several videos of one person, filmed one after another."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import engine.assets
from engine.motion.performance import Performance
from engine.phonemes import SILENCE, Phone
from engine.rendering.video import write_video
from tests.training.tracking.filmed_head import FPS, FilmedHead, film_head, substitute_detectors
from training.cli import main
from training.data.layout_head_param import load_head_param
from training.data.multiview import MultiViewCapture
from training.tracking.film import open_film, pictures, write_sound
from training.tracking.scan import GOOD, Scan
from training.tracking.sound import Said, cut_at_pauses
from training.tracking.takes import alike, joined

SAMPLE_VOICE = Path(engine.assets.__file__).with_name("sample_voice.wav")
FRAMES = 16


def grey(path, levels, size=(160, 200), fps=25.0, sound=None):
    pictures = (np.full((*size, 3), level, np.uint8) for level in levels)
    write_video(path, pictures, fps, sound, quality=5)
    return open_film(path, 1280)


def scan_of(count, takes=None, sharpness=1.0):
    none = np.zeros((count, 478, 2), np.float32)
    takes = np.zeros(count, np.intp) if takes is None else np.array(takes)
    state = np.full(count, GOOD, np.int8)
    return Scan(none, state, takes, 25.0, np.ones(count), sharpness)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("films")
    film = film_head(folder / "monday.mp4", SAMPLE_VOICE, FRAMES)
    shutil.copyfile(film.path, folder / "tuesday.mp4")
    return FilmedHead(film.path, film.points, np.concatenate([film.masks, film.masks]))


@pytest.fixture(scope="module")
def capture(filmed, tmp_path_factory):
    out = tmp_path_factory.mktemp("tracked") / "capture"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.tracking.fitting._ROUNDS", ((40, False), (40, True)))
        substitute_detectors(patch, filmed)
        videos = [str(filmed.path), str(filmed.path.with_name("tuesday.mp4"))]
        assert main(["track", *videos, "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_two_takes_become_one_capture_of_one_person(capture):
    opened = MultiViewCapture.open(capture)
    frames = [f for s in ("train", "val", "test") for f in opened.split(s).frames]
    assert len(frames) == 2 * FRAMES
    summary = json.loads((capture / "report.json").read_text())["summary"]
    assert summary["videos"] == [
        {"video": "monday.mp4", "first_frame": 0, "frames": FRAMES},
        {"video": "tuesday.mp4", "first_frame": FRAMES, "frames": FRAMES},
    ]
    assert FRAMES in summary["cuts"]


@pytest.mark.slow
def test_each_take_is_met_as_well_as_the_other(capture):
    """Both show the same, so the same is found; the pictures are those of their own time."""
    record = json.loads((capture / "capture.json").read_text())
    assert record["made_of"]["video"] == ["monday.mp4", "tuesday.mp4"]
    opened = MultiViewCapture.open(capture)
    views = {f.timestep: f for s in ("train", "val", "test") for f in opened.split(s).frames}
    for step in range(FRAMES):
        one, other = (views[step + late] for late in (0, FRAMES))
        first, second = (load_head_param(capture / f.param) for f in (one, other))
        turned = first.head_matrix[:3, :3].T @ second.head_matrix[:3, :3]
        assert np.degrees(np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1))) < 1.0
        a, b = (np.asarray(Image.open(capture / f.image), np.float32) for f in (one, other))
        assert np.abs(a - b).mean() < 2.0


@pytest.mark.slow
def test_recordings_are_named_by_their_video_and_none_is_of_two(capture):
    found = sorted(path.name for path in (capture / "speech").glob("*.performance.npz"))
    assert found == ["monday-000.performance.npz", "tuesday-001.performance.npz"]
    for name in found:
        assert Performance.load(capture / "speech" / name).frames == FRAMES


def refused(capsys, *arguments):
    assert main(["track", *map(str, arguments)]) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_videos_of_another_shape_are_refused(filmed, tmp_path, capsys):
    other = tmp_path / "wide.mp4"
    write_video(other, (np.zeros((180, 240, 3), np.uint8) for _ in range(20)), FPS)
    said = refused(capsys, filmed.path, other, "--out", tmp_path / "out")
    assert "wide.mp4 has 240×180 pixels" in said
    assert "--cameras" in said
    assert not (tmp_path / "out").exists()


def test_times_without_a_calibration_are_refused(filmed, tmp_path, capsys):
    said = refused(capsys, filmed.path, "--offsets", "0", "--out", tmp_path / "out")
    assert "--offsets" in said
    assert "--cameras" in said


def test_a_video_given_twice_is_refused(filmed, tmp_path, capsys):
    said = refused(capsys, filmed.path, filmed.path, "--out", tmp_path / "out")
    assert "2 videos have 1 names" in said


def test_takes_get_the_size_and_the_rate_of_the_first(tmp_path):
    first = grey(tmp_path / "a.mp4", range(20, 70), size=(160, 200))
    second = grey(tmp_path / "b.mp4", range(100, 200), size=(320, 400), fps=50.0)
    films = alike([first, second])
    assert {(film.width, film.height, film.fps) for film in films} == {(200, 160, 25.0)}
    assert films[1].scale == 0.5
    whole, found = joined(films, [scan_of(50), scan_of(51, [0] * 20 + [1] * 31)])
    assert whole.frames == 101
    assert found.cuts == [50, 70]
    shown = [round(image.mean()) for _, image in pictures(whole)]
    assert np.abs(np.array(shown[:50]) - np.arange(20, 70)).max() <= 2
    assert np.abs(np.array(shown[50:]) - np.r_[100:200:2, 199]).max() <= 2
    assert [number for number, _ in pictures(whole, 60)] == list(range(60, 101))
    assert whole.path_of(49).name == "a.mp4"
    assert whole.path_of(50).name == "b.mp4"


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


def test_recordings_end_where_a_video_ends():
    silence = tuple(Phone(SILENCE, at, at + 0.4) for at in (5.8, 11.8, 17.8))
    said = Said(silence, (), "en", np.zeros(600), ())
    assert cut_at_pauses(said, 600, 25.0) == [(0, 150), (150, 300), (300, 450), (450, 600)]
    cut = cut_at_pauses(said, 600, 25.0, [0, 210])
    assert cut == [(0, 210), (210, 450), (450, 600)]
    with_short = cut_at_pauses(said, 600, 25.0, [0, 10])
    assert with_short[0] == (0, 10)
