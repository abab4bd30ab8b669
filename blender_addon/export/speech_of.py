# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said within the frames of an export, from the lines that play there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import bpy

from ...engine.core.errors import BadInputError
from ..speech.action import read_prediction
from ..speech.lines import baked_lines, frames_of_action, legacy_bake, start_of_action
from ..speech.prediction import Timed
from ..speech.scene_time import scene_time
from ..speech.sound import scene_fps


@dataclass(frozen=True)
class Spoken:
    """What is said.

    Attributes:
        phones: sounds with their start and end in seconds from the first frame, cut to the frames.
        words: words likewise.
        language: ISO 639 code of the first line, empty where unknown.
        model: what made the first line.
        source_sha256: of the audio of the first line.
        correctives: names of the lines' own shape keys, which are no expressions.
    """

    phones: tuple[Timed, ...] = ()
    words: tuple[Timed, ...] = ()
    language: str = ""
    model: str = ""
    source_sha256: str = ""
    correctives: frozenset[str] = frozenset()


def speech_of(context: bpy.types.Context, obj: bpy.types.Object, frames: range) -> Spoken:
    """What a head or character says within the frames."""
    fps = scene_fps(context.scene)
    spoken = [(action, read_prediction(action)) for action in _actions(obj)]
    if not spoken:
        return Spoken()
    first = spoken[0][1]
    phones, words = (
        _sorted(
            timed
            for action, prediction in spoken
            for timed in _within(obj, action, getattr(prediction, kind), frames, fps)
        )
        for kind in ("phones", "words")
    )
    return Spoken(
        phones=phones,
        words=words,
        language=first.language,
        model=first.model,
        source_sha256=first.source_sha256,
        correctives=frozenset(name for _, each in spoken for name in each.correctives),
    )


def speech_frames(obj: bpy.types.Object) -> range:
    """Whole scene frames that the baked speech covers, from the first line to the last.

    Raises:
        BadInputError: nothing is baked.
    """
    actions = _actions(obj)
    if not actions:
        raise BadInputError(
            f"'{obj.name}' has no baked speech.", "Predict first, or export the scene's frames."
        )
    starts, ends = zip(*(_frames(obj, action) for action in actions), strict=True)
    return range(math.ceil(min(starts) - 1e-3), math.floor(max(ends) + 1e-3) + 1)


def _actions(obj: bpy.types.Object) -> list[bpy.types.Action]:
    actions = [action for _, action in baked_lines(obj)] or [legacy_bake(obj)]
    return [action for action in actions if action is not None]


def _frames(obj: bpy.types.Object, action: bpy.types.Action) -> tuple[float, float]:
    """First and last scene frame at which an Action speaks."""
    first, last = frames_of_action(obj, action)
    return first / _remapping(obj), last / _remapping(obj)


def _remapping(obj: bpy.types.Object) -> float:
    return scene_time(bpy.context, obj, None).stretch


def _within(
    obj: bpy.types.Object,
    action: bpy.types.Action,
    timed: Iterable[Timed],
    frames: range,
    fps: float,
) -> Iterator[Timed]:
    """The sounds or words of a line within the frames, in seconds from the first of them."""
    first, last = _frames(obj, action)
    begin = start_of_action(obj, action)[0] / _remapping(obj)
    shift = (begin - frames.start) / fps
    low = max(0.0, (first - frames.start) / fps)
    high = min(len(frames), last + 1 - frames.start) / fps
    for label, start, stop in timed:
        begin, end = max(low, start + shift), min(high, stop + shift)
        if begin < end:
            yield label, round(begin, 6), round(end, 6)


def _sorted(timed: Iterable[Timed]) -> tuple[Timed, ...]:
    return tuple(sorted(timed, key=lambda item: item[1:]))
