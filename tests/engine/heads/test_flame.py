# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.heads.flame import load_flame, read_flame
from tests.engine.heads.flame_files import (
    EYE_VERTICES,
    HEAD_VERTICES,
    chumpy,
    flame_arrays,
    lips_of,
    write_flame_pickle,
    write_pickle,
)


@pytest.fixture(scope="module")
def arrays():
    return flame_arrays()


@pytest.fixture(scope="module")
def folder(tmp_path_factory, arrays):
    folder = tmp_path_factory.mktemp("flame")
    write_flame_pickle(folder / "flame2023.pkl", arrays)
    np.savez(folder / "flame2023.npz", **arrays)
    return folder


@pytest.fixture(scope="module")
def head(folder):
    return load_flame(folder / "flame2023.npz")


def test_a_python_2_pickle_gives_the_arrays_that_went_in(folder, arrays):
    model = read_flame(folder / "flame2023.pkl")
    for name in ("v_template", "f", "shapedirs", "posedirs", "J_regressor", "weights"):
        np.testing.assert_allclose(getattr(model, name), arrays[name], rtol=1e-6, err_msg=name)
    assert model.parents.tolist() == [-1, 0, 1, 1, 1]


def test_a_pickle_of_this_python_gives_the_same_head(tmp_path, arrays, head):
    write_flame_pickle(tmp_path / "flame.pkl", arrays, protocol=5, python2=False)
    assert load_flame(tmp_path / "flame.pkl").id == head.id


def test_pickle_and_npz_of_a_model_are_the_same_head(folder, head):
    other = load_flame(folder / "flame2023.pkl")
    assert other.id == head.id
    np.testing.assert_array_equal(other.expression_basis, head.expression_basis)


def test_another_identity_is_another_head(folder, head):
    other = load_flame(folder / "flame2023.npz", shape=np.array([1.0, -2.0], np.float32))
    assert other.id != head.id


def test_the_head_has_the_sizes_that_gaussian_avatars_expects(head):
    assert head.template.shape == (5143, 3)
    assert head.faces.shape == (10144, 3)
    assert head.template.dtype == np.float32
    assert head.faces.dtype == np.int32


def test_without_teeth_the_mesh_is_that_of_the_file(folder, arrays):
    head = load_flame(folder / "flame2023.npz", teeth=False)
    np.testing.assert_allclose(head.template, arrays["v_template"], rtol=1e-6)
    np.testing.assert_array_equal(head.faces, arrays["f"])
    assert "teeth" not in head.regions


def test_expressions_are_the_last_hundred_directions_then_the_jaw(head, arrays):
    assert head.expression_names[0] == "expr_000"
    assert head.expression_names[99:] == ("expr_099", "jawOpen", "jawLeft", "jawRight")
    np.testing.assert_allclose(
        head.expression_basis[7, :5023], arrays["shapedirs"][..., 307], rtol=1e-6
    )


def test_identity_comes_from_the_first_directions(folder, arrays):
    shape = np.zeros(300, np.float32)
    shape[[0, 299]] = 2.0, -1.0
    head = load_flame(folder / "flame2023.npz", shape=shape, teeth=False)
    expected = arrays["v_template"] + arrays["shapedirs"][..., :300] @ shape
    np.testing.assert_allclose(head.template, expected, atol=1e-7)


def test_jaw_open_lowers_the_chin_and_the_lower_teeth_only(head):
    moved = head.expression_basis[head.expression_index("jawOpen")]
    assert np.abs(moved[head.regions["upper_teeth"]]).max() < 1e-6
    assert np.abs(moved[head.regions["eyeballs"]]).max() < 0.02
    front = head.landmarks["lower_teeth_edge"][7]
    assert -0.035 < moved[front, 1] < -0.01


def test_jaw_left_goes_to_the_persons_left(head):
    front = head.landmarks["lower_teeth_edge"][7]
    assert head.expression_basis[head.expression_index("jawLeft"), front, 0] > 0.003
    assert head.expression_basis[head.expression_index("jawRight"), front, 0] < -0.003


def test_teeth_turn_with_the_jaw_as_a_rigid_body(head):
    jaw = head.skeleton.names.index("jaw")
    weights = head.skeleton.weights
    assert (weights[head.regions["lower_teeth"], jaw] == 1).all()
    assert (weights[head.regions["upper_teeth"], 1] == 1).all()
    assert np.abs(head.expression_basis[:100, head.regions["teeth"]]).max() == 0


def test_teeth_lie_behind_the_lips_and_meet_at_their_line(head):
    lip_front = 0.085
    for name, above in (("upper", True), ("lower", False)):
        teeth = head.template[head.regions[f"{name}_teeth"]]
        edge = head.template[head.landmarks[f"{name}_teeth_edge"]]
        assert teeth[:, 2].max() < lip_front - 0.004
        assert abs(edge[7, 1] - -0.035) < 0.006
        assert (teeth[:, 1].mean() > edge[:, 1].mean()) == above
        assert abs(teeth[:, 0].mean()) < 1e-4


def test_the_surface_of_the_teeth_faces_outwards(head):
    first = head.faces[-168:]
    for part, name in ((first[:84], "upper"), (first[84:], "lower")):
        assert set(part.ravel()) == set(head.regions[f"{name}_teeth"])
        corners = head.template[part]
        normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        middle = head.template[head.regions[f"{name}_teeth"]].mean(0)
        across = corners.mean(1) - middle
        outside = np.isin((part - part.min()) % 4, (0, 1)).all(1)
        assert outside.sum() == 28
        assert ((normal * across)[outside][:, [0, 2]].sum(1) > 0).all()


def test_teeth_are_larger_on_a_larger_head(tmp_path, arrays, head):
    np.savez(tmp_path / "giant.npz", **arrays | {"v_template": 2 * arrays["v_template"]})
    giant = load_flame(tmp_path / "giant.npz")
    width = np.ptp(giant.template[giant.regions["teeth"], 0])
    assert width == pytest.approx(2 * np.ptp(head.template[head.regions["teeth"], 0]), rel=1e-4)


def test_eyeballs_are_found_by_their_joints(head):
    expected = HEAD_VERTICES + np.arange(EYE_VERTICES)
    np.testing.assert_array_equal(head.regions["left_eyeball"], expected)
    np.testing.assert_array_equal(head.regions["right_eyeball"], expected + EYE_VERTICES)


def test_without_masks_regions_that_only_masks_tell_are_left_out(head):
    assert "lips" not in head.regions
    assert "forehead" not in head.regions


@pytest.mark.parametrize("how", ["beside", "path", "mapping", "npz"])
def test_masks_give_the_lips(tmp_path, folder, arrays, how):
    lips = lips_of(arrays)
    model, regions = folder / "flame2023.npz", {"lips": lips}
    if how == "beside":
        model, regions = tmp_path / "model.npz", None
        model.write_bytes((folder / "flame2023.npz").read_bytes())
        write_pickle(tmp_path / "FLAME_masks.pkl", {"lips": lips})
    elif how == "path":
        regions = tmp_path / "masks.pkl"
        write_pickle(regions, {"lips": lips}, protocol=0)
    elif how == "npz":
        regions = tmp_path / "masks.npz"
        np.savez(regions, lips=lips)
    head = load_flame(model, regions=regions)
    np.testing.assert_array_equal(head.regions["lips"], lips)
    y = head.template[:, 1]
    assert y[head.regions["upper_lip"]].min() > y[head.regions["lower_lip"]].max()
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    assert len(upper) == len(lower) > 3
    assert (np.diff(head.template[upper, 0]) > 0).all()
    right, left = head.landmarks["mouth_corners"]
    assert head.template[right, 0] < 0 < head.template[left, 0]


def test_texture_coordinates_of_the_file_are_kept_and_teeth_get_their_own(tmp_path, arrays):
    vt = np.random.default_rng(0).random((5118, 2))
    ft = np.random.default_rng(1).integers(0, 5118, (9976, 3))
    np.savez(tmp_path / "uv.npz", **arrays, vt=vt, ft=ft)
    head = load_flame(tmp_path / "uv.npz")
    np.testing.assert_allclose(head.uv[:5118], vt, rtol=1e-6)
    np.testing.assert_array_equal(head.uv_faces[:9976], ft)
    assert head.uv_faces.shape == head.faces.shape
    assert head.uv_faces.max() == len(head.uv) - 1


FT = np.zeros((9976, 3), np.int32)


@pytest.mark.parametrize("suffix", ["npz", "pkl"])
@pytest.mark.parametrize(
    ("vt", "ft", "reason"),
    [
        (np.full((5118, 2), np.nan), FT, "vt.*not finite"),
        (np.full((5118, 2), 1e300), FT, "vt.*not finite"),
        (np.full((5118, 2), "a"), FT, "vt.*not finite"),
        (np.zeros(5118), FT, "vt.*shape"),
        (np.zeros((5118, 1)), FT, "vt.*shape"),
        (np.zeros((5118, 2, 2)), FT, "vt.*shape"),
        (np.zeros((0, 2)), FT, "ft.*do not exist"),
        (np.zeros((5118, 2)), FT[:-1], "ft.*shape"),
        (np.zeros((5118, 2)), FT[0], "ft.*shape"),
        (np.zeros((5118, 2)), np.full(FT.shape, np.nan), "ft.*do not exist"),
        (np.zeros((5118, 2)), np.full(FT.shape, 5118), "ft.*do not exist"),
        (np.zeros((5118, 2)), np.full(FT.shape, -1), "ft.*do not exist"),
        (np.zeros((5118, 2)), np.full(FT.shape, 0.5), "ft.*do not exist"),
        (np.zeros((5118, 2)), np.full(FT.shape, "a"), "ft.*not numbers"),
    ],
)
def test_wrong_texture_coordinates_are_named(tmp_path, arrays, suffix, vt, ft, reason):
    path = tmp_path / f"wrong.{suffix}"
    write = np.savez if suffix == "npz" else lambda path, **content: write_pickle(path, content)
    write(path, **arrays | {"vt": vt, "ft": ft})
    with pytest.raises(BadInputError, match=rf"wrong\.{suffix}.*{reason}"):
        read_flame(path)


def test_without_texture_coordinates_no_triangle_spans_the_seam(head):
    assert head.uv_faces.shape == head.faces.shape
    from_axis = np.linalg.norm((head.template - head.template.mean(0))[:, [0, 2]], axis=1)
    beside_crown = (from_axis[head.faces] > 0.01).all(1)
    assert beside_crown.sum() > 9000
    u = head.uv[head.uv_faces][..., 0]
    assert np.ptp(u[beside_crown], axis=1).max() < 0.5


def test_deform_at_full_jaw_open_is_the_skinned_pose(head):
    weights = np.zeros(103, np.float32)
    weights[100] = 1
    moved = head.deform(weights) - head.template
    np.testing.assert_allclose(moved, head.expression_basis[100], atol=1e-7)


@pytest.mark.parametrize("key", ["v_template", "f", "shapedirs", "posedirs", "weights"])
def test_a_missing_array_is_named(tmp_path, arrays, key):
    path = tmp_path / "partial.npz"
    np.savez(path, **{name: value for name, value in arrays.items() if name != key})
    with pytest.raises(BadInputError, match=rf"partial\.npz.*no {key}"):
        load_flame(path)


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("v_template", np.zeros((6890, 3)), "shape"),
        ("f", np.full((9976, 3), 5023), "do not exist"),
        ("v_template", np.full((5023, 3), np.nan), "not finite"),
        ("weights", np.zeros((5023, 5)), "sum to one"),
        ("kintree_table", np.array([[-1, 3, 1, 1, 1], [0, 1, 2, 3, 4]]), "tree of joints"),
        ("f", np.full((9976, 3), "a"), "not numbers"),
        ("f", np.full((9976, 3), np.nan), "do not exist"),
        ("f", np.full((9976, 3), 0.5), "do not exist"),
        ("v_template", np.full((5023, 3), "a"), "not finite numbers"),
        ("shapedirs", np.full((5023, 3, 400), 1e300), "not finite numbers"),
        ("posedirs", np.full((5023, 3, 36), -np.inf), "not finite numbers"),
        ("weights", np.full((5023, 5), 1e30), "not finite numbers"),
        ("weights", np.full((5023, 5), 0.2 + 0j), "not finite numbers"),
        ("kintree_table", np.array([[-1, np.nan, 1, 1, 1], [0, 1, 2, 3, 4]]), "do not exist"),
        ("J_regressor", np.zeros((5, 5022)), "shape"),
    ],
)
def test_wrong_values_are_named(tmp_path, arrays, key, value, reason):
    path = tmp_path / "wrong.npz"
    np.savez(path, **arrays | {key: value})
    with pytest.raises(BadInputError, match=rf"wrong\.npz.*{reason}"):
        load_flame(path)


def test_a_pickle_with_a_wrong_type_of_array_is_named(tmp_path):
    write_pickle(tmp_path / "wrong.pkl", {"v_template": chumpy("text")})
    with pytest.raises(BadInputError, match=r"wrong\.pkl.*v_template"):
        load_flame(tmp_path / "wrong.pkl")


def test_a_head_without_a_jaw_loads_without_teeth_only(tmp_path, arrays):
    weights = np.tile([0.0, 1, 0, 0, 0], (5023, 1))
    np.savez(tmp_path / "jawless.npz", **arrays | {"weights": weights})
    with pytest.raises(BadInputError, match="No mouth"):
        load_flame(tmp_path / "jawless.npz")
    assert load_flame(tmp_path / "jawless.npz", teeth=False).vertex_count == 5023


@pytest.mark.parametrize("name", ["model.pkl", "model.npz"])
@pytest.mark.parametrize(
    "content", [b"", b"hello\n" * 100, b"\x00" * 64], ids=["empty", "text", "zeros"]
)
def test_a_file_of_something_else_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=name.replace(".", r"\.")):
        load_flame(tmp_path / name)


@pytest.mark.parametrize("name", ["flame2023.pkl", "flame2023.npz"])
def test_a_truncated_file_is_named(tmp_path, folder, name):
    data = (folder / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(BadInputError, match="cannot be read"):
        load_flame(tmp_path / name)


@pytest.mark.parametrize("name", ["model.pkl", "model.npz"])
def test_a_missing_file_is_named(tmp_path, name):
    with pytest.raises(BadInputError, match="There is no file"):
        load_flame(tmp_path / name)


def test_object_arrays_in_an_npz_run_nothing(tmp_path, arrays):
    class Evil:
        def __reduce__(self):
            return (tmp_path / "ran").touch, ()

    path = tmp_path / "evil.npz"
    np.savez(path, **arrays | {"v_template": np.array([Evil()], object)})
    with pytest.raises(BadInputError, match=r"evil\.npz"):
        load_flame(path)
    assert not (tmp_path / "ran").exists()


def test_too_many_shape_coefficients_are_refused(folder):
    with pytest.raises(BadInputError, match="300"):
        load_flame(folder / "flame2023.npz", shape=np.zeros(301, np.float32))
