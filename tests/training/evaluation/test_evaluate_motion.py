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
from tests.training.speech.recordings import FPS, motion_of, write_recordings, write_sound
from training.cli import main
from training.data.captured_motion import CapturedHead
from training.data.recorded_motion import motion_alone
from training.data.recordings import Recording


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
        (lambda _: np.zeros((25, 30)), ["--fps", "25"], "10 vertices in each of 25 frames"),
        (lambda face: face[:25], [], "does not say its frame rate"),
        (lambda face: face[:25] * np.nan, ["--fps", "25"], "infinite"),
        (lambda face: face, ["--fps", "25"], "lasts 3.20 s, the truth 1.00 s"),
        (lambda face: 1000 * face[:25], ["--fps", "25"], "in metres"),
        (lambda face: face[:25] * 0, ["--fps", "25"], "places, not offsets"),
        (lambda face: 1.06 * face[:25], ["--fps", "25"], "it is another face, or it is turned"),
    ],
    ids=["shape", "rate", "nan", "length", "millimetres", "offsets", "person"],
)
def test_what_cannot_be_compared_is_named(head, truth, tmp_path, capsys, array, words, said):
    face = np.repeat(head.template[None], 80, axis=0)
    np.save(tmp_path / "bad.npy", array(face).astype(np.float32))
    code = _measured(tmp_path, truth[0], "--candidate", f"x={tmp_path / 'bad.npy'}", *words)
    assert code == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_one_persons_vertices_are_compared_about_that_persons_face(head, tmp_path):
    """VOCASET's subjects are not the head: their own neutral face counts, for both files."""
    own = (head.template * np.float32([1.08, 1.0, 0.95]) - head.template)[None]
    moved = head.deform(motion_of(head, 0))
    np.save(tmp_path / "true.npy", moved + own)
    half = head.template + 0.5 * (moved - head.template)
    for name, vertices in (("mine", half + own), ("other", half)):
        np.save(tmp_path / f"{name}.npy", vertices)
        np.savez(tmp_path / f"{name}.npz", fps=FPS, vertices=vertices)
    words = ["--fps", "25", "--candidate"]
    scores = _measured(tmp_path, tmp_path / "true.npy", *words, f"x={tmp_path / 'mine.npy'}")
    np.save(tmp_path / "plain.npy", moved)
    plain = _measured(tmp_path, tmp_path / "plain.npy", *words, f"x={tmp_path / 'other.npy'}")
    assert scores["x"]["LVE (mm)"] == pytest.approx(plain["x"]["LVE (mm)"], rel=1e-3)
    assert scores["x"]["FDD (mm²)"] == pytest.approx(plain["x"]["FDD (mm²)"], abs=0.2)
    for wrong in ("other.npy", "other.npz"):
        assert _measured(tmp_path, tmp_path / "true.npy", *words, f"x={tmp_path / wrong}") == 2


def test_a_mouth_that_never_closes_is_scored_and_not_taken_for_another_face(head, truth, tmp_path):
    open_ = np.zeros((25, len(head.expression_names)), np.float32)
    open_[:, head.expression_index("jawOpen")] = 1.0
    np.save(tmp_path / "open.npy", head.deform(open_))
    words = ["--candidate", f"x={tmp_path / 'open.npy'}", "--fps", "25"]
    assert _measured(tmp_path, truth[0], *words)["x"]["LVE (mm)"] > 5
    np.savez(tmp_path / "open.npz", fps=FPS, expression=open_)
    given = ["--candidate", f"x={tmp_path / 'open.npz'}", "--fps", "25"]
    scores = _measured(tmp_path, tmp_path / "open.npy", *given)
    assert scores["x"]["LVE (mm)"] < 1e-3


@pytest.fixture(scope="module")
def flame_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("flame") / "flame.pkl"
    write_flame_pickle(file, flame_dressed(another_person())[0])
    return file


def _flame_takes(folder, owner):
    """One motion of the jaw in the arrays of four programs, and what GaussianAvatars plays."""
    param = FlameParam.neutral(owner.vertex_count, 20)
    param.jaw_pose[:, 0] = 0.3 * np.abs(np.sin(np.arange(20) / 4))
    save_flame_param(param, folder / "truth.npz")
    turned = np.full((20, 3), 0.2, np.float32) * np.sin(np.arange(20) / 3)[:, None]
    nothing = np.zeros((20, 100), np.float32)
    np.savez(folder / "vhap.npz", expr=nothing, jaw_pose=param.jaw_pose, rotation=turned)
    pose = np.hstack([turned, param.jaw_pose])
    np.savez(folder / "diffposetalk.npz", exp=nothing[:, :50], pose=pose, shape=np.zeros(100))
    np.save(folder / "artalk.npy", np.hstack([nothing, pose]).astype(np.float32))
    return param


@pytest.mark.parametrize("made", ["vhap.npz", "diffposetalk.npz", "artalk.npy"])
def test_flame_parameters_of_other_programs(flame_file, tmp_path, capsys, made):
    """How the head is turned is no motion of the face."""
    owner = load_head(flame_file)
    _flame_takes(tmp_path, owner)
    words = ["--head", str(flame_file), "--candidate", f"x={tmp_path / made}", "--fps", "30"]
    scores = _measured(tmp_path, tmp_path / "truth.npz", *words)
    assert scores["x"]["LVE (mm)"] < 0.01
    assert _measured(tmp_path, tmp_path / made, *words[:-2]) == 2
    assert "--fps" in capsys.readouterr().err


def test_vocasets_vertices_on_flame_with_teeth(flame_file, tmp_path):
    owner = load_head(flame_file)
    param = _flame_takes(tmp_path, owner)
    words = ["--head", str(flame_file), "--fps", "30"]
    who = CapturedHead.load(flame_file)
    motion = motion_alone(Recording("truth", tmp_path, tmp_path / "truth.npz", 30.0), who)
    vertices = owner.template + motion.offsets(slice(None)).reshape(param.frames, -1, 3)
    np.save(tmp_path / "voca.npy", vertices[:, :5023].reshape(param.frames, -1))
    given = [*words, "--candidate", f"x={tmp_path / 'voca.npy'}"]
    scores = _measured(tmp_path, tmp_path / "truth.npz", *given)
    assert scores["x"]["LVE (mm)"] < 0.01
    assert scores["x"]["opening, correlation"] > 0.99


def test_arkit_curves_on_a_flame_head(flame_file, tmp_path):
    _flame_takes(tmp_path, load_head(flame_file))
    curves = np.zeros((20, len(ARKIT_NAMES)), np.float32)
    curves[:, ARKIT_NAMES.index("jawOpen")] = np.abs(np.sin(np.arange(20) / 4))
    write_curves(FaceCurves(30.0, curves, np.zeros((20, 3), np.float32)), tmp_path / "c.json")
    words = ["--head", str(flame_file), "--fps", "30", "--candidate", f"x={tmp_path / 'c.json'}"]
    scores = _measured(tmp_path, tmp_path / "truth.npz", *words)
    assert scores["x"]["opening, correlation"] > 0.9


def test_recordings_are_a_truth_with_all_that_lies_beside_them(head, tmp_path):
    folder = write_recordings(tmp_path / "recordings", head, clips=3)
    for clip in range(3):
        np.save(folder / f"c{clip}.wrinkles.npy", np.zeros((25, 24), np.float32))
        (folder / f"c{clip}.phones.json").write_text("[]")
    made = tmp_path / "made"
    made.mkdir()
    np.save(made / "c2.npy", head.deform(motion_of(head, 2)))
    (made / "c2.npy").rename(made / "c2.NPY")
    words = ["--candidate", f"x={made}", "--fps", "25"]
    assert _measured(tmp_path, folder, *words) == 2
    (folder / "split.json").write_text('{"training": ["c0"], "validation": ["c1"], "test": ["c2"]}')
    scores = _measured(tmp_path, folder, *words)
    assert scores["x"]["clips"] == ["c2"]
    assert scores["x"]["LVE (mm)"] < 1e-3


def test_names_keep_their_points(head, tmp_path):
    for number in (1, 2):
        np.save(tmp_path / f"take.{number}.npy", head.deform(motion_of(head, number)))
    folder = tmp_path
    found = _measured(tmp_path, folder, "--candidate", f"x={folder}", "--fps", "25")
    assert found["x"]["clips"] == ["take.1", "take.2"]
    assert found["x"]["LVE (mm)"] < 1e-3


def test_what_is_not_clear_of_a_folder_is_said(head, truth, tmp_path, capsys):
    path, weights = truth
    folder, made = tmp_path / "truth", tmp_path / "made"
    folder.mkdir()
    made.mkdir()
    for clip in range(2):
        np.savez(folder / f"c{clip}.motion.npz", fps=FPS, expression=motion_of(head, clip))
        np.save(made / f"c{clip}.npy", head.deform(weights))
    write_sound(tmp_path / "c.wav", 0)
    words = ["--fps", "25", "--candidate"]
    assert _measured(tmp_path, folder, *words, f"x={path}") == 2
    assert "is one file, but the truth has 2 clips" in capsys.readouterr().err
    sound = ["--audio", str(tmp_path / "c.wav")]
    assert _measured(tmp_path, folder, *words, f"x={made}", *sound) == 2
    assert "is one file, but the truth has 2 clips" in capsys.readouterr().err
    np.savez(made / "c1.npz", fps=FPS, expression=weights)
    assert _measured(tmp_path, folder, *words, f"x={made}") == 2
    assert "two motions of c1: c1.npy and c1.npz" in capsys.readouterr().err


def test_a_clip_too_short_to_correlate_has_no_correlation(head, tmp_path, capsys):
    few = motion_of(head, 0)[:3]
    np.savez(tmp_path / "c0.npz", fps=FPS, expression=few)
    scores = _measured(tmp_path, tmp_path / "c0.npz", "--candidate", f"x={tmp_path / 'c0.npz'}")
    assert "opening, correlation" not in scores["x"]
    assert "inf" not in capsys.readouterr().out


def test_any_name_is_shown_as_it_is(head, truth, capsys, tmp_path):
    scores = _measured(tmp_path, truth[0], "--candidate", f"a[/x]ü={truth[0]}")
    assert scores["a[/x]ü"]["LVE (mm)"] < 1e-6
    assert "a[/x]ü" in capsys.readouterr().out


def test_no_candidate_is_no_comparison(truth, tmp_path, capsys):
    assert _measured(tmp_path, truth[0], "--candidate") == 2
    assert "--candidate NAME=" in capsys.readouterr().err


@pytest.mark.parametrize("word", ["result.npy", "=result.npy", "a=nowhere.npy"])
def test_candidates_have_a_name_and_a_file(truth, tmp_path, word):
    assert _measured(tmp_path, truth[0], "--candidate", word) == 2
