# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import tracemalloc
import zipfile

import numpy as np
import pytest

from engine.avatar.flame_param import flame_param_of
from engine.core.errors import BadInputError
from engine.heads.flame_param import FlameParam, load_flame_param, save_flame_param
from engine.motion.face.pose import rotations
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


@pytest.fixture
def flame_head(head):
    """The octahedron with FLAME's expressions."""
    random = np.random.default_rng(1)
    names = (*(f"expr_{i:03d}" for i in range(100)), "jawOpen", "jawLeft", "jawRight")
    basis = 0.01 * random.normal(size=(103, 6, 3)).astype(np.float32)
    return dataclasses.replace(head, id="flame-0", expression_basis=basis, expression_names=names)


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
                told = b"(4, 100), }        "
                assert told in data
                data = data.replace(told, b"(40000000, 100), }".ljust(len(told)))
            lying.writestr(name, data)
    with pytest.raises(BadInputError, match=r"b\.npz cannot be read"):
        load_flame_param(tmp_path / "b.npz")


def performance_of(head, expression):
    """A performance by the head's own expressions."""
    return Performance(
        25.0, expression, head.expression_basis, expression, head.expression_names, head.id
    )


def test_a_performance_gives_its_expression_and_jaw(flame_head):
    expression = np.random.default_rng(2).uniform(0, 0.5, (5, 103)).astype(np.float32)
    param, error = flame_param_of(performance_of(flame_head, expression), flame_head)
    np.testing.assert_array_equal(param.expr, expression[:, :100])
    np.testing.assert_allclose(param.jaw_pose[:, 0], 0.3 * expression[:, 100], rtol=1e-6)
    np.testing.assert_allclose(
        param.jaw_pose[:, 1], 0.1 * (expression[:, 101] - expression[:, 102]), rtol=1e-5, atol=1e-8
    )
    assert not param.dynamic_offset.any()
    assert error < 1e-6


def test_what_the_parameters_cannot_say_is_told_in_metres(flame_head):
    played = performance_of(flame_head, np.zeros((2, 103), np.float32))
    weights = np.zeros((2, 103), np.float32)
    weights[1, 0] = 1.0
    _, error = flame_param_of(dataclasses.replace(played, weights=weights), flame_head)
    longest = np.linalg.norm(flame_head.expression_basis[0], axis=-1).max()
    assert error == pytest.approx(longest, rel=1e-5)


def test_a_performance_of_another_head_is_refused(head, flame_head):
    played = performance_of(head, np.zeros((2, 2), np.float32))
    with pytest.raises(BadInputError, match="FLAME parameters"):
        flame_param_of(played, flame_head)
    with pytest.raises(BadInputError, match="FLAME parameters"):
        flame_param_of(played, head)


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


def test_the_heads_rotation_turns_it_about_the_neck(flame_head):
    played = performance_of(flame_head, np.zeros((1, 103), np.float32))
    turned = np.array([[0.1, 0.3, -0.1]], np.float32)
    param, _ = flame_param_of(dataclasses.replace(played, head_rotation=turned), flame_head)
    root = flame_head.skeleton.positions[0]
    (rotation,) = rotations(param.rotation)
    # FLAME: x ↦ R·(x − root) + root + translation.
    neck = rotation @ (flame_head.neck - root) + root + param.translation[0]
    np.testing.assert_allclose(neck, flame_head.neck, atol=1e-6)
    np.testing.assert_array_equal(param.rotation, turned)
