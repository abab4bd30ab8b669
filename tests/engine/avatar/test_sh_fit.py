# SPDX-License-Identifier: GPL-3.0-or-later
import pytest
import torch
from scipy.spatial.transform import Rotation

from engine.avatar.color import MlpColor, ShColor
from engine.avatar.sh_fit import fit_sh, sphere, turned


def values(*shape, seed=3):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def network():
    return MlpColor(values(9, 5), values(16, 10, seed=4), values(16), values(3, 16), values(3))


class Recorded:
    """Harmonics that do not say that they are."""

    kind = "recorded"

    def __init__(self, coefficients):
        self.truth = ShColor(coefficients)
        self.count = self.truth.count

    def colors(self, expression, directions):
        return self.truth.colors(expression, directions)

    def tensors(self):
        return self.truth.tensors()


def test_harmonics_behind_another_model_are_found_again():
    coefficients = 0.05 * values(7, 16, 3)
    fit = fit_sh(Recorded(coefficients))
    torch.testing.assert_close(fit.color.coefficients, coefficients, atol=1e-5, rtol=0)
    assert fit.worst < 1e-5


def test_harmonics_stay_as_they_are():
    color = ShColor(values(4, 9, 3))
    fit = fit_sh(color, degree=1)
    assert fit.color is color
    assert (fit.rms, fit.worst) == (0.0, 0.0)


def test_a_higher_degree_is_closer_and_the_error_is_the_one_seen(network):
    fits = [fit_sh(network, torch.tensor([0.3, 0.8]), degree) for degree in range(4)]
    errors = [fit.rms for fit in fits]
    assert errors == sorted(errors, reverse=True)
    assert errors[3] < 0.5 * errors[0]
    view = torch.nn.functional.normalize(values(400, 3, seed=9), dim=-1)
    difference = torch.stack(
        [
            fits[3].color.colors(None, v.expand(9, 3))
            - network.colors(torch.tensor([0.3, 0.8]), v.expand(9, 3))
            for v in view
        ]
    )
    assert difference.square().mean().sqrt().item() == pytest.approx(fits[3].rms, rel=0.15)
    assert difference.abs().max().item() == pytest.approx(fits[3].worst, rel=0.5)


def test_the_expression_is_the_one_given(network):
    neutral, smiling = fit_sh(network), fit_sh(network, torch.tensor([1.0, 0.0]))
    assert not torch.allclose(neutral.color.coefficients, smiling.color.coefficients, atol=1e-2)


def test_directions_lie_on_the_sphere_and_balance():
    for phase in (0.0, 0.5):
        view = sphere(96, phase=phase)
        torch.testing.assert_close(view.norm(dim=1), torch.ones(96, dtype=torch.float64))
        assert view.mean(0).abs().max() < 0.02


@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_turned_harmonics_look_the_same_from_the_turned_side(degree):
    color = ShColor(values(30, (degree + 1) ** 2, 3))
    R = torch.tensor(Rotation.from_euler("xyz", [0.4, -1.1, 2.2]).as_matrix()).float()
    view = torch.nn.functional.normalize(values(30, 3, seed=8), dim=-1)
    torch.testing.assert_close(
        turned(color, R).colors(None, view @ R.T), color.colors(None, view), atol=1e-5, rtol=0
    )
