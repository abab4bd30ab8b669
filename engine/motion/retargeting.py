# SPDX-License-Identifier: GPL-3.0-or-later
"""A saved performance on another head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.core.checks import shown
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.default import DEFAULT_HEAD, load_default_head
from engine.heads.head import Head
from engine.heads.retarget import (
    carry_basis,
    has_arkit_visemes,
    retargeted_head,
    with_arkit_expressions,
)
from engine.motion.arkit import ARKIT_NAMES, COLUMN
from engine.motion.lip_contact import LipGap, fit_mouth_close, lip_gap
from engine.motion.performance import Performance
from engine.motion.rules.contacts import contact_curves, phones_in_silence
from engine.motion.style import NEUTRAL

_KNOWN = 0.4


def retarget(
    performance: Performance, source: Head, target: Head, *, progress: Progress = no_progress
) -> Performance:
    """Carry a performance from one head to another.

    Where the performance is made of the source's ARKit expressions, it stays made of them, on the
    target's own expressions of those names where it has them; its closures of the lips are fitted
    to the target's lips. Any other basis is carried as it is.

    Args:
        performance: of ``source``.
        source: the head it was made for.
        target: any head in head space with closed lips.
        progress: called with the fraction done; may raise to cancel.

    Returns:
        The performance with offsets of the target; ``expression`` keeps its names.

    Raises:
        BadInputError: the performance is of another head, or the heads cannot be matched.
    """
    _check(performance, source)
    if performance.head == target.id and performance.vertex_count == target.vertex_count:
        return performance
    # A head such as FLAME gets names and regions first, by which it can be laid onto another.
    source = with_arkit_expressions(source, progress=subprogress(progress, 0.0, _KNOWN))
    progress = subprogress(progress, _KNOWN, 1.0)
    if not _is_arkit(performance, source):
        basis = carry_basis(source, target, performance.basis, progress=progress)
        return replace(performance, basis=basis, head=target.id, pose=None)
    face = (
        target if has_arkit_visemes(target) else retargeted_head(source, target, progress=progress)
    )
    curves = np.zeros((performance.frames, len(ARKIT_NAMES)), np.float32)
    for column, name in enumerate(performance.expression_names):
        curves[:, COLUMN[name]] = performance.weights[:, column]
    curves = _refit(curves, performance, source, face)
    weights = np.zeros((performance.frames, len(face.expression_names)), np.float32)
    for column, name in enumerate(face.expression_names):
        if name in COLUMN:
            weights[:, column] = curves[:, COLUMN[name]]
    return replace(
        performance,
        weights=weights,
        basis=face.expression_basis,
        expression=weights,
        expression_names=face.expression_names,
        head=target.id,
        pose=None,
    )


def onto_head(
    performance: Performance, head: Head, *, carry: bool, progress: Progress = no_progress
) -> Performance:
    """A performance on the head that is to show it.

    Args:
        performance: of any head.
        head: who is to show it.
        carry: carry one of the default head over; another is refused.
        progress: called with the fraction done; may raise to cancel.

    Raises:
        BadInputError: it is of another head and is not to be carried over, or cannot be.
    """
    if performance.head == head.id and performance.vertex_count == head.vertex_count:
        return performance
    what = (
        f"The performance is of head {shown(performance.head)} ({performance.vertex_count:,} "
        f"vertices), the avatar of '{head.id}' ({head.vertex_count:,} vertices)."
    )
    if performance.head != DEFAULT_HEAD:
        raise BadInputError(
            what, "Animate the sound with the avatar (--avatar), or use 'gaussianspeech retarget'."
        )
    if not carry:
        raise BadInputError(
            what,
            "Animate the sound with the avatar (--avatar), or add --retarget to carry it over.",
        )
    carried = retarget(performance, load_default_head(), head, progress=progress)
    warning = f"A performance of the default head was carried over to '{head.id}'"
    return replace(carried, warnings=(*carried.warnings, warning))


def _refit(
    curves: NDArray[np.float32], performance: Performance, source: Head, target: Head
) -> NDArray[np.float32]:
    """Curves whose lip closures are fitted to the target's lips instead of the source's."""
    if not performance.phones:
        return curves
    frames, fps = performance.frames, performance.fps
    phones = phones_in_silence(performance.phones, frames / fps)
    closure = contact_curves(phones, frames, fps, NEUTRAL.anticipation).closure
    column = COLUMN["mouthClose"]
    before, after = (
        fit_mouth_close(curves, arkit_gap(head), closure)[:, column] for head in (source, target)
    )
    result = curves.copy()
    result[:, column] = np.clip(curves[:, column] + after - before, 0.0, 1.0)
    return result


def arkit_gap(head: Head) -> LipGap | None:
    """The lip gap of a head by the 52 ARKit expressions; those that it lacks part nothing."""
    if "mouthClose" not in head.expression_names:
        return None
    offsets = np.zeros((len(ARKIT_NAMES), head.vertex_count, 3), np.float32)
    for row, name in enumerate(ARKIT_NAMES):
        if name in head.expression_names:
            offsets[row] = head.expression_basis[head.expression_index(name)]
    return lip_gap(offsets, ARKIT_NAMES, head.landmarks)


def _is_arkit(performance: Performance, source: Head) -> bool:
    return (
        set(performance.expression_names) <= set(COLUMN)
        and performance.expression_names == source.expression_names
        and performance.basis.shape == source.expression_basis.shape
        and np.array_equal(performance.basis, source.expression_basis)
        and np.array_equal(performance.weights, performance.expression)
    )


def _check(performance: Performance, source: Head) -> None:
    if performance.head != source.id or performance.vertex_count != source.vertex_count:
        raise BadInputError(
            f"The performance is of the head {performance.head!r} with "
            f"{performance.vertex_count} vertices; {source.id!r} has {source.vertex_count}.",
            "Give the head that it was made for.",
        )
