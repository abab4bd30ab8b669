# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch

from engine.avatar.flame_motion import performance_of as played_by
from engine.avatar.flame_param import flame_param_of
from engine.core.errors import BadInputError
from engine.heads.flame import flame_person
from engine.heads.flame_param import FlameParam, load_flame_param, save_flame_param
from engine.heads.skinning import flame_vertices
from engine.motion.face.pose import pose_matrices
from engine.motion.performance import Performance

SHAPES = {
    "shape": (300,),
    "expr": (4, 100),
    "rotation": (4, 3),
    "neck_pose": (4, 3),
    "jaw_pose": (4, 3),
    "eyes_pose": (4, 6),
    "translation": (4, 3),
    "static_offset": (1, 12, 3),
    "dynamic_offset": (4, 12, 3),
}


@pytest.fixture
def arrays():
    random = np.random.default_rng(0)
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in SHAPES.items()}


def test_a_still_face_has_the_published_shapes_in_float32_and_zero_offsets(tmp_path):
    save_flame_param(FlameParam.neutral(5143, 3, np.ones(10, np.float32)), tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as data:
        shapes = {name: data[name].shape for name in data.files}
        assert {str(data[name].dtype) for name in data.files} == {"float32"}
        assert data["shape"].sum() == 10
        assert not any(data[name].any() for name in data.files if name != "shape")
    assert shapes["dynamic_offset"] == (3, 5143, 3)
    assert shapes["static_offset"] == (1, 5143, 3)
    assert shapes.keys() == SHAPES.keys()


def test_what_is_saved_comes_back_to_the_bit(arrays, tmp_path):
    save_flame_param(FlameParam(**arrays), tmp_path / "a.npz")
    back = load_flame_param(tmp_path / "a.npz")
    assert back.frames == 4
    for name, array in arrays.items():
        assert getattr(back, name).tobytes() == array.tobytes()


def test_doubles_are_read_and_a_missing_dynamic_offset_is_zero(arrays, tmp_path):
    del arrays["dynamic_offset"]
    np.savez(
        tmp_path / "a.npz", **{name: array.astype(np.float64) for name, array in arrays.items()}
    )
    back = load_flame_param(tmp_path / "a.npz")
    assert back.dynamic_offset.shape == (4, 12, 3)
    assert not back.dynamic_offset.any()
    np.testing.assert_array_equal(back.expr, arrays["expr"])


@pytest.mark.parametrize("name", ["expr", "eyes_pose", "static_offset"])
def test_a_missing_array_is_named(name, arrays, tmp_path):
    del arrays[name]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(BadInputError, match=name):
        load_flame_param(tmp_path / "a.npz")


@pytest.mark.parametrize("name", SHAPES)
def test_a_wrong_shape_and_not_a_number_are_refused_by_name(name, arrays):
    with pytest.raises(BadInputError):
        FlameParam(**arrays | {name: arrays[name][..., :-1]})
    spoiled = arrays[name].copy()
    spoiled.flat[0] = np.nan
    with pytest.raises(BadInputError, match=name):
        FlameParam(**arrays | {name: spoiled})


def test_other_files_are_refused(arrays, tmp_path):
    (tmp_path / "a.npz").write_text("a note")
    np.savez(tmp_path / "b.npz", **arrays | {"expr": np.array([{}], object)})
    save_flame_param(FlameParam(**arrays), tmp_path / "c.npz")
    (tmp_path / "c.npz").write_bytes((tmp_path / "c.npz").read_bytes()[:-60])
    for name in ("a.npz", "b.npz", "c.npz", "d.npz"):
        with pytest.raises(BadInputError, match=name.replace(".", r"\.")):
            load_flame_param(tmp_path / name)


def test_an_array_that_claims_more_than_it_holds_is_refused_before_it_is_allocated(
    arrays, tmp_path
):
    save_flame_param(FlameParam(**arrays), tmp_path / "a.npz")
    with (
        zipfile.ZipFile(tmp_path / "a.npz") as good,
        zipfile.ZipFile(tmp_path / "b.npz", "w") as lying,
    ):
        for name in good.namelist():
            data = good.read(name)
            if name == "expr.npy":
                header = b"(4, 100), }        "
                assert header in data
                data = data.replace(header, b"(40000000, 100), }".ljust(len(header)))
            lying.writestr(name, data)
    with pytest.raises(BadInputError, match=r"b\.npz cannot be read"):
        load_flame_param(tmp_path / "b.npz")


def performance_of(head, expression):
    """A performance by the head's own expressions."""
    return Performance(
        25.0, expression, head.expression_basis, expression, head.expression_names, head.id
    )


def reposed(param, model_file):
    """FLAME's own vertices, from the model's file and the parameters alone."""
    model = flame_person(model_file, shape=param.shape, static_offset=param.static_offset[0]).model
    joints = (param.rotation, param.neck_pose, param.jaw_pose, param.eyes_pose)
    pose = torch.from_numpy(np.concatenate(joints, 1))
    expr, translation = torch.from_numpy(param.expr), torch.from_numpy(param.translation)
    return flame_vertices(model, torch.zeros(0), expr, pose, translation).numpy()


def in_the_scene(played, head):
    """(T, V, 3) a performance's vertices, turned about the neck."""
    turned = pose_matrices(played.head_rotation, head.neck)
    vertices = head.template + played.offsets()
    return np.einsum("tij,tvj->tvi", turned[:, :3, :3], vertices) + turned[:, None, :3, 3]


def test_the_parameters_give_the_performances_vertices_again(person, model_file):
    """About the root that FLAME turns about: the expression moves it, by millimetres here."""
    random = np.random.default_rng(2)
    expression = np.zeros((5, 103), np.float32)
    expression[:, :6] = random.normal(size=(5, 6))
    turned = random.normal(0, 0.3, (5, 3)).astype(np.float32)
    played = dataclasses.replace(performance_of(person.head, expression), head_rotation=turned)
    param, error = flame_param_of(played, person.head, model_file)
    ours = in_the_scene(played, person.head)
    again = np.linalg.norm(reposed(param, model_file) - ours, axis=-1).max()
    assert again < 1e-5
    assert error < 1e-5
    root = person.model.J_regressor[0]
    moved = person.model.shapedirs[..., 300:306] @ expression[:, :6].T
    assert np.linalg.norm(np.einsum("v,vct->tc", root, moved), axis=1).max() > 1e-3


def test_so_do_those_of_a_performance_whose_joints_are_known(person, model_file):
    random = np.random.default_rng(3)
    truth = FlameParam.of(person.head, 8)
    for name, size in (("rotation", 0.3), ("neck_pose", 0.2), ("eyes_pose", 0.2)):
        array = getattr(truth, name)
        array[:] = random.normal(0, size, array.shape)
    truth.expr[:, :6] = random.normal(size=(8, 6))
    truth.jaw_pose[:] = random.uniform(0, 0.2, (8, 3)) * [1, 0.3, 0]
    truth.translation[:] = random.normal(0, 0.05, (8, 3))
    played = played_by(truth, person.model, person.head, 25.0)
    param, error = flame_param_of(played, person.head, model_file)
    ours = in_the_scene(played, person.head)
    assert np.linalg.norm(reposed(param, model_file) - ours, axis=-1).max() < 1e-5
    assert error < 1e-5
    np.testing.assert_allclose(param.neck_pose, truth.neck_pose, atol=1e-6)


def test_a_performance_gives_its_expression_and_jaw(person, model_file):
    expression = np.random.default_rng(2).uniform(0, 0.5, (5, 103)).astype(np.float32)
    expression[0, 100:] = 0.0
    played = performance_of(person.head, expression)
    param, error = flame_param_of(played, person.head, model_file)
    np.testing.assert_array_equal(param.expr, expression[:, :100])
    np.testing.assert_allclose(param.jaw_pose[:, 0], 0.3 * expression[:, 100], rtol=1e-6)
    np.testing.assert_allclose(
        param.jaw_pose[:, 1], 0.1 * (expression[:, 101] - expression[:, 102]), rtol=1e-5, atol=1e-8
    )
    assert not param.dynamic_offset.any()
    # A straight line stands for the arc of the jaw.
    far = np.linalg.norm(reposed(param, model_file) - in_the_scene(played, person.head), axis=-1)
    assert far[0].max() < 1e-5
    assert error == pytest.approx(far.max(), abs=1e-6)
    assert 1e-4 < error < 2e-3


def test_what_the_parameters_cannot_say_is_reported_in_metres(person, model_file):
    played = performance_of(person.head, np.zeros((2, 103), np.float32))
    weights = np.zeros((2, 103), np.float32)
    weights[1, 0] = 1.0
    _, error = flame_param_of(dataclasses.replace(played, weights=weights), person.head, model_file)
    longest = np.linalg.norm(person.head.expression_basis[0], axis=-1).max()
    assert error == pytest.approx(longest, rel=1e-3)


def test_a_performance_of_another_head_is_refused(head, person, model_file):
    played = performance_of(head, np.zeros((2, 2), np.float32))
    with pytest.raises(BadInputError, match="FLAME parameters"):
        flame_param_of(played, person.head, model_file)
    with pytest.raises(BadInputError, match="FLAME parameters"):
        flame_param_of(played, head, model_file)


def test_zeros_of_thousands_of_frames_take_no_memory(tmp_path):
    frames, V = 4000, 3000
    still = FlameParam.neutral(V, 1)
    long = {
        f.name: np.broadcast_to(value := getattr(still, f.name), (frames, *value.shape[1:]))
        if f.name not in {"shape", "static_offset"}
        else getattr(still, f.name)
        for f in dataclasses.fields(still)
    }
    save_flame_param(FlameParam(**long), tmp_path / "a.npz")
    tracemalloc.start()
    try:
        loaded = load_flame_param(tmp_path / "a.npz")
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
    assert loaded.dynamic_offset.shape == (frames, V, 3)
    assert not loaded.dynamic_offset.any()


@pytest.mark.parametrize(
    "changes",
    [
        {"expr": np.float32(1)},
        {"expr": np.zeros((30_000, 100), np.float32)},
        {"static_offset": np.zeros((1, 100_000, 3), np.float32)},
        {"static_offset": np.zeros(3, np.float32)},
        {"shape": np.full(300, np.nan)},
        {"dynamic_offset": np.ones((2, 2, 3))},
    ],
    ids=lambda changes: f"{next(iter(changes))}",
)
def test_arrays_that_cannot_be_are_refused_in_a_line(arrays, tmp_path, changes):
    np.savez_compressed(tmp_path / "a.npz", **(arrays | changes))
    with pytest.raises(BadInputError, match=r"a\.npz") as caught:
        load_flame_param(tmp_path / "a.npz")
    assert len(caught.value.message) <= 300
