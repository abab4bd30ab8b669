# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking a head again with its settings, as soon as a slider moves.

What is quick is baked at once, within the slider's own step of undo. What is not is drafted in
slices (:mod:`.bake_queue`), and put into the file when it is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import bpy

from ...engine.core.errors import CancelledError, GaussianSpeechError
from .. import compat
from ..characters import overrides
from ..characters.properties import character_objects
from ..engine_link import background
from ..heads.properties import is_head
from ..status import set_error, set_message
from . import bake_queue, lines, one_step
from .bake import check_rebake, put, rebake
from .bake_queue import BakeFuture, drafting_of
from .copies import look_for_copies
from .line_draft import line_with
from .line_list import ensure_line

LIVE_LIMIT = 55_000
"""Key values that a moved slider bakes at once, which takes 0.1 s; more are made in slices."""

_FLAME_COST = 3
"""Times as long as other keys those of FLAME take: each moves the whole face."""

_QUICK = 0.1
"""Seconds after which no other line is baked at once."""

_held = False


@dataclass(frozen=True, eq=False)
class _Later:
    """A line that is drafted because a slider was moved.

    Attributes:
        draft: of the line.
        first: whether it is put into the file as soon as it is made; others are together.
    """

    draft: BakeFuture
    first: bool


_later: list[_Later] = []


@contextmanager
def changed_together(
    controls: Any, context: bpy.types.Context, *, at_once: bool = False
) -> Iterator[None]:
    """Change several controls, and bake what they count for once, at the end."""
    global _held  # noqa: PLW0603 - an update of a property is handed nothing else
    _held = True
    try:
        yield
    finally:
        _held = False
    rebake_controls(controls, context, at_once=at_once)


def rebake_controls(controls: Any, context: bpy.types.Context, *, at_once: bool = False) -> None:
    """Bake again what controls count for, after one of them was changed.

    Args:
        controls: of a character, or of one of its lines.
        context: for the scene's frame rate.
        at_once: whether all of it is to be done before this returns, as scripts ask.
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
        chosen = own
    else:
        chosen = sorted(shared, key=lambda line: line != active)
    try:
        rebake_lines(chosen, context, at_once=at_once)
    except GaussianSpeechError as error:
        # A property's update has no operator to report with.
        set_error(context, error)


def rebake_line_live(line: Any, context: bpy.types.Context) -> None:
    """Bake a line again after one of its settings was changed."""
    look_for_copies()
    if lines.line_action(line.id_data, line) is not None:
        try:
            rebake_lines([line], context)
        except GaussianSpeechError as error:
            set_error(context, error)


def rebake_lines(
    chosen: Iterable[Any], context: bpy.types.Context, *, at_once: bool = False
) -> None:
    """Bake lines again: what is quick at once, the rest in slices beside what the user does.

    Args:
        chosen: the lines, the one to be done first before the others.
        context: for the scene's frame rate.
        at_once: whether all of it is to be done before this returns; so it is without a window.

    Raises:
        BadInputError: a line cannot be baked.
    """
    line_ids = [line.id for line in chosen]
    began, at_once = perf_counter(), at_once or not bake_queue.has_timers()
    for number, each in enumerate(line_ids):
        line = lines.line_by_id(each)
        slow = bake_queue.is_held(context) or not _is_quick(line)
        if not at_once and (slow or perf_counter() - began > _QUICK):
            _bake_later(line_ids[number:])
            return
        supersede(each)
        rebake(context, line)


def _is_quick(line: Any) -> bool:
    """Whether baking a line keeps Blender no longer than a slider may."""
    main = line.id_data
    objects = character_objects(main)
    count = 0
    for part in objects:
        action = lines.line_action(part, line) or lines.legacy_bake(part)
        count += 0 if action is None else len(compat.fcurves(action))
    about = lines.predicted(line)
    frames = 0 if about is None else about.frames
    cost = _FLAME_COST if is_head(main) and len(objects) > 1 else 1
    return cost * count * frames <= LIVE_LIMIT


def _bake_later(line_ids: list[str]) -> None:
    """Draft lines in slices, in the place of drafts that are under way."""
    for each in line_ids:
        check_rebake(line_with(each))
    one_step.begin(line_ids)
    _draft(line_ids)


def _draft(line_ids: Iterable[str]) -> None:
    for number, each in enumerate(line_ids):
        _stop(each)
        _later.append(_Later(BakeFuture(each, drafting_of(each)), first=number == 0))
    background.show(_progress)


def supersede(line_id: str) -> None:
    """Forget that a slider has asked for a line, which is baked now in another way."""
    _stop(line_id)
    one_step.give_up([line_id])
    if not _later:
        stop_all()


def _stop(line_id: str) -> None:
    for later in [later for later in _later if later.draft.line == line_id]:
        later.draft.cancel()
        _later.remove(later)


def stop_all() -> None:
    """Give up all drafts that sliders have asked for."""
    while _later:
        _stop(_later[0].draft.line)
    _progress.count = 0
    background.hide(_progress)


def put_made() -> None:
    """Put into the file what is made, as one step of undo."""
    for later in [later for later in _later if later.draft.failed is not None]:
        _later.remove(later)
        if not isinstance(later.draft.failed, CancelledError):
            set_error(bpy.context, later.draft.failed)
    every = all(later.draft.done for later in _later)
    made = [later for later in _later if later.draft.done and (later.first or every)]
    for later in made:
        _later.remove(later)
        with later.draft.in_scene():
            put(bpy.context, later.draft.result(0))
    if made:
        one_step.end([later.draft.line for later in made])
    if not _later:
        stop_all()


class _Progress:
    """How far the drafts are that sliders have asked for, for the panel."""

    count = 0
    """How many there are, with those that are put into the file already."""

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1], and what is done."""
        self.count = max(self.count, len(_later))
        if not _later:
            return 1.0, ""
        drafts = [later.draft for later in _later]
        in_work = next((draft for draft in drafts if not draft.is_made), drafts[0])
        left = sum(1.0 - draft.poll()[0] for draft in drafts)
        return 1.0 - left / self.count, in_work.poll()[1]

    def cancel(self) -> None:
        """Leave the lines as they are, out of date."""
        line_ids = [later.draft.line for later in _later]
        stop_all()
        one_step.give_up(line_ids)
        set_message(bpy.context, "Cancelled: the line is out of date until Update")


_progress = _Progress()


def _on_other_state(line_ids: Iterable[str]) -> None:
    """After undo and redo: these lines are to be drafted, and no others."""
    stop_all()
    if line_ids:
        _draft(line_ids)


def register() -> None:
    """Put drafts into the file as they are made."""
    bake_queue.listen(put_made)
    one_step.register(_on_other_state)


def unregister() -> None:
    """End what is under way."""
    stop_all()
    one_step.unregister()
    bake_queue.forget(put_made)
