# SPDX-License-Identifier: GPL-3.0-or-later
"""From frames of a sequencer to the time of Actions in the scene that a character plays in.

The sequencer may be another scene's, which shows the character's by a scene strip. A scene whose
render settings remap time plays its Actions, and not its sounds, faster or slower.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import bpy

from .. import compat


class SceneTime(NamedTuple):
    """Where Actions are at a frame of a sequencer.

    Attributes:
        shift: frames of the character's scene beyond those of the sequencer.
        stretch: frames of Actions for each frame of the character's scene.
    """

    shift: float = 0.0
    stretch: float = 1.0

    def frame(self, frame: float) -> float:
        """The frame of Actions at a frame of the sequencer."""
        return (frame + self.shift) * self.stretch


def time_remapping(scene: bpy.types.Scene) -> float:
    """Frames of Actions for each frame of a scene, by its render settings."""
    return float(scene.render.frame_map_old / scene.render.frame_map_new)


def scene_time(
    context: bpy.types.Context, obj: bpy.types.Object, found: tuple[bpy.types.Scene, Any] | None
) -> SceneTime:
    """The time of Actions while a sound plays.

    Args:
        context: for the scene.
        obj: of the character.
        found: the sound's strip with the scene whose sequencer has it; ``None`` for what plays at
            frames of the character's own scene.
    """
    scenes = obj.users_scene
    own = context.scene if context.scene in scenes or not scenes else scenes[0]
    if found is None or found[0] in scenes:
        return SceneTime(0.0, time_remapping(own if found is None else found[0]))
    scene, strip = found
    shown = _scene_strip(scene, scenes, compat.strip_range(strip))
    if shown is None:
        return SceneTime(0.0, time_remapping(own))
    return SceneTime(_shift(shown), time_remapping(shown.scene))


def sequencer_frame(context: bpy.types.Context) -> int:
    """The frame of the sequencer's scene that the active scene's present frame is shown at."""
    scene, frame = compat.sequencer_scene(context), context.scene.frame_current
    if scene == context.scene or scene.sequence_editor is None:
        return frame
    for strip in compat.all_strips(scene.sequence_editor):
        if strip.type == "SCENE" and strip.scene == context.scene:
            left, right = compat.strip_range(strip)
            if left <= frame - _shift(strip) < right:
                return round(frame - _shift(strip))
    return frame


def _scene_strip(
    scene: bpy.types.Scene, shown: tuple[bpy.types.Scene, ...], frames: tuple[int, int]
) -> Any | None:
    """The strip that shows one of some scenes for the longest while frames play."""

    def shared(strip: Any) -> tuple[bool, int]:
        left, right = compat.strip_range(strip)
        return not strip.mute, min(right, frames[1]) - max(left, frames[0])

    strips = [
        strip
        for strip in compat.all_strips(scene.sequence_editor)
        if strip.type == "SCENE" and strip.scene in shown and shared(strip)[1] > 0
    ]
    return max(strips, key=shared, default=None)


def _shift(strip: Any) -> float:
    """Frames that the scene of a strip is ahead of those of the sequencer."""
    first = strip.scene.frame_start + compat.strip_trim_start(strip)
    return first - compat.strip_content_start(strip)
