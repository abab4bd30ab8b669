# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking a head again with its settings, as soon as a slider moves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

import bpy

from ...engine.core.errors import GaussianSpeechError
from ..characters import overrides
from ..status import set_error
from . import lines
from .action import read_prediction
from .bake import rebake
from .copies import look_for_copies
from .line_list import ensure_line
from .prediction import Prediction

LIVE_LIMIT = 110_000
"""Key values up to which a moved slider bakes at once, which takes 0.2 s; above, a button does."""

_FLAME_COST = 3
"""Times as long as other keys those of FLAME take: each moves the whole face."""

_QUICK = 0.1
"""Seconds after which no other line is begun with."""

_held = False


@contextmanager
def changed_together(controls: Any, context: bpy.types.Context) -> Iterator[None]:
    """Change several controls, and bake what they count for once, at the end."""
    global _held  # noqa: PLW0603 - an update of a property is handed nothing else
    _held = True
    try:
        yield
    finally:
        _held = False
    rebake_controls(controls, context)


def rebake_controls(controls: Any, context: bpy.types.Context) -> None:
    """Bake again what controls count for, after one of them was changed, as far as that is quick.

    Args:
        controls: of a character, or of one of its lines.
        context: for the scene's frame rate.
    """
    if _held or overrides.is_restoring():
        return
    look_for_copies()
    main = controls.id_data
    found = lines.baked_lines(main)
    own = [line for line, _ in found if line.use_own_controls and line.controls == controls]
    shared = [line for line, _ in found if not line.use_own_controls]
    active = lines.active_line(main)
    if lines.legacy_bake(main) is not None and not found:
        shared = [ensure_line(main)]
    if controls != main.gaussianspeech_speech:
        _rebake_live(own, context)
    else:
        _rebake_live(sorted(shared, key=lambda line: line != active), context)


def rebake_line_live(line: Any, context: bpy.types.Context) -> None:
    """Bake a line again after one of its settings was changed, unless there is too much of it."""
    look_for_copies()
    if lines.line_action(line.id_data, line) is not None:
        _rebake_live([line], context)


def _is_quick(prediction: Prediction) -> bool:
    """Whether baking keeps Blender no longer than a slider may."""
    cost = _FLAME_COST if prediction.joints else 1
    return cost * prediction.values.size <= LIVE_LIMIT


def _rebake_live(chosen: Iterable[Any], context: bpy.types.Context) -> None:
    began = perf_counter()
    try:
        for line in chosen:
            main = line.id_data
            action = lines.line_action(main, line) or lines.legacy_bake(main)
            if _is_quick(read_prediction(action)):
                rebake(context, line)
            if perf_counter() - began > _QUICK:
                return  # The others are shown out of date.
    except GaussianSpeechError as error:
        # A property's update has no operator to report with.
        set_error(context, error)
