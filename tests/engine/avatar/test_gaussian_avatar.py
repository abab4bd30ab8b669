# SPDX-License-Identifier: GPL-3.0-or-later
import dataclasses

import pytest
import torch
from scipy.spatial.transform import Rotation

from engine.avatar import ShColor, binding, splats
from engine.avatar.binding import transformed, triangle_frames
from engine.core.errors import BadInputError


def matrix_of(rotation, scale, translation):
    matrix = torch.eye(4)
    matrix[:3, :3] = torch.tensor(rotation.as_matrix()).float() @ torch.diag(torch.tensor(scale))
    matrix[:3, 3] = torch.tensor(translation)
    return matrix


TURN = Rotation.from_euler("xyz", [0.4, -1.1, 0.2])


def covariances(s):
    R = torch.tensor(
        Rotation.from_quat(s.quats.detach().numpy()[:, [1, 2, 3, 0]]).as_matrix()
    ).float()
    M = R * s.scales.detach()[:, None, :]
    return M @ M.transpose(1, 2)


def test_a_gaussian_lies_in_the_frame_of_its_triangle(head, sh_avatar):
    result = splats(sh_avatar, torch.from_numpy(head.template))
    frames = triangle_frames(torch.from_numpy(head.template), sh_avatar.faces)
    for g in range(sh_avatar.count):
        f = int(sh_avatar.binding[g])
        expected = (
            frames.rotations[f] @ sh_avatar.positions[g] * frames.scales[f] + frames.centers[f]
        )
        torch.testing.assert_close(result.means[g], expected)
        torch.testing.assert_close(
            result.scales[g], frames.scales[f] * sh_avatar.log_scales[g].exp()
        )
    torch.testing.assert_close(result.opacities, torch.sigmoid(sh_avatar.opacity_logits))


def test_a_rigid_and_scaled_object_carries_its_splats_along(head, sh_avatar):
    vertices = torch.from_numpy(head.template)
    matrix = matrix_of(TURN, [2.0, 2.0, 2.0], [1.0, -2.0, 0.5])
    plain, moved = splats(sh_avatar, vertices), splats(sh_avatar, vertices, matrix=matrix)
    torch.testing.assert_close(moved.means, transformed(plain.means, matrix))
    linear = matrix[:3, :3]
    torch.testing.assert_close(
        covariances(moved), linear @ covariances(plain) @ linear.T, atol=1e-6, rtol=1e-3
    )


def test_a_non_uniform_scale_is_applied_to_the_mesh(head, sh_avatar):
    vertices = torch.from_numpy(head.template)
    matrix = matrix_of(TURN, [1.0, 3.0, 0.5], [0.0, 0.0, 0.0])
    first = splats(sh_avatar, vertices, matrix=matrix)
    second = splats(sh_avatar, transformed(vertices, matrix))
    torch.testing.assert_close(first.means, second.means)
    torch.testing.assert_close(first.quats, second.quats)


@pytest.mark.parametrize("kind", ["sh_avatar", "mlp_avatar"])
def test_an_object_turned_with_its_camera_keeps_its_look(head, kind, request):
    avatar = request.getfixturevalue(kind)
    vertices, camera = torch.from_numpy(head.template), torch.tensor([0.2, 0.1, 1.0])
    matrix = matrix_of(TURN, [2.0, 2.0, 2.0], [1.0, -2.0, 0.5])
    plain = splats(avatar, vertices, camera_position=camera)
    moved = splats(
        avatar, vertices, matrix=matrix, camera_position=transformed(camera[None], matrix)[0]
    )
    torch.testing.assert_close(moved.colors, plain.colors, atol=1e-4, rtol=0)
    from_behind = splats(avatar, vertices, camera_position=-camera)
    assert not torch.allclose(from_behind.colors, plain.colors, atol=1e-3)


@pytest.mark.parametrize("kind", ["sh_avatar", "mlp_avatar"])
def test_several_cameras_see_colours_of_their_own(head, kind, request):
    avatar, vertices = request.getfixturevalue(kind), torch.from_numpy(head.template)
    matrix = matrix_of(TURN, [2.0, 1.0, 2.0], [1.0, -2.0, 0.5])
    eyes = torch.tensor([[0.2, 0.1, 1.0], [-1.0, 0.5, 0.3], [0.0, 2.0, 0.0]])
    together = splats(avatar, vertices, None, matrix, eyes)
    assert together.means.shape == (avatar.count, 3)
    for eye, colors in zip(eyes, together.colors, strict=True):
        torch.testing.assert_close(colors, splats(avatar, vertices, None, matrix, eye).colors)
    assert not torch.allclose(together.colors[0], together.colors[1], atol=1e-3)


def test_colours_without_a_view_are_the_same_for_every_camera(head, sh_avatar):
    plain = dataclasses.replace(sh_avatar, color=ShColor.constant(torch.rand(sh_avatar.count, 3)))
    colors = splats(plain, torch.from_numpy(head.template), camera_position=torch.eye(3)).colors
    assert colors.shape == (3, plain.count, 3)


def test_the_expression_reaches_the_colour_network(head, mlp_avatar):
    vertices = torch.from_numpy(head.template)
    neutral = splats(mlp_avatar, vertices)
    speaking = splats(mlp_avatar, vertices, expression=torch.tensor([1.0, 0.0]))
    assert not torch.allclose(neutral.colors, speaking.colors, atol=1e-3)


def test_gradients_reach_the_vertices_and_every_attribute(head, sh_avatar):
    names = ("positions", "log_scales", "quats", "opacity_logits")
    trained = dataclasses.replace(
        sh_avatar, **{name: getattr(sh_avatar, name).clone().requires_grad_() for name in names}
    )
    vertices = torch.from_numpy(head.template).clone().requires_grad_()
    result = splats(trained, vertices)
    total = sum(
        (tensor * torch.arange(1.0, tensor.numel() + 1).reshape(tensor.shape)).sum()
        for tensor in result
    )
    for gradient in torch.autograd.grad(total, [vertices, *(getattr(trained, n) for n in names)]):
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0


@pytest.mark.parametrize("flat", ["point", "line", "first edge", "second edge", "tiny"])
def test_triangles_without_area_make_no_nan_in_either_way(flat, head, sh_avatar, monkeypatch):
    vertices = torch.from_numpy(head.template.copy())
    i, j, k = head.faces[0]
    if flat == "point":
        vertices[[j, k]] = vertices[i].clone()
    elif flat == "line":
        vertices[k] = 2 * vertices[j] - vertices[i]
    elif flat == "first edge":
        vertices[j] = vertices[i]
    elif flat == "second edge":
        vertices[k] = vertices[i]
    else:
        vertices *= 1e-9
    avatar = dataclasses.replace(sh_avatar, binding=torch.zeros_like(sh_avatar.binding))
    quick = splats(avatar, vertices)
    monkeypatch.setattr(binding, "compilable", lambda *_: False)
    slow = splats(avatar, vertices)
    for result in (quick, slow):
        assert all(torch.isfinite(tensor).all() for tensor in result)
        torch.testing.assert_close(result.quats.norm(dim=1), torch.ones(avatar.count))
    torch.testing.assert_close(quick.scales, slow.scales, atol=1e-9, rtol=1e-4)


def test_corners_beyond_the_heads_vertices_are_refused(sh_avatar):
    with pytest.raises(BadInputError, match="corners beyond its 5 vertices"):
        dataclasses.replace(
            sh_avatar,
            identity=dataclasses.replace(
                sh_avatar.identity, template=sh_avatar.identity.template[:5]
            ),
        )


def test_a_mesh_of_another_size_is_refused_with_both_counts(head, sh_avatar):
    with pytest.raises(BadInputError, match=r"5 vertices.*6"):
        splats(sh_avatar, torch.from_numpy(head.template[:5]))


def test_a_matrix_that_flattens_the_head_is_refused(head, sh_avatar):
    matrix = matrix_of(TURN, [1.0, 0.0, 1.0], [0.0, 0.0, 0.0])
    with pytest.raises(BadInputError, match="flattens"):
        splats(sh_avatar, torch.from_numpy(head.template), None, matrix, torch.ones(3))


def test_attributes_of_different_lengths_are_refused_by_name(sh_avatar):
    with pytest.raises(BadInputError, match="quats"):
        dataclasses.replace(sh_avatar, quats=sh_avatar.quats[:-1])


def test_not_a_number_is_refused_by_name(sh_avatar):
    with pytest.raises(BadInputError, match="positions"):
        dataclasses.replace(sh_avatar, positions=sh_avatar.positions * float("nan"))


def test_a_binding_outside_the_head_is_refused(sh_avatar):
    with pytest.raises(BadInputError, match="triangles"):
        dataclasses.replace(sh_avatar, binding=sh_avatar.binding + 8)
