# SPDX-License-Identifier: GPL-3.0-or-later
"""Motion that other programs recorded, in the time of its sound: what a phone, BEAT or VHAP gives.

Phones and cameras start when somebody presses a button, so where the sound lies in the motion is
found by how the mouth opens (:mod:`engine.motion.sound_offset`), unless ``offsets.json`` says it.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from engine.audio.loading import Speech
from engine.avatar.flame_motion import holds_flame, is_vertex_file, performance_of
from engine.avatar.motion_file import CAPTURED, performance_of_curves
from engine.avatar.vertex_motion import FPS, load_vertices
from engine.core.errors import BadInputError
from engine.heads.flame_layouts import load_flame_layout
from engine.heads.retarget import with_arkit_expressions
from engine.motion.interchange.curve_files import is_curve_file, read_curves
from engine.motion.performance import Performance
from engine.motion.sound_offset import (
    SoundOffset,
    captured_opening,
    estimate_offset,
    spoken_opening,
    with_sound,
)
from training.data.captured_motion import CapturedHead, CapturedMotion
from training.data.recordings import OFFSETS, Recording

if TYPE_CHECKING:
    from engine.core.arrays import Double

_FPS = 25.0
"""Of FLAME's parameters that do not state theirs."""


def read_foreign(recording: Recording, head: CapturedHead, speech: Speech) -> CapturedMotion:
    """The motion of a recording from its first to its last sample of sound.

    Args:
        recording: which; without an offset it is estimated.
        head: whose motion it is.
        speech: the sound.

    Raises:
        BadInputError: a damaged file, motion of another head, or an offset that does not stand out
            where motion and sound differ in length.
    """
    performance = foreign_performance(recording, head)
    seconds, found = recording.offset, None
    if seconds is None:
        found = _estimated(recording, head, speech, performance)
        seconds = found.seconds if found.found else _together(recording, speech, performance, found)
    timed = with_sound(performance, speech, seconds)
    own = timed.expression_names == head.trained.expression_names
    expression = timed.expression if own else None
    return CapturedMotion(
        recording.motion, timed.fps, timed.weights, timed.basis, expression, seconds
    )


def foreign_rate(recording: Recording) -> float:
    """Frames per second of the motion.

    Raises:
        BadInputError: a damaged file.
    """
    path = recording.motion
    if is_curve_file(path):
        return read_curves(path).fps
    if is_vertex_file(path):
        return recording.fps or FPS
    return load_flame_layout(path)[1] or recording.fps or _FPS


def foreign_performance(recording: Recording, head: CapturedHead) -> Performance:
    """The motion in its own time.

    Args:
        recording: whose motion is another program's.
        head: whose motion it is.

    Raises:
        BadInputError: a damaged file, or motion of another head.
    """
    path = recording.motion
    if is_curve_file(path):
        return performance_of_curves(read_curves(path), head.captured, CAPTURED)
    if is_vertex_file(path):
        return load_vertices(path, head.captured, recording.fps)
    if not holds_flame(path):
        raise BadInputError(
            f"{path} holds neither FLAME's parameters nor vertices.",
            "See docs/motion-files.md for the arrays that are read.",
        )
    if head.flame is None:
        raise BadInputError(
            f"{path} holds FLAME's parameters; {head.captured.id!r} is no FLAME model.",
            "Give the model file they were fitted with as the head.",
        )
    param, fps = load_flame_layout(path)
    # Where the head is and how it is turned stays out: FLAME turns about its root, a performance
    # about the neck, and what that differs by would be motion of the face.
    still = {name: getattr(param, name) * 0 for name in ("translation", "rotation", "neck_pose")}
    param = replace(param, **still)
    return performance_of(param, head.flame, head.captured, fps or recording.fps or _FPS)


def _estimated(
    recording: Recording, head: CapturedHead, speech: Speech, performance: Performance
) -> SoundOffset:
    lips = with_arkit_expressions(head.captured)
    opening = captured_opening(performance, lips)
    return estimate_offset(opening, performance.fps, _spoken(speech, recording.text))


@lru_cache(maxsize=256)
def _spoken(speech: Speech, text: str | None) -> Double:
    return spoken_opening(speech, text)[0]


def _together(
    recording: Recording, speech: Speech, performance: Performance, found: SoundOffset
) -> float:
    """Zero, for motion as long as its sound.

    Raises:
        BadInputError: they differ in length.
    """
    if abs(performance.frames - round(speech.duration * performance.fps)) <= 1:
        return 0.0
    raise BadInputError(
        f"{recording.motion} has {performance.frames / performance.fps:.2f} s of motion for "
        f"{speech.duration:.2f} s of sound, and where that lies in it could not be found "
        f"(correlation {found.correlation:.2f}).",
        f"Write the seconds by which the sound begins after the motion into {OFFSETS}: "
        f'{{"{recording.name}": 0.0}}.',
    )
