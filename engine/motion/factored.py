# SPDX-License-Identifier: GPL-3.0-or-later
"""Dense offsets in the factored form of performances: weights · basis."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..core.arrays import Double, Float
from ..core.errors import BadInputError

TOLERANCE = 1e-4
"""Metres: length of the error of all vertices of a frame together in the factored form."""


def factored(chunks: Iterable[Double], tolerance: float = TOLERANCE) -> tuple[Float, Float]:
    """Rows as weights · basis.

    Each chunk adds the principal components of what the basis so far cannot show, as many as the
    tolerance needs; the basis is orthonormal.

    Args:
        chunks: (n, D) each.
        tolerance: largest length of a row's error, so that no part of it is further off.

    Returns:
        (T, K) weights and (K, D) basis, float32.

    Raises:
        BadInputError: there are no rows.
    """
    basis: Double | None = None
    weights: list[Double] = []
    for rows in chunks:
        if basis is None:
            basis = np.zeros((0, rows.shape[1]))
        known = rows @ basis.T
        rest = rows - known @ basis
        # The eigenvectors of the small Gram matrix are the left singular vectors.
        squares, left = np.linalg.eigh(rest @ rest.T)
        squares, left = np.maximum(squares[::-1], 0.0), left[:, ::-1]
        dropped = np.cumsum(squares[::-1])[::-1]
        count = int(np.searchsorted(-dropped, -(tolerance**2)))
        sizes = np.sqrt(squares[:count])
        new = (left[:, :count] / sizes).T @ rest
        basis = np.concatenate([basis, new])
        weights.append(np.concatenate([known, left[:, :count] * sizes], axis=1))
    if basis is None:
        raise BadInputError("There are no frames.", "Give at least one frame.")
    full = [np.pad(part, ((0, 0), (0, len(basis) - part.shape[1]))) for part in weights]
    return np.concatenate(full).astype(np.float32), basis.astype(np.float32)
