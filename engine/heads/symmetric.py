# SPDX-License-Identifier: GPL-3.0-or-later
"""Sparse systems of surfaces, whose matrices are symmetric."""

from __future__ import annotations

from typing import Any

from scipy.sparse import csc_matrix, spmatrix
from scipy.sparse.linalg import splu


def factorised(matrix: spmatrix) -> Any:
    """What solves with a symmetric matrix: ``solve((N, C))``.

    SuperLU's own order of the columns is for any matrix; in one for symmetric matrices, whose
    pivots are taken from the diagonal wherever that is safe, those of a head take less than half
    as long.

    Args:
        matrix: (N, N), symmetric and regular.
    """
    return splu(
        csc_matrix(matrix),
        permc_spec="MMD_AT_PLUS_A",
        diag_pivot_thresh=0.1,
        options={"SymmetricMode": True},
    )
