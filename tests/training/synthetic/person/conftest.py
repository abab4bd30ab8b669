# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def skin(head):
    """(N,) vertices of the skin."""
    names = ("eyeballs", "teeth", "upper_gum", "lower_gum", "tongue")
    return np.setdiff1d(
        np.arange(head.vertex_count), np.concatenate([head.regions[name] for name in names])
    )


@pytest.fixture(scope="session")
def weights(head):
    """A face as (E,) weights: ``weights(jawOpen=0.5)``."""

    def build(**terms: float):
        result = np.zeros(len(head.expression_names), np.float32)
        for name, value in terms.items():
            result[head.expression_index(name)] = value
        return result

    return build
