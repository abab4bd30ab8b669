# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses

import numpy as np
import pytest
import torch
from gsplat.exporter import export_splats
from scipy.spatial.transform import Rotation

from engine.avatar import GaussianAvatar, MlpColor, ShColor, splats
from engine.avatar.ply import read_columns, read_header
from engine.core.errors import BadInputError, CancelledError
from engine.heads.head import Head, Skeleton
from engine.heads.identity import Identity
from engine.motion.face.pose import pose_matrices
from engine.motion.performance import Performance
from engine.rendering.splat_frames import AXES, write_splat_frames

COUNT = 40


@pytest.fixture
def head():
    template = np.array([[0, 0, 0], [0.1, 0, 0], [0, 0.1, 0.02], [0.1, 0.1, 0]], np.float32)
    faces = np.array([[0, 1, 2], [1, 3, 2]], np.int32)
    basis = 0.02 * np.random.default_rng(0).normal(size=(2, 4, 3)).astype(np.float32)
    bones = Skeleton(
        ("root",), np.array([-1], np.int32), np.zeros((1, 3), np.float32), np.ones((4, 1))
    )
    uv = np.zeros((1, 2), np.float32)
    return Head("flat", template, faces, uv, np.zeros_like(faces), basis, ("a", "b"), bones)


@pytest.fixture
def avatar(head):
    random = torch.Generator().manual_seed(0)
    return GaussianAvatar(
        Identity.of(head),
        torch.from_numpy(head.faces),
        torch.randint(0, 2, (COUNT,), generator=random, dtype=torch.int32),
        torch.randn(COUNT, 3, generator=random),
        torch.randn(COUNT, 3, generator=random) - 2,
        torch.randn(COUNT, 4, generator=random),
        torch.randn(COUNT, generator=random),
        ShColor(0.2 * torch.randn(COUNT, 9, 3, generator=random)),
    )


@pytest.fixture
def performance(head):
    weights = np.random.default_rng(1).uniform(0, 1, (20, 2)).astype(np.float32)
    return Performance(25.0, weights, head.expression_basis, weights, ("a", "b"), "flat")


def columns_of(path):
    header = read_header(path)
    return header.names, torch.from_numpy(read_columns(path, header, header.names))


@pytest.mark.parametrize("axes", AXES)
def test_a_frame_holds_the_avatars_splats_in_the_axes_asked_for(
    axes, head, avatar, performance, tmp_path
):
    write_splat_frames(tmp_path, performance, head, avatar, axes=axes)
    frame = 17
    names, columns = columns_of(tmp_path / "frame_00018.ply")
    turn = torch.from_numpy(AXES[axes])
    vertices = torch.from_numpy(head.template + performance.offsets()[frame])
    eye = torch.tensor([0.3, 0.2, 0.9])
    # The same through the mesh: a turned object seen by a turned camera.
    expected = splats(avatar, vertices, None, turn, turn[:3, :3] @ eye)
    assert names[:9] == ("x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2")
    assert names[-8:] == (
        "opacity",
        *(f"scale_{i}" for i in range(3)),
        *(f"rot_{i}" for i in range(4)),
    )
    assert len(names) == 62
    torch.testing.assert_close(columns[:, :3], expected.means)
    torch.testing.assert_close(torch.sigmoid(columns[:, 54]), expected.opacities)
    for found, true in ((columns[:, 58:], expected.quats),):
        matrices = [
            Rotation.from_quat(q.numpy()[:, [1, 2, 3, 0]]).as_matrix() for q in (found, true)
        ]
        np.testing.assert_allclose(*matrices, atol=1e-5)
    torch.testing.assert_close(columns[:, 55:58].exp(), expected.scales)
    harmonics = torch.cat(
        [columns[:, 6:9, None], columns[:, 9:54].reshape(COUNT, 3, 15)], 2
    ).transpose(1, 2)
    rays = torch.nn.functional.normalize(expected.means - turn[:3, :3] @ eye, dim=-1)
    torch.testing.assert_close(
        ShColor(harmonics).colors(None, rays), expected.colors, atol=1e-5, rtol=0
    )


def test_there_is_a_file_a_frame_named_from_one(head, avatar, performance, tmp_path):
    write_splat_frames(tmp_path / "new" / "folder", performance, head, avatar)
    names = sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert names == [f"frame_{number:05d}.ply" for number in range(1, 21)]


def test_a_colour_network_is_fitted_for_each_frame(head, avatar, performance, tmp_path):
    random = torch.Generator().manual_seed(3)

    def values(*shape):
        return torch.randn(*shape, generator=random)

    network = MlpColor(values(COUNT, 4), values(8, 9), values(8), values(3, 8), values(3))
    body = dataclasses.replace(avatar, color=network)
    fit = write_splat_frames(tmp_path, performance, head, body, degree=1)
    assert 0 < fit.rms < fit.worst
    first, last = (columns_of(tmp_path / f"frame_{n:05d}.ply")[1] for n in (1, 20))
    assert not torch.allclose(first[:, 6:9], last[:, 6:9], atol=1e-2)


def test_a_cancel_leaves_whole_frames_only(head, avatar, performance, tmp_path):
    def stop(fraction, message):
        if fraction > 0.3:
            raise CancelledError

    with pytest.raises(CancelledError):
        write_splat_frames(tmp_path, performance, head, avatar, stop)
    left = sorted(tmp_path.iterdir())
    assert [path.name for path in left] == [f"frame_{n:05d}.ply" for n in range(1, len(left) + 1)]
    assert 0 < len(left) < 20
    for path in left:
        assert read_header(path).count == COUNT


def test_frames_in_the_folder_are_kept_unless_they_may_be_replaced(
    head, avatar, performance, tmp_path
):
    (tmp_path / "frame_00099.ply").write_text("older")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(BadInputError, match="already holds 1 frames"):
        write_splat_frames(tmp_path, performance, head, avatar)
    write_splat_frames(tmp_path, performance, head, avatar, overwrite=True)
    names = {path.name for path in tmp_path.iterdir()}
    assert "frame_00099.ply" not in names
    assert {"frame_00020.ply", "notes.txt"} <= names


def test_another_heads_performance_and_unknown_axes_are_refused(
    head, avatar, performance, tmp_path
):
    with pytest.raises(BadInputError, match=r"'cube'.*'flat'"):
        write_splat_frames(tmp_path, dataclasses.replace(performance, head="cube"), head, avatar)
    with pytest.raises(BadInputError, match="x-up"):
        write_splat_frames(tmp_path, performance, head, avatar, axes="x-up")
    assert not list(tmp_path.iterdir())


def test_every_field_is_the_one_that_gsplats_own_exporter_writes(
    head, avatar, performance, tmp_path
):
    write_splat_frames(tmp_path, performance, head, avatar)
    placed = splats(avatar, torch.from_numpy(head.template + performance.offsets()[0]))
    harmonics = torch.zeros(COUNT, 16, 3)
    harmonics[:, :9] = avatar.color.coefficients
    export_splats(
        placed.means,
        placed.scales.log(),
        placed.quats,
        avatar.opacity_logits,
        harmonics[:, :1],
        harmonics[:, 1:],
        format="ply",
        save_to=str(tmp_path / "theirs.ply"),
    )
    names, columns = columns_of(tmp_path / "frame_00001.ply")
    their_names, theirs = columns_of(tmp_path / "theirs.ply")
    assert [name for name in names if name not in {"nx", "ny", "nz"}] == list(their_names)
    mine = columns[:, [names.index(name) for name in their_names]]
    torch.testing.assert_close(mine, theirs, atol=1e-6, rtol=1e-5)


def test_a_turned_head_turns_its_splats_about_the_neck(head, avatar, performance, tmp_path):
    turned = np.zeros((20, 3), np.float32)
    turned[5] = (0.1, 0.4, -0.2)
    write_splat_frames(
        tmp_path / "a", dataclasses.replace(performance, head_rotation=turned), head, avatar
    )
    write_splat_frames(tmp_path / "b", performance, head, avatar)
    (matrix,) = pose_matrices(turned[5:6], head.neck)
    moved, still = (columns_of(tmp_path / n / "frame_00006.ply")[1][:, :3] for n in "ab")
    expected = still.numpy() @ matrix[:3, :3].T + matrix[:3, 3]
    np.testing.assert_allclose(moved.numpy(), expected, atol=1e-5)
    first, same = (columns_of(tmp_path / n / "frame_00005.ply")[1] for n in "ab")
    np.testing.assert_array_equal(first.numpy(), same.numpy())
