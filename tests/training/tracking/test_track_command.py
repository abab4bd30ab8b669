# SPDX-License-Identifier: GPL-3.0-or-later
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

import engine.assets
from engine.avatar import load_avatar
from engine.heads import load_head
from engine.heads.flame import flame_person
from engine.heads.flame_param import load_flame_param
from engine.motion.performance import Performance
from engine.rendering.frames import render_frame, studio_backdrop
from engine.rendering.video import write_video
from engine.splatting.camera import look_at
from engine.splatting.cpu.backend import CpuBackend
from tests.engine.heads.flame_people import write_model
from tests.training.tracking.filmed_head import film_head, substitute_detectors
from training.cli import main
from training.data.layout import flame_param_path
from training.data.multiview import MultiViewCapture
from training.data.posed_flame import posed, row_of
from training.data.recordings import find_recordings

SAMPLE_VOICE = Path(engine.assets.__file__).with_name("sample_voice.wav")
SIZE = 360
FPS = 12.0


@pytest.fixture(scope="module")
def talking(tmp_path_factory):
    """A second and a half of the default avatar, which opens its mouth and turns a little."""
    folder = tmp_path_factory.mktemp("talking")
    head, backend = load_head("default"), CpuBackend()
    avatar = load_avatar("default", head)

    def frames():
        for frame in range(18):
            expression = np.zeros(len(head.expression_names), np.float32)
            expression[head.expression_index("jawOpen")] = 0.4 * np.sin(0.5 * frame) ** 2
            aside = 0.18 * np.sin(0.35 * frame)
            eye = np.array([aside, 0.03, 0.62], np.float32)
            camera = look_at(
                eye, np.array([0, 0, 0.05], np.float32), width=SIZE, height=SIZE, vertical_fov=0.5
            )
            backdrop = studio_backdrop(SIZE, SIZE)
            yield render_frame(
                head.deform(expression), expression, avatar, backend, camera, backdrop
            )

    rng = np.random.default_rng(0)
    soundfile.write(folder / "a.wav", 0.05 * rng.normal(size=24000).astype(np.float32), 16000)
    write_video(folder / "a.mp4", frames(), FPS, folder / "a.wav")
    return folder / "a.mp4"


@pytest.fixture(scope="module")
def capture(talking, mediapipe, tmp_path_factory):
    out = tmp_path_factory.mktemp("tracked") / "capture"
    assert main(["track", str(talking), "--out", str(out)]) == 0
    return out


@pytest.mark.slow
def test_trainings_open_what_was_tracked(capture):
    opened = MultiViewCapture.open(capture)
    assert len(opened.split("train")) == 16
    assert len(opened.split("test")) == 1
    view = opened.split("train")[3]
    assert 0.05 < float(view.alpha.mean()) < 0.9
    assert opened.head.source.kind == "default"


@pytest.mark.slow
def test_sound_and_motion_are_as_long_as_each_other(capture):
    found = find_recordings(capture).every[0]
    performance = Performance.load(found.motion)
    assert performance.fps == FPS
    assert performance.frames == pytest.approx(soundfile.info(found.audio).duration * FPS, abs=1)
    assert found.timesteps


@pytest.mark.slow
def test_the_report_says_how_well(capture):
    report = json.loads((capture / "report.json").read_text())
    assert report["summary"]["tracked"] == 18
    assert report["summary"]["error_percent_of_eye_distance"]["mean"] < 3
    assert len(report["frames"]) == 18
    assert (capture / "preview.mp4").is_file()


@pytest.mark.slow
def test_with_a_flame_model_the_capture_is_in_its_parameters(tmp_path, monkeypatch):
    filmed = film_head(tmp_path / "ada.mp4", SAMPLE_VOICE)
    substitute_detectors(monkeypatch, filmed)
    model, out = write_model(tmp_path / "flame2023.npz"), tmp_path / "capture"
    assert main(["track", str(filmed.path), "--out", str(out), "--head", str(model)]) == 0
    opened = MultiViewCapture.open(out, head=str(model))
    assert opened.head.source.kind == "flame"
    summary = json.loads((out / "report.json").read_text())["summary"]
    assert summary["flame_misfit_mm"] < 2.5
    found = find_recordings(out).every[0]
    assert found.motion.name.endswith(".flame_param.npz")
    assert found.timesteps
    for view in opened.split("train"):
        param = load_flame_param(out / flame_param_path(view.timestep))
        person = flame_person(model, shape=param.shape)
        near = np.linalg.norm(person.head.template - person.head.eyes, axis=1) < 0.08
        face = posed(person.model, row_of(param, 0)).vertices.numpy()[near]
        local = face @ view.camera.viewmat[:3, :3].T + view.camera.viewmat[:3, 3]
        flat = local @ view.camera.K.T
        column, row = (flat[:, :2] / flat[:, 2:]).astype(int).T
        assert (view.alpha.numpy()[row, column] > 0.5).mean() > 0.95


@pytest.mark.slow
def test_a_film_without_a_face_leaves_nothing(tmp_path, mediapipe, capsys):
    noise = np.random.default_rng(0).integers(0, 255, (240, 240, 3), np.uint8)
    write_video(tmp_path / "a.mp4", (noise for _ in range(30)), 25.0)
    assert main(["track", str(tmp_path / "a.mp4"), "--out", str(tmp_path / "out")]) == 2
    assert "shows no face" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["missing", "photo", "text"])
def test_what_is_no_film_leaves_no_folder(tmp_path, capsys, kind):
    path = tmp_path / ("a.jpg" if kind == "photo" else "a.mp4")
    if kind == "photo":
        Image.fromarray(np.zeros((200, 200, 3), np.uint8)).save(path)
    elif kind == "text":
        path.write_text("no film")
    assert main(["track", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert path.name in said
    assert not (tmp_path / "out").exists()
