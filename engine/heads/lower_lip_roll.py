# SPDX-License-Identifier: GPL-3.0-or-later
"""Labiodental contact on other heads: the roll of the lower lip, fitted to the upper teeth.

How far teeth are behind the lips differs between heads by more than a lip is thick, most on FLAME,
whose teeth are built. A roll that reaches the default head's teeth stops short of theirs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double, Float
from engine.heads.head import Head
from engine.heads.registration import Similarity

ROLL = "mouthRollLower"
_POSE = {ROLL: 0.86, "jawOpen": 0.13}
"""The mouth of f and v as :mod:`engine.motion.lip_contact` has it."""
_LONGEST = 0.008
"""Metres that the roll is lengthened at most; teeth farther behind are not to be reached."""
_BETWEEN = 8
_NEEDED = ("inner_lip_lower", "upper_teeth_edge")


def fit_lower_lip_roll(source: Head, target: Head, similarity: Similarity) -> Float:
    """The target's basis with its roll of the lower lip ending where the source's ends.

    Args:
        source: whose expressions the target has.
        target: with the source's expressions and names.
        similarity: from the source to the target.

    Returns:
        (E, V, 3) float32; as it was where either head has no lip line, no teeth or no roll.
    """
    basis = target.expression_basis
    heads = (source, target)
    if any(name not in head.landmarks for name in _NEEDED for head in heads):
        return basis
    if not all(set(_POSE) <= set(head.expression_names) for head in heads):
        return basis
    left_over = _left_over(source)
    wanted = similarity.scale * similarity.rotation @ left_over
    more = (_left_over(target) - wanted) / _POSE[ROLL]
    # Teeth to the side of the lips are another matter.
    more[0] = 0.0
    more *= min(1.0, _LONGEST * similarity.scale / max(float(np.linalg.norm(more)), 1e-9))
    roll = target.expression_index(ROLL)
    offsets = basis[roll].astype(np.float64)
    size = np.linalg.norm(offsets, axis=1)
    share = np.clip(size / max(float(size[_middle(target)].mean()), 1e-9), 0.0, 1.0)
    fitted = basis.copy()
    fitted[roll] = offsets + share[:, None] * more
    return fitted


def _left_over(head: Head) -> Double:
    """(3,) from the middle of the lower lip in that pose to the edge of the upper teeth."""
    middle = _middle(head)
    lip: Double = head.template[middle].astype(np.float64)
    for name, weight in _POSE.items():
        lip += weight * head.expression_basis[head.expression_index(name), middle]
    edge: Double = head.template[head.landmarks["upper_teeth_edge"]].astype(np.float64)
    along: Double = np.linspace(0, 1, _BETWEEN, endpoint=False)[:, None, None]
    edge = (edge[:-1] + along * (edge[1:] - edge[:-1])).reshape(-1, 3)
    apart = (edge[None] - lip[:, None]).reshape(-1, 3)
    found: Double = apart[int(np.square(apart).sum(axis=1).argmin())]
    return found


def _middle(head: Head) -> NDArray[np.int32]:
    """The middle third of the lower lip's line."""
    line = head.landmarks["inner_lip_lower"]
    third = len(line) // 3
    return line[third : len(line) - third]
