# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch

from engine.avatar.binding import triangle_frames
from engine.core.errors import BadInputError
from engine.heads.flame import load_flame
from tests.engine.heads.flame_people import write_model
from training.avatar.config import PRESETS
from training.avatar.model import TrainableAvatar, first_colors, new_color
from training.avatar.seeding import on_triangles, skull_faces, teeth_faces
from training.data.recorded_motion import with_lips


def seeded(head, *, subdivide):
    binding, shape = on_triangles(head, subdivide_teeth=subdivide)
    settings = PRESETS["baseline"]
    color = new_color(settings, head)
    grey = torch.full((len(binding), 3), 0.5)
    rows = first_colors(color, head, binding, shape, grey, settings)
    return TrainableAvatar(head, color, binding, shape | rows)


def test_every_triangle_gets_one_gaussian_in_its_middle(head):
    avatar = seeded(head, subdivide=False)
    assert avatar.binding.tolist() == list(range(len(head.faces)))
    means, _, _ = avatar.bind(torch.from_numpy(head.template))
    centers = head.template[head.faces].mean(1)
    assert np.abs(means.detach().numpy() - centers).max() < 1e-6


def test_triangles_of_the_teeth_get_four(head):
    avatar = seeded(head, subdivide=True)
    counts = np.bincount(avatar.binding.numpy(), minlength=len(head.faces))
    teeth = teeth_faces(head)
    assert teeth.sum() > 500
    assert set(counts[teeth]) == {4}
    assert set(counts[~teeth]) == {1}


def test_triangles_of_the_tongue_get_four_where_asked(head):
    plain, _ = on_triangles(head, subdivide_teeth=True)
    binding, _ = on_triangles(head, subdivide_teeth=True, subdivide_tongue=True)
    counts = np.bincount(binding.numpy(), minlength=len(head.faces))
    tongue = np.isin(head.faces, head.regions["tongue"]).all(1)
    assert tongue.sum() > 400
    assert set(counts[tongue]) == {4}
    assert np.array_equal(
        counts[~tongue], np.bincount(plain.numpy(), minlength=len(head.faces))[~tongue]
    )


def test_the_four_lie_within_their_triangle_and_apart(head):
    avatar = seeded(head, subdivide=True)
    means = avatar.bind(torch.from_numpy(head.template))[0].detach().numpy()
    face = int(np.flatnonzero(teeth_faces(head))[7])
    four = means[avatar.binding.numpy() == face]
    corners = head.template[head.faces[face]]
    stacked = np.vstack([corners.T, np.ones(3)]), np.vstack([four.T, np.ones(4)])
    weights = np.linalg.lstsq(*stacked, rcond=None)
    assert weights[0].min() > 0.1
    assert np.allclose(four.mean(0), corners.mean(0), atol=1e-7)


def test_two_triangles_of_the_skull_share_a_gaussian(head):
    binding, shape = on_triangles(head, subdivide_teeth=True, coarse_skull=True)
    skull = skull_faces(head)
    counts = np.bincount(binding.numpy(), minlength=len(head.faces))
    teeth = teeth_faces(head)
    assert set(counts[~skull & ~teeth]) == {1}
    assert set(counts[skull]) == {0, 1}
    # A greedy pairing leaves few alone.
    assert counts[skull].sum() < 0.6 * skull.sum()
    vertices, faces = torch.from_numpy(head.template), torch.from_numpy(head.faces)
    frames = triangle_frames(vertices, faces)
    bound = binding.long()
    middles = frames.centers[bound] + torch.einsum(
        "gij,gj->gi", frames.rotations[bound], shape["positions"] * frames.scales[bound, None]
    )
    lonely = torch.from_numpy(head.template[head.faces].mean(1))[bound]
    moved = (middles - lonely).norm(dim=1)[torch.from_numpy(skull)[bound]]
    # Between its own middle and its neighbour's.
    assert float((moved > 1e-4).float().mean()) > 0.7
    assert float(moved.max()) < 0.02
    # Two triangles spread further than one.
    alone, single = on_triangles(head, subdivide_teeth=True)
    own = torch.zeros(len(head.faces))
    own[alone.long()] = single["log_scales"].amax(dim=1)
    wider = shape["log_scales"].amax(dim=1) - own[bound]
    assert float(wider[torch.from_numpy(skull)[bound]].median()) > 0.1


def test_large_triangles_of_the_face_are_divided_until_none_is(head):
    binding, shape = on_triangles(head, subdivide_teeth=False, finest=0.003)
    a, b, c = np.moveaxis(head.template[head.faces], 1, 0)
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    face = np.setdiff1d(head.regions["face"], head.regions["ears"])
    divided = np.isin(head.faces, face).all(1)
    levels = np.ceil(np.log(np.maximum(area / 0.003**2, 1)) / np.log(4) - 1e-6).astype(int)
    counts = np.bincount(binding.numpy(), minlength=len(head.faces))
    assert levels[divided].max() >= 2
    assert np.array_equal(counts, np.where(divided, 4**levels, 1))
    assert all(len(values) == len(binding) for values in shape.values())


def test_gaussians_are_as_large_as_their_triangles(head):
    avatar = seeded(head, subdivide=False)
    vertices = torch.from_numpy(head.template)
    _, _, scales = avatar.bind(vertices)
    a, b, c = vertices[avatar.faces.long()].unbind(1)
    area = 0.5 * torch.linalg.cross(b - a, c - a).norm(dim=1)
    whole = area > 1e-7
    two_largest = scales.detach().sort(dim=1).values[:, 1:].prod(1)
    # A uniform triangle's two standard deviations multiply to area / (6·√3).
    ratio = two_largest[whole] / (area[whole] / (6 * 3**0.5))
    assert torch.isclose(ratio.median(), torch.tensor(1.25**2), rtol=0.02)


def test_gaussians_lie_flat_on_their_triangles(head):
    avatar = seeded(head, subdivide=False)
    vertices = torch.from_numpy(head.template)
    _, quats, scales = avatar.bind(vertices)
    w, x, y, z = quats.detach().unbind(-1)
    second_axis = torch.stack(
        [2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)], -1
    )
    normals = triangle_frames(vertices, avatar.faces).rotations[:, :, 1]
    assert (second_axis * normals).sum(-1).abs().min() > 0.999
    assert (scales[:, 1] <= scales[:, [0, 2]].amax(1)).all()


def test_the_skull_of_a_flame_head_without_masks_does_not_take_its_face_along(tmp_path):
    flame = load_flame(write_model(tmp_path / "flame2023.npz"))
    with pytest.raises(BadInputError, match="does not say where its face is"):
        on_triangles(flame, subdivide_teeth=False, coarse_skull=True)
    named = with_lips(flame)
    binding, _ = on_triangles(named, subdivide_teeth=False, coarse_skull=True)
    counts = np.bincount(binding.numpy(), minlength=len(flame.faces))
    lips = np.isin(flame.faces, named.regions["lips"]).any(1)
    assert lips.sum() > 50
    assert counts[lips].min() == 1
    assert len(binding) < len(flame.faces)
