# SPDX-License-Identifier: GPL-3.0-or-later
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError
from engine.heads.flame import load_flame, read_flame
from engine.heads.flame_param import FlameParam, save_flame_param
from engine.heads.skinning import flame_vertices
from tests.engine.heads.flame_files import flame_arrays
from tests.training.data.flame_capture import (
    MOVED,
    SKIN,
    TEETH,
    as_flame_capture,
    param,
    write_params,
)
from training.avatar.config import Tuning
from training.avatar.tuning import TunedTracking
from training.data.multiview import MultiViewCapture


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("flame") / "flame.npz"
    np.savez(path, **flame_arrays())
    return path


@pytest.fixture
def capture(small_capture, tmp_path):
    return as_flame_capture(small_capture, tmp_path / "capture")


def view_at(opened, timestep):
    return next(v for v in opened.split("test") if v.timestep == timestep)


def test_vertices_are_those_of_the_full_model(capture, model):
    """Static offsets are left out here, so that the model's own file is the oracle."""
    none = np.zeros((1, SKIN, 3), np.float32)
    # The first timestep stands where the pictures show a head.
    moved = [param(SKIN, t, **(MOVED if t else {})) for t in range(3)]
    made = [replace(each, static_offset=none) for each in moved]
    for timestep, param_made in enumerate(made):
        save_flame_param(param_made, capture / f"flame_param/{timestep:05d}.npz")
    (capture / "canonical_flame_param.npz").unlink()
    view = view_at(MultiViewCapture.open(capture, head=model), 2)
    pose = np.concatenate([MOVED[n] for n in ("rotation", "neck_pose", "jaw_pose", "eyes_pose")])
    expected = flame_vertices(
        read_flame(model),
        torch.from_numpy(made[2].shape).double(),
        torch.from_numpy(made[2].expr[0]).double(),
        torch.from_numpy(pose),
        torch.tensor(MOVED["translation"], dtype=torch.float64),
    )
    assert torch.allclose(view.vertices.double(), expected, atol=1e-5)


def test_the_static_offset_is_the_persons_own(capture, model):
    opened = MultiViewCapture.open(capture, head=model)
    person = param(TEETH)
    plain = load_flame(model, shape=person.shape)
    assert opened.head.vertex_count == TEETH
    assert np.allclose(opened.head.template, plain.template + person.static_offset[0], atol=1e-6)
    still = view_at(opened, 0)
    assert np.allclose(still.vertices, opened.head.deform(still.expression.numpy()), atol=1e-5)


def test_the_head_matrix_carries_turn_and_translation(capture, model):
    turn = {name: MOVED[name] for name in ("rotation", "translation")}
    save_flame_param(param(TEETH, 2, **turn), capture / "flame_param/00002.npz")
    opened = MultiViewCapture.open(capture, head=model)
    view = view_at(opened, 2)
    matrix = view.head_matrix.numpy()
    rotation = matrix[:3, :3]
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-6)
    upright = opened.head.deform(view.expression.numpy())
    # Pose correctives do not answer to the root, so the head turns as a whole.
    assert np.allclose(view.vertices, upright @ rotation.T + matrix[:3, 3], atol=1e-5)


def test_the_jaw_is_given_as_the_heads_own_directions(capture, model):
    view = view_at(MultiViewCapture.open(capture, head=model), 1)
    names = MultiViewCapture.open(capture, head=model).head.expression_names
    named = dict(zip(names, view.expression.tolist(), strict=True))
    assert named["jawOpen"] == pytest.approx(0.25 / 0.3, abs=1e-5)
    assert named["jawLeft"] == pytest.approx(0.4, abs=1e-5)
    assert named["jawRight"] == 0
    assert named["expr_007"] == pytest.approx(param(TEETH, 1).expr[0, 7], abs=1e-6)


def refused(*arguments, **options):
    with pytest.raises(BadInputError) as caught:
        MultiViewCapture.open(*arguments, **options)
    assert caught.value.hint
    return caught.value.message


def test_a_flame_capture_without_a_model(capture):
    assert "FLAME head" in refused(capture)


def test_a_model_with_another_number_of_vertices(capture, model):
    write_params(capture, 4000)
    message = refused(capture, head=model)
    assert "4000 vertices" in message
    assert "5143 with teeth" in message


def test_two_people_in_one_capture(capture, model):
    other = param(TEETH, 1)
    other.shape[3] += 1
    save_flame_param(other, capture / "flame_param/00001.npz")
    message = refused(capture, head=model)
    assert "00001.npz is of another person" in message


def test_a_canonical_head_of_somebody_else(capture, model):
    np.savez(capture / "canonical_flame_param.npz", shape=np.ones(300, np.float32))
    assert "canonical_flame_param.npz" in refused(capture, head=model)


def test_many_frames_in_one_file(capture, model):
    whole = FlameParam.neutral(TEETH, 4, shape=param(TEETH).shape)
    whole.static_offset[:] = param(TEETH).static_offset
    save_flame_param(whole, capture / "flame_param/00002.npz")
    assert "00002.npz holds 4 frames" in refused(capture, head=model)


def test_frames_of_both_kinds(capture, small_capture, model):
    own = json.loads((small_capture / "transforms_val.json").read_text())["frames"][0]
    path = capture / "transforms_val.json"
    content = json.loads(path.read_text())
    content["frames"].append(own)
    path.write_text(json.dumps(content))
    assert "frames with FLAME parameters and frames with others" in refused(capture, head=model)


def named(folder, **parts):
    every = {part: list(parts.get(part, ())) for part in ("training", "validation", "test")}
    (folder / "split.json").write_text(json.dumps(every))


def trained_on(opened):
    return {frame.timestep for frame in opened.split("train").frames}


def test_no_stage_trains_on_pictures_of_the_test_recordings(flame_sequences, tmp_path):
    """Two timesteps of each recording; without a list the last of three is the test part."""
    opened = MultiViewCapture.open(flame_sequences.data, head=flame_sequences.model)
    assert trained_on(opened) == {0, 1, 2, 3}
    assert {frame.timestep for frame in opened.split("test").frames} == set(range(6))
    copy = (
        shutil.copytree(flame_sequences.data.parent, tmp_path / "306") / flame_sequences.data.name
    )
    named(copy, training=["SEN-02"], validation=["SEN-03"], test=["SEN-01"])
    again = MultiViewCapture.open(copy, head=flame_sequences.model)
    assert trained_on(again) == {2, 3, 4, 5}
    # What the avatar's training refines and takes the range of expressions from follows.
    tuned = TunedTracking(again, Tuning(), "cpu")
    assert tuned.timesteps == [2, 3, 4, 5]
    seen = np.stack([view.expression.numpy() for view in again.split("train")])
    assert np.allclose(again.identity().expression_range[1], seen.max(0), atol=1e-6)


def test_a_capture_of_which_all_is_for_the_test_is_refused(flame_sequences, tmp_path):
    copy = (
        shutil.copytree(flame_sequences.data.parent, tmp_path / "306") / flame_sequences.data.name
    )
    named(copy, test=["SEN-01", "SEN-02", "SEN-03"])
    with pytest.raises(BadInputError, match="kept for the test") as caught:
        MultiViewCapture.open(copy, head=flame_sequences.model)
    assert "split.json" in caught.value.hint
