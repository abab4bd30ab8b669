# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.splatting.camera import look_at
from training.avatar.density import (
    ScreenGradients,
    kept_by_opacity,
    kept_by_volume,
    to_densify,
    volumes,
)


def test_volume_is_opacity_times_the_three_scales():
    opacities = torch.tensor([0.5, 1.0])
    scales = torch.tensor([[1.0, 2.0, 3.0], [0.1, 0.1, 0.2]])
    assert torch.allclose(volumes(opacities, scales), torch.tensor([3.0, 0.002]))


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, 40, elements=st.floats(0, 1, width=32)),
    st.integers(1, 60),
)
def test_pruning_by_volume_keeps_exactly_the_largest(values, budget):
    kept = kept_by_volume(torch.from_numpy(values), budget).numpy()
    assert len(kept) == min(budget, 40)
    dropped = np.setdiff1d(np.arange(40), kept)
    assert dropped.size == 0 or values[kept].min() >= values[dropped].max()


@settings(deadline=None)
@given(
    hnp.arrays(np.float32, 40, elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.int32, 40, elements=st.integers(0, 9)),
    st.integers(1, 30),
)
def test_every_triangle_keeps_its_largest_gaussian(values, binding, budget):
    kept = kept_by_volume(torch.from_numpy(values), budget, torch.from_numpy(binding), 10).numpy()
    assert set(binding[kept]) == set(binding)
    assert len(kept) == max(budget, len(set(binding)))
    for face in set(binding):
        own = kept[binding[kept] == face]
        assert values[own].max() == values[binding == face].max()


def test_pruning_by_opacity_drops_what_cannot_be_seen():
    opacities = torch.tensor([0.9, 0.001, 0.002, 0.5])
    sizes = torch.tensor([0.01, 0.01, 0.01, 0.2])
    assert kept_by_opacity(opacities, 0.005, sizes, 0.0).tolist() == [0, 3]
    binding = torch.tensor([0, 1, 1, 2], dtype=torch.int32)
    assert kept_by_opacity(opacities, 0.005, sizes, 0.0, binding, 3).tolist() == [0, 2, 3]


def test_pruning_by_opacity_drops_what_is_too_large():
    opacities, sizes = torch.full((3,), 0.9), torch.tensor([0.01, 0.2, 0.1])
    assert kept_by_opacity(opacities, 0.005, sizes, 0.1).tolist() == [0, 2]
    binding = torch.tensor([0, 1, 1], dtype=torch.int32)
    assert kept_by_opacity(opacities, 0.005, sizes, 0.05, binding, 2).tolist() == [0, 1]


def test_strong_gradients_clone_the_small_and_split_the_large():
    gradients = torch.tensor([5.0, 1.0, 3.0, 4.0]) * 1e-4
    sizes = torch.tensor([1.0, 1.0, 9.0, 1.0])
    cloned, split = to_densify(gradients, sizes, 2e-4, 5.0, 10)
    assert (cloned.tolist(), split.tolist()) == ([0, 3], [2])


def test_when_too_many_want_to_the_strongest_may():
    gradients = torch.tensor([5.0, 3.0, 6.0, 4.0]) * 1e-4
    cloned, split = to_densify(gradients, torch.ones(4), 2e-4, 5.0, 2)
    assert (cloned.tolist(), split.tolist()) == ([0, 2], [])


def test_screen_gradients_are_those_by_the_place_on_the_screen():
    eye = np.array([0.2, 0.3, 1.5], np.float32)
    camera = look_at(eye, np.zeros(3, np.float32), width=80, height=60, vertical_fov=0.5)
    generator = torch.Generator().manual_seed(0)
    means = 0.1 * torch.randn(20, 3, generator=generator)
    by_pixels = torch.randn(20, 2, generator=generator)

    def on_screen(points):
        inside = points @ torch.from_numpy(camera.viewmat[:3, :3]).T
        inside = inside + torch.from_numpy(camera.viewmat[:3, 3])
        focal = torch.tensor([camera.K[0, 0], camera.K[1, 1]])
        # The depth held: moving along the ray is no move across the screen.
        return focal * inside[:, :2] / inside[:, 2:].detach()

    leaves = means.clone().requires_grad_()
    (v_means,) = torch.autograd.grad(on_screen(leaves), leaves, by_pixels)
    gathered = ScreenGradients.empty(20)
    gathered.add(means, v_means, camera)
    expected = (by_pixels * torch.tensor([40.0, 30.0])).norm(dim=1)
    assert torch.allclose(gathered.mean(), expected, rtol=1e-4)


def test_the_mean_is_over_the_views_that_saw_it():
    gathered = ScreenGradients(torch.tensor([6.0, 6.0, 0.0]), torch.tensor([3.0, 1.0, 0.0]))
    assert gathered.mean().tolist() == [2.0, 6.0, 0.0]
