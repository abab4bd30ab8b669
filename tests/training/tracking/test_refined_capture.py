# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracked capture written anew with what pictures have corrected."""

import json
import shutil
from hashlib import sha256

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.heads.shaped_head import shaped_head
from engine.motion.lip_contact import keep_lip_contact, lip_gap, lips_touch
from engine.motion.performance import Performance
from tests.training.tracking.made_capture import VIEWS, made_capture, true_fit
from training.data.layout import transforms_path
from training.data.multiview import MultiViewCapture
from training.data.recordings import find_recordings
from training.tracking import refined_capture
from training.tracking.refined_capture import (
    RefinedMotion,
    can_be_refined,
    corrected,
    filmed_at,
    write_refined,
)

FRAMES = 12
TURN = 0.05
"""Radians."""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tracked") / "ada"
    made_capture(folder, true_fit(FRAMES), true_fit(FRAMES))
    return folder


@pytest.fixture(scope="module")
def refined(source):
    """Another face, turned aside, most in the last view."""
    poses = MultiViewCapture.open(source).poses()
    matrix = np.stack([poses[step].head_matrix for step in range(VIEWS)])
    turns = Rotation.from_rotvec(np.outer(np.linspace(0, TURN, VIEWS), [0, 1, 0]))
    matrix[:, :3, :3] = matrix[:, :3, :3] @ turns.as_matrix()
    head = shaped_head(np.array([0.5], np.float32))
    return RefinedMotion(head, np.arange(VIEWS), matrix.astype(np.float32))


@pytest.fixture(scope="module")
def written(source, refined, tmp_path_factory):
    target = tmp_path_factory.mktemp("refined") / "capture"
    before = contents(source)
    write_refined(source, target, refined)
    assert contents(source) == before
    return target


def contents(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {path.relative_to(folder): sha256(path.read_bytes()).hexdigest() for path in files}


def test_trainings_open_what_was_written(source, written, refined):
    capture, before = MultiViewCapture.open(written), MultiViewCapture.open(source)
    assert np.allclose(capture.head.template, refined.head.template, atol=1e-6)
    last = VIEWS - 1
    assert np.array_equal(capture.poses()[last].expression, before.poses()[last].expression)
    assert np.allclose(capture.poses()[last].head_matrix, refined.head_matrix[-1])
    for split in ("train", "val", "test"):
        assert [f.image for f in capture.split(split).frames] == [
            f.image for f in before.split(split).frames
        ]
    assert filmed_at(written) == filmed_at(source)


def test_pictures_of_the_test_part_are_refined_too(source, tmp_path):
    """Of its recordings, which begin before the views that are held out, nothing is trained on."""
    folder = tmp_path / "ada"
    shutil.copytree(source, folder)
    for name in ("first", "middle"):
        for ending in (".wav", ".performance.npz"):
            shutil.copy(folder / "speech" / f"said{ending}", folder / "speech" / f"{name}{ending}")
    record = json.loads((folder / "capture.json").read_text())
    record["timesteps"][0]["performance"] = "speech/first.performance.npz"
    (folder / "capture.json").write_text(json.dumps(record))
    capture = MultiViewCapture.open(folder)
    assert [f.timestep for f in capture.split("train").frames] == [0]
    every = capture.trained_on_all()
    assert [f.timestep for f in every.split("train").frames] == list(range(VIEWS))
    poses = every.poses()
    matrix = np.stack([poses[step].head_matrix for step in sorted(poses)])
    motion = RefinedMotion(capture.head, np.array(sorted(poses)), matrix)
    write_refined(folder, tmp_path / "refined", motion)
    assert sorted(MultiViewCapture.open(tmp_path / "refined").trained_on_all().poses()) == [
        0,
        1,
        2,
        3,
    ]


def test_frames_that_are_no_views_turn_as_their_neighbours_do(source, written, refined):
    before, after = (
        Performance.load(folder / "speech" / "said.performance.npz") for folder in (source, written)
    )
    assert after.head == refined.head.id
    assert np.allclose(after.basis, refined.head.expression_basis)
    assert np.array_equal(after.expression, before.expression)
    turned = Rotation.from_rotvec(before.head_rotation).inv() * Rotation.from_rotvec(
        after.head_rotation
    )
    views = np.arange(0, FRAMES, FRAMES // VIEWS)
    expected = np.interp(np.arange(FRAMES), views, np.linspace(0, TURN, VIEWS))
    assert np.allclose(turned.as_rotvec(), np.outer(expected, [0, 1, 0]), atol=1e-5)


def test_motion_without_any_view_is_of_the_refined_person(source, refined, tmp_path):
    folder = tmp_path / "ada"
    shutil.copytree(source, folder)
    for ending in (".wav", ".performance.npz"):
        shutil.copy(folder / "speech" / f"said{ending}", folder / "speech" / f"unseen{ending}")
    write_refined(folder, tmp_path / "refined", refined)
    before, after = (
        Performance.load(made / "speech" / "unseen.performance.npz")
        for made in (folder, tmp_path / "refined")
    )
    assert after.head == refined.head.id
    assert np.array_equal(after.head_rotation, before.head_rotation)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"performance": "../../said.performance.npz"}, "is not speech/NAME"),
        ({"timestep_index": "first"}, "timestep_index"),
    ],
)
def test_a_damaged_record_is_refused(source, refined, tmp_path, changed, said):
    folder = tmp_path / "ada"
    shutil.copytree(source, folder)
    record = json.loads((folder / "capture.json").read_text())
    record["timesteps"][0] |= changed
    (folder / "capture.json").write_text(json.dumps(record))
    with pytest.raises(BadInputError, match=said):
        write_refined(folder, tmp_path / "refined", refined)


def test_lips_that_touch_touch_on_the_refined_face(written):
    capture = MultiViewCapture.open(written)
    head = capture.head
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    motion = Performance.load(written / "speech" / "said.performance.npz").expression
    assert lips_touch(motion, gap)[0]
    assert not lips_touch(motion, gap)[FRAMES // 2]


def test_lips_that_touch_under_the_teeth_touch_on_another_face():
    """The roll of the lower lip is fitted to teeth: weights that close one mouth part another."""
    before, after = load_head("default"), shaped_head(np.tile(np.float32([1.5, -1.5]), 15))
    gaps = [
        lip_gap(head.expression_basis, head.expression_names, head.landmarks)
        for head in (before, after)
    ]
    weights = np.zeros((2, len(before.expression_names)), np.float32)
    weights[:, before.expression_index("jawOpen")] = 0.3
    weights[:, before.expression_index("mouthRollLower")] = 0.6
    keep_lip_contact(weights[:1], np.zeros_like(weights[:1]), gaps[0])
    motion = Performance(
        25.0, weights, before.expression_basis, weights, before.expression_names, before.id
    )
    assert np.isclose(gaps[0].apart(weights)[0].max(), 0.0, atol=1e-6)
    assert gaps[1].apart(weights)[0].max() > 5e-5
    other = corrected(motion, before, after, {})
    assert np.isclose(gaps[1].apart(other.expression)[0].max(), 0.0, atol=1e-6)
    assert np.array_equal(other.weights, other.expression)
    assert np.array_equal(other.expression[1], weights[1])


def test_the_report_says_what_has_changed(written):
    found = json.loads((written / "report.json").read_text())
    (changed,) = found["refined"]
    assert changed["pose_degrees"] == pytest.approx(np.degrees(TURN / 2), abs=0.01)
    assert changed["face_mm"] > 0.1
    assert found["summary"]["frames"] == FRAMES


def test_a_refined_capture_is_refined_once_more(written, refined, tmp_path):
    assert can_be_refined(written)
    write_refined(written, tmp_path / "again", refined)
    found = json.loads((tmp_path / "again" / "report.json").read_text())
    assert len(found["refined"]) == 2


def test_what_was_broken_off_is_no_capture_and_is_finished_by_the_next_run(
    source, written, refined, tmp_path, monkeypatch
):
    target = tmp_path / "capture"
    calls = []

    def full(*_):
        calls.append(1)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        return save(*_)

    save = refined_capture.save_head_param
    monkeypatch.setattr(refined_capture, "save_head_param", full)
    with pytest.raises(OSError, match="No space"):
        write_refined(source, target, refined)
    assert not transforms_path(target, "train").exists()
    monkeypatch.setattr(refined_capture, "save_head_param", save)
    write_refined(source, target, refined)
    assert contents(target).keys() == contents(written).keys()


def test_what_was_found_is_read_as_it_was_written(refined, tmp_path):
    refined.save(tmp_path / "refined.npz")
    read = RefinedMotion.load(tmp_path / "refined.npz")
    assert read.head.id == refined.head.id
    assert np.array_equal(read.head_matrix, refined.head_matrix)


def test_a_capture_that_no_tracker_made_says_what_was_true(small_capture):
    assert not can_be_refined(small_capture)
    with pytest.raises(BadInputError, match="not tracked"):
        filmed_at(small_capture)


def test_the_language_of_the_recordings_stays(source, refined, tmp_path):
    write_refined(source, tmp_path / "capture", refined)
    for capture in (source, tmp_path / "capture"):
        assert [recording.language for recording in find_recordings(capture).every] == ["de"]
