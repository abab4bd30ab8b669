# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from engine.core.srgb import displayed, linear


def test_half_of_the_levels_is_a_fifth_of_the_light():
    """The values of IEC 61966-2-1: 0.5 is 0.2140, and 0.04045 the end of the straight part."""
    assert linear(np.array(0.5)) == pytest.approx(0.21404, abs=1e-5)
    assert linear(np.array(0.04)) == pytest.approx(0.04 / 12.92)


def test_displayed_light_is_linear_light_again():
    light = np.linspace(0, 1, 50)
    np.testing.assert_allclose(linear(displayed(light)), light, atol=1e-6)
