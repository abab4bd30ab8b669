# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
import torch

from training.avatar.coloring import NetworkColor
from training.avatar.densify_ops import clone_and_split, select
from training.avatar.model import TrainableAvatar

COUNT = 400


@pytest.fixture
def learning(head):
    """An avatar and an optimiser that remembers a few steps."""
    generator = torch.Generator().manual_seed(0)
    color = NetworkColor(4, 8, len(head.expression_names))
    rows = {
        "positions": torch.randn(COUNT, 3, generator=generator),
        "log_scales": torch.randn(COUNT, 3, generator=generator) * 0.2 - 2,
        "quats": torch.randn(COUNT, 4, generator=generator),
        "opacity_logits": torch.randn(COUNT, generator=generator),
        "latents": torch.randn(COUNT, 4, generator=generator),
    }
    binding = torch.arange(COUNT, dtype=torch.int32) * 3
    avatar = TrainableAvatar(head, color, binding, rows)
    groups = [{"params": [value], "name": name} for name, value in avatar.gaussians.items()]
    optimiser = torch.optim.Adam(groups, lr=1e-3, fused=True)
    for _ in range(3):
        for value in avatar.gaussians.values():
            value.grad = torch.randn(value.shape, generator=generator)
        optimiser.step()
        optimiser.zero_grad()
    return avatar, optimiser


def memory(optimiser, avatar, name):
    return optimiser.state[avatar.gaussians[name]]["exp_avg"]


def test_kept_gaussians_keep_their_memory(learning):
    avatar, optimiser = learning
    kept = torch.tensor([5, 9, 300])
    values = {name: value.detach()[kept] for name, value in avatar.gaussians.items()}
    momenta = {name: memory(optimiser, avatar, name)[kept] for name in avatar.gaussians}
    select(avatar, optimiser, kept)
    assert avatar.binding.tolist() == [15, 27, 900]
    for name, value in avatar.gaussians.items():
        assert torch.equal(value, values[name])
        assert torch.equal(memory(optimiser, avatar, name), momenta[name])
    assert {id(p) for g in optimiser.param_groups for p in g["params"]} == {
        id(value) for value in avatar.gaussians.values()
    }


def test_new_gaussians_are_bound_where_they_came_from(learning):
    avatar, optimiser = learning
    source = clone_and_split(
        avatar, optimiser, torch.tensor([1, 2]), torch.tensor([7]), torch.Generator()
    )
    assert avatar.count == COUNT + 3
    assert torch.equal(avatar.binding, 3 * source.int())
    assert source.tolist().count(7) == 2
    assert source.tolist().count(1) == 2


def test_new_gaussians_are_as_visible_as_what_they_came_from(learning):
    avatar, optimiser = learning
    avatar.ever_visible[[1, 7, 9]] = True
    source = clone_and_split(
        avatar, optimiser, torch.tensor([1, 2]), torch.tensor([7]), torch.Generator()
    )
    assert source[avatar.ever_visible].tolist() == [1, 9, 1, 7, 7]
    select(avatar, optimiser, torch.tensor([0, 1, 400]))
    assert avatar.ever_visible.tolist() == [False, True, False]


def test_the_optimiser_remembers_nothing_of_new_gaussians(learning):
    avatar, optimiser = learning
    clone_and_split(avatar, optimiser, torch.tensor([1]), torch.tensor([7]), torch.Generator())
    for name in avatar.gaussians:
        assert not memory(optimiser, avatar, name)[-3:].any()
        assert memory(optimiser, avatar, name)[:-3].any(1 if name != "opacity_logits" else 0).all()


def test_a_step_follows(learning):
    avatar, optimiser = learning
    clone_and_split(avatar, optimiser, torch.tensor([1]), torch.tensor([7]), torch.Generator())
    before = {name: value.detach().clone() for name, value in avatar.gaussians.items()}
    for value in avatar.gaussians.values():
        value.grad = torch.ones_like(value)
    optimiser.step()
    assert all((avatar.gaussians[name] != before[name]).all() for name in before)


def test_halves_are_drawn_from_the_gaussian_they_replace(learning):
    avatar, optimiser = learning
    with torch.no_grad():
        for value in avatar.gaussians.values():
            value[:] = value[:1]
    old = {name: value.detach()[0].clone() for name, value in avatar.gaussians.items()}
    everything = torch.arange(COUNT)
    clone_and_split(avatar, optimiser, everything[:0], everything, torch.Generator().manual_seed(0))
    moved = avatar.positions.detach() - old["positions"]
    w, x, y, z = torch.nn.functional.normalize(old["quats"], dim=0).tolist()
    R = torch.tensor(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )
    covariance = R @ torch.diag(old["log_scales"].exp() ** 2) @ R.T
    found = moved.T @ moved / len(moved)
    assert torch.allclose(found, covariance, atol=0.15 * float(covariance.abs().max()))
    shrunk = old["log_scales"].exp() / 1.6
    assert torch.allclose(avatar.log_scales.exp(), shrunk.expand(2 * COUNT, 3))


def test_cloning_does_what_gsplats_strategies_do(learning):
    from gsplat.strategy.ops import duplicate

    avatar, optimiser = learning
    params = torch.nn.ParameterDict(
        {name: torch.nn.Parameter(v.detach().clone()) for name, v in avatar.gaussians.items()}
    )
    theirs = {name: torch.optim.Adam([{"params": v, "name": name}]) for name, v in params.items()}
    mask = torch.zeros(COUNT, dtype=torch.bool)
    mask[[3, 50]] = True
    duplicate(params, theirs, {}, mask)
    clone_and_split(
        avatar, optimiser, mask.nonzero()[:, 0], torch.empty(0, dtype=torch.long), torch.Generator()
    )
    for name, value in avatar.gaussians.items():
        assert torch.equal(value, params[name])
