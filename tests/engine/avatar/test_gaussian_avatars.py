# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses
import struct

import numpy as np
import pytest
import torch

from engine.avatar import ShColor, load_avatar, splats
from engine.avatar.gaussian_avatars import FIELDS, save_point_cloud
from engine.avatar.ply import read_columns, read_header, write_columns
from engine.core.errors import BadInputError

PUBLISHED = (
    "x y z nx ny nz f_dc_0 f_dc_1 f_dc_2 "
    + " ".join(f"f_rest_{i}" for i in range(45))
    + " opacity scale_0 scale_1 scale_2 rot_0 rot_1 rot_2 rot_3 binding_0"
).split()
ATTRIBUTES = ("binding", "positions", "log_scales", "quats", "opacity_logits")


def columns_of(path):
    header = read_header(path)
    return dict(zip(header.names, read_columns(path, header, header.names).T, strict=True))


def rewritten(path, change):
    """The file with its columns changed."""
    columns = columns_of(path)
    change(columns)
    write_columns(path, tuple(columns), np.stack(list(columns.values()), 1))
    return path


@pytest.fixture
def saved(sh_avatar, tmp_path):
    save_point_cloud(sh_avatar, tmp_path / "point_cloud.ply")
    return tmp_path / "point_cloud.ply"


def test_fields_stand_in_the_published_order_all_of_them_little_endian_floats(saved):
    header = read_header(saved)
    assert list(header.names) == PUBLISHED == list(FIELDS)
    assert {header.dtype[name].str for name in header.names} == {"<f4"}


def test_every_value_stands_under_its_own_name(sh_avatar, saved):
    columns = columns_of(saved)
    avatar, harmonics = sh_avatar, sh_avatar.color.coefficients.numpy()
    for axis, name in enumerate("xyz"):
        np.testing.assert_array_equal(columns[name], avatar.positions[:, axis])
        assert not columns[f"n{name}"].any()
        np.testing.assert_array_equal(columns[f"scale_{axis}"], avatar.log_scales[:, axis])
        np.testing.assert_array_equal(columns[f"f_dc_{axis}"], harmonics[:, 0, axis])
    for part in range(4):
        np.testing.assert_array_equal(columns[f"rot_{part}"], avatar.quats[:, part])
    np.testing.assert_array_equal(columns["opacity"], avatar.opacity_logits)
    np.testing.assert_array_equal(columns["binding_0"], avatar.binding)


def test_higher_harmonics_are_stored_channel_by_channel(sh_avatar, saved):
    columns, harmonics = columns_of(saved), sh_avatar.color.coefficients.numpy()
    for channel in range(3):
        for k in range(1, 16):
            expected = harmonics[:, k, channel] if k < 4 else np.zeros(24)
            np.testing.assert_array_equal(columns[f"f_rest_{15 * channel + k - 1}"], expected)


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_what_is_saved_comes_back_to_the_bit(degree, sh_avatar, head, tmp_path):
    values = torch.randn(24, (degree + 1) ** 2, 3, generator=torch.Generator().manual_seed(5))
    values[0, -1, 0] = -0.0
    avatar = dataclasses.replace(sh_avatar, color=ShColor(values))
    save_point_cloud(avatar, tmp_path / "a.ply")
    back = load_avatar(tmp_path / "a.ply", head)
    for name in ATTRIBUTES:
        assert torch.equal(getattr(back, name), getattr(avatar, name))
    assert torch.equal(back.color.coefficients.view(torch.int32), values.view(torch.int32))
    save_point_cloud(back, tmp_path / "b.ply")
    assert (tmp_path / "a.ply").read_bytes() == (tmp_path / "b.ply").read_bytes()


def test_a_file_made_by_another_program_is_read(head, tmp_path):
    # By hand, byte for byte: one splat on triangle 3, red from everywhere, no comment.
    values = dict.fromkeys(PUBLISHED, 0.0)
    values |= {"x": 0.1, "z": -0.2, "f_dc_0": 1.5, "opacity": 2.0, "scale_1": -3.0}
    values |= {"rot_0": 2.0, "binding_0": 3.0}
    header = "ply\nformat binary_little_endian 1.0\nelement vertex 1\n"
    header += "".join(f"property float {name}\n" for name in PUBLISHED) + "end_header\n"
    data = struct.pack(f"<{len(PUBLISHED)}f", *values.values())
    (tmp_path / "a.ply").write_bytes(header.encode() + data)
    avatar = load_avatar(tmp_path / "a.ply", head)
    assert (avatar.head, avatar.count, int(avatar.binding[0])) == ("octahedron", 1, 3)
    assert avatar.color.degree == 0
    placed = splats(avatar, torch.from_numpy(head.template))
    assert placed.opacities.item() == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-6)
    assert placed.colors[0].tolist() == pytest.approx([0.5 + 1.5 * 0.28209479, 0.5, 0.5])
    assert (placed.scales[0, 1] / placed.scales[0, 0]).item() == pytest.approx(np.exp(-3.0))


def test_harmonics_of_degree_three_are_seen_in_the_colours(sh_avatar, head, tmp_path):
    values = torch.randn(24, 16, 3, generator=torch.Generator().manual_seed(6))
    avatar = dataclasses.replace(sh_avatar, color=ShColor(values))
    save_point_cloud(avatar, tmp_path / "a.ply")
    back, vertices = load_avatar(tmp_path / "a.ply", head), torch.from_numpy(head.template)
    eye = torch.tensor([0.4, 0.3, 1.0])
    expected = splats(avatar, vertices, camera_position=eye).colors
    assert torch.equal(splats(back, vertices, camera_position=eye).colors, expected)
    assert not torch.allclose(splats(back, vertices).colors, expected, atol=1e-2)


def test_a_colour_network_is_written_as_harmonics_with_the_error_reported(
    mlp_avatar, head, tmp_path
):
    fit = save_point_cloud(mlp_avatar, tmp_path / "a.ply")
    back = load_avatar(tmp_path / "a.ply", head)
    assert torch.equal(back.color.coefficients, fit.color.coefficients)
    assert 0 < fit.rms < fit.worst < 0.5


def test_fewer_harmonics_are_read_and_a_wrong_number_is_refused(saved, head):
    def drop(columns, first):
        for number in range(first, 45):
            del columns[f"f_rest_{number}"]

    assert load_avatar(rewritten(saved, lambda c: drop(c, 9)), head).color.degree == 1
    with pytest.raises(BadInputError, match="8 f_rest fields"):
        load_avatar(rewritten(saved, lambda c: c.pop("f_rest_8")), head)


@pytest.mark.parametrize("name", ["x", "f_dc_2", "opacity", "scale_1", "rot_3"])
def test_a_missing_field_is_named(name, saved, head):
    with pytest.raises(BadInputError, match=name):
        load_avatar(rewritten(saved, lambda columns: columns.pop(name)), head)


def test_a_plain_scene_is_not_taken_for_an_avatar(saved, head):
    with pytest.raises(BadInputError, match="not bound to a head"):
        load_avatar(rewritten(saved, lambda columns: columns.pop("binding_0")), head)


@pytest.mark.parametrize("name", ["f_rest_44", "f_dc_0", "rot_1", "binding_0"])
def test_not_a_number_is_refused_by_field(name, saved, head):
    def spoil(columns):
        columns[name][7] = np.nan

    with pytest.raises(BadInputError, match=name):
        load_avatar(rewritten(saved, spoil), head)


@pytest.mark.parametrize(
    ("value", "message"),
    [(8, r"triangle 8.*8 triangles"), (-1, "no triangle"), (2.5, "no triangle"), (3e38, "8 tri")],
)
def test_bindings_that_do_not_fit_the_head_are_refused(value, message, saved, head):
    def spoil(columns):
        columns["binding_0"][3] = value

    with pytest.raises(BadInputError, match=message):
        load_avatar(rewritten(saved, spoil), head)


def test_an_avatar_exported_for_another_mesh_is_refused(saved, head):
    other = dataclasses.replace(head, id="cube", faces=np.ascontiguousarray(head.faces[:, ::-1]))
    with pytest.raises(BadInputError, match="another mesh than head 'cube'"):
        load_avatar(saved, other)


def test_a_file_without_splats_is_refused(saved, head):
    def empty(columns):
        for name in columns:
            columns[name] = columns[name][:0]

    with pytest.raises(BadInputError, match="no splats"):
        load_avatar(rewritten(saved, empty), head)
