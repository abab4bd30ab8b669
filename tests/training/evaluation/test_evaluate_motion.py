# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion that other programs made, in their formats, against the captured one."""

import json

import numpy as np
import pytest

from engine.heads import load_head
from engine.heads.flame_param import FlameParam, save_flame_param
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.interchange.curve_files import write_curves
from engine.motion.interchange.face_curves import FaceCurves
from engine.motion.performance import Performance
from tests.engine.heads.flame_faces import another_person, flame_dressed
from tests.engine.heads.flame_files import write_flame_pickle
from tests.training.speech.recordings import FPS, motion_of, write_sound
from training.cli import main


@pytest.fixture
def truth(head, tmp_path):
    weights = motion_of(head, 0)
    path = tmp_path / "c0.performance.npz"
    Performance(FPS, weights, head.expression_basis, weights, head.expression_names, head.id).save(
        path
    )
    return path, weights


def _measured(tmp_path, truth, *words):
    out = tmp_path / "report"
    code = main(["evaluate", "motion", "--truth", str(truth), *words, "--out", str(out)])
    if code:
        return code
    return {score["candidate"]: score for score in json.loads((out / "motion.json").read_text())}


def test_vertices_as_faceformer_writes_them(head, truth, tmp_path):
    path, weights = truth
    moved = head.deform(weights)
    np.save(tmp_path / "same.npy", moved.reshape(len(moved), -1))
    lips = head.regions["lips"]
    off = moved.copy()
    off[:, lips[0]] += np.float32([0.003, 0.0, 0.004])
    np.save(tmp_path / "off.npy", off)
    given = [f"same={tmp_path / 'same.npy'}", f"off={tmp_path / 'off.npy'}"]
    scores = _measured(tmp_path, path, "--candidate", *given, "--fps", "25")
    assert scores["same"]["LVE (mm)"] == pytest.approx(0.0, abs=1e-3)
    assert scores["off"]["LVE (mm)"] == pytest.approx(5.0, rel=1e-3)
    assert scores["off"]["LVE squared (mm²)"] == pytest.approx(25.0, rel=1e-3)
    assert scores["off"]["mean vertex error (mm)"] == pytest.approx(5 / len(moved[0]), rel=1e-2)
    assert scores["same"]["opening, correlation"] == pytest.approx(1.0, abs=1e-3)


def test_motion_that_is_too_small_has_a_positive_fdd(head, truth, tmp_path):
    path, weights = truth
    # The default lids do not move here; brows do.
    brows = head.expression_index("browInnerUp")
    louder = weights.copy()
    louder[:, brows] = np.abs(np.sin(np.arange(len(weights)) / 3))
    Performance(FPS, louder, head.expression_basis, louder, head.expression_names, head.id).save(
        path
    )
    quiet = louder.copy()
    quiet[:, brows] *= 0.5
    np.savez(tmp_path / "quiet.npz", fps=FPS, vertices=head.deform(quiet))
    scores = _measured(tmp_path, path, "--candidate", f"quiet={tmp_path / 'quiet.npz'}")
    assert scores["quiet"]["FDD (mm²)"] > 0
    back = _measured(tmp_path, tmp_path / "quiet.npz", "--candidate", f"loud={path}")
    assert back["loud"]["FDD (mm²)"] == pytest.approx(-scores["quiet"]["FDD (mm²)"], rel=1e-3)


def test_arkit_curves_of_another_rate(head, truth, tmp_path):
    path, weights = truth
    curves = np.zeros((60, len(ARKIT_NAMES)), np.float32)
    times = np.minimum(np.arange(60) / 60.0 * FPS, len(weights) - 1)
    for column, name in enumerate(ARKIT_NAMES):
        if name in head.expression_names:
            row = weights[:, head.expression_index(name)]
            curves[:, column] = np.interp(times, np.arange(len(weights)), row)
    made = FaceCurves(60.0, curves, np.zeros((60, 3), np.float32))
    for kind in ("csv", "json"):
        write_curves(made, tmp_path / f"curves.{kind}")
    given = [f"{kind}={tmp_path / f'curves.{kind}'}" for kind in ("csv", "json")]
    scores = _measured(tmp_path, path, "--candidate", *given)
    for kind in ("csv", "json"):
        assert scores[kind]["LVE (mm)"] < 1.5
        assert scores[kind]["opening, correlation"] > 0.98


def test_flame_parameters_on_their_head(tmp_path):
    file = tmp_path / "flame.pkl"
    write_flame_pickle(file, flame_dressed(another_person())[0])
    owner = load_head(file)
    for name, size in (("truth", 0.3), ("made", 0.2)):
        param = FlameParam.neutral(owner.vertex_count, 20)
        param.jaw_pose[:, 0] = size * np.abs(np.sin(np.arange(20) / 4))
        save_flame_param(param, tmp_path / f"{name}.npz")
    words = ["--head", str(file), "--fps", "30"]
    given = [f"made={tmp_path / 'made.npz'}", f"itself={tmp_path / 'truth.npz'}"]
    scores = _measured(tmp_path, tmp_path / "truth.npz", "--candidate", *given, *words)
    assert scores["itself"]["LVE (mm)"] == pytest.approx(0.0, abs=1e-6)
    assert scores["made"]["LVE (mm)"] > 0.5


def test_folders_are_paired_by_name_and_closures_need_the_sound(head, tmp_path):
    for folder in ("truth", "ours", "sound"):
        (tmp_path / folder).mkdir()
    for clip in range(2):
        vertices = head.deform(motion_of(head, clip))
        np.savez(tmp_path / "truth" / f"c{clip}.motion.npz", fps=FPS, vertices=vertices)
        np.save(tmp_path / "ours" / f"c{clip}.npy", vertices)
        write_sound(tmp_path / "sound" / f"c{clip}.wav", clip)
    words = ["--candidate", f"ours={tmp_path / 'ours'}", "--fps", "25"]
    words += ["--audio", str(tmp_path / "sound")]
    scores = _measured(tmp_path, tmp_path / "truth", *words)
    assert scores["ours"]["clips"] == ["c0", "c1"]
    assert scores["ours"]["p, b, m"] >= scores["ours"]["p, b, m closed"] >= 0
    (tmp_path / "ours" / "c1.npy").unlink()
    assert _measured(tmp_path, tmp_path / "truth", *words) == 2


@pytest.mark.parametrize(
    ("array", "words", "said"),
    [
        (lambda _: np.zeros((25, 30)), ["--fps", "25"], "(25, 30)"),
        (lambda V: np.zeros((25, V, 3)), [], "does not say its frame rate"),
        (lambda V: np.full((25, V, 3), np.nan), ["--fps", "25"], "NaN"),
        (lambda V: np.zeros((80, V, 3)), ["--fps", "25"], "lasts 3.20 s, the truth 1.00 s"),
    ],
    ids=["shape", "rate", "nan", "length"],
)
def test_what_cannot_be_compared_is_named(head, truth, tmp_path, capsys, array, words, said):
    np.save(tmp_path / "bad.npy", array(head.vertex_count).astype(np.float32))
    code = _measured(tmp_path, truth[0], "--candidate", f"x={tmp_path / 'bad.npy'}", *words)
    assert code == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("word", ["result.npy", "=result.npy", "a=nowhere.npy"])
def test_candidates_have_a_name_and_a_file(truth, tmp_path, word):
    assert _measured(tmp_path, truth[0], "--candidate", word) == 2
