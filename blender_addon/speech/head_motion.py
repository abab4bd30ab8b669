# SPDX-License-Identifier: GPL-3.0-or-later
"""Head motion in Blender: an Empty with F-curves of its own, which the head follows.

The artist's own transforms and Action of the head stay as they are: a constraint turns what they
make by what the Empty does, in the head's own axes. Edit the Empty's curves, mute the constraint,
or set Head Motion to 0, which removes both.

On a character of the artist's own the constraint is muted, for the rig moves its mesh: the head's
bone is to copy the rotation of the Empty.
"""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix

from ...engine.core.arrays import Double, Float
from ...engine.heads.axes import HEAD_TO_BLENDER, blender_to_head
from ...engine.motion.face.pose import pose_matrices
from ..characters.eyes import gaze_frame
from ..characters.targets import Channel
from ..heads.properties import is_head
from . import edits, nla
from .action import is_filled
from .prediction import Point, Prediction

NAME = "GaussianSpeech Head Motion"
"""Of the constraint."""

_SIZE = 0.05
"""Metres of the Empty's arrows."""


def turn_channels(rotation: Float, neck: Point | None) -> list[Channel]:
    """The channels of an Empty that turns a head; none of one that is still.

    Args:
        rotation: (T, 3) rotation vectors, head space, radians.
        neck: what a head turns about, head space, metres; ``None`` for a character.
    """
    if not rotation.any():
        return []
    matrices = _to_blender(pose_matrices(rotation, np.array(neck or (0.0, 0.0, 0.0), np.float32)))
    location, euler = matrices[:, :3, 3], _euler(matrices[:, :3, :3])
    channels = [("location", axis, location[:, axis]) for axis in range(3)]
    return channels + [("rotation_euler", axis, euler[:, axis]) for axis in range(3)]


def empty_to_turn(obj: bpy.types.Object, *, follows: bool) -> tuple[bpy.types.Object, list[str]]:
    """The Empty that turns a head or character, made where there is none.

    Args:
        obj: the head, or the main object of a character.
        follows: whether a constraint lets it follow by itself, as it does a head.

    Returns:
        The Empty, and what the user should know, a sentence each.
    """
    notes = []
    if not follows and NAME not in obj.constraints:
        notes.append(
            f"Let the head's bone copy the rotation of '{obj.name} Head Motion' (Before Original)."
        )
    return _empty(obj, follows=follows), notes


def remove_head_motion(obj: bpy.types.Object, line_id: str) -> list[str]:
    """Take a line's head motion away; with that of the last line the constraint and its Empty.

    Returns:
        What the user should know, a sentence each.
    """
    empty, notes = empty_of(obj), []
    if empty is not None:
        notes += edits.remove_actions(empty, line_id)
    if NAME in obj.constraints and not _plays(empty):
        _remove(obj)
    return notes


def empty_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The Empty of a head's motion, muted or not."""
    constraint = obj.constraints.get(NAME)
    return constraint.target if constraint is not None else None


def motion_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The Empty that turns a head, if any."""
    constraint = obj.constraints.get(NAME)
    if constraint is None or constraint.mute or constraint.influence == 0.0:
        return None
    return constraint.target


def resting_matrix(obj: bpy.types.Object) -> Matrix:
    """Where a head stands without its head motion."""
    empty = motion_of(obj)
    if empty is None:
        return obj.matrix_world.copy()
    return obj.matrix_world @ empty.matrix_world.inverted_safe()


def gaze_target(
    obj: bpy.types.Object, controls: Any, prediction: Prediction
) -> tuple[float, float]:
    """Degrees to the head's left and up of what its eyes are to come back to, where it stands now.

    Straight ahead where nothing is chosen, where it lies behind the head, or without eyes.
    """
    target = controls.look_at
    if target is None:
        return 0.0, 0.0
    there = target.matrix_world.translation
    if is_head(obj):
        there = resting_matrix(obj).inverted_safe() @ there
        left, up, ahead = blender_to_head(np.array(there, np.float32)) - np.array(prediction.eyes)
    else:
        frame = gaze_frame(obj)
        if frame is None:
            return 0.0, 0.0
        left, up, ahead = frame.inverted_safe() @ there
    if ahead <= 0.0:
        return 0.0, 0.0
    return math.degrees(math.atan2(left, ahead)), math.degrees(
        math.atan2(up, math.hypot(left, ahead))
    )


def _empty(obj: bpy.types.Object, *, follows: bool) -> bpy.types.Object:
    """The head's own Empty, made with its constraint where there is none."""
    constraint = obj.constraints.get(NAME)
    if constraint is None:
        constraint = obj.constraints.new("COPY_TRANSFORMS")
        constraint.name, constraint.mix_mode = NAME, "AFTER_FULL"
        constraint.mute = not follows
    shared = any(
        other.constraints[NAME].target == constraint.target
        for other in bpy.data.objects
        if other != obj and NAME in other.constraints
    )
    if constraint.target is None or shared:
        # A copy of a head comes with the constraint of the first.
        empty = bpy.data.objects.new(f"{obj.name} Head Motion", None)
        empty.empty_display_type, empty.empty_display_size = "ARROWS", _SIZE
        collections = obj.users_collection or (bpy.context.scene.collection,)
        collections[0].objects.link(empty)
        constraint.target = empty
    return constraint.target


def _remove(obj: bpy.types.Object) -> None:
    """Remove the constraint, and the Empty where nobody else follows it."""
    empty = empty_of(obj)
    obj.constraints.remove(obj.constraints[NAME])
    others = [other for other in bpy.data.objects if empty_of(other) == empty]
    if empty is not None and not others:
        bpy.data.objects.remove(empty)


def _plays(empty: bpy.types.Object | None) -> bool:
    """Whether anything animates an Empty: another line, or the artist's own keys."""
    animation = empty.animation_data if empty is not None else None
    if animation is None:
        return False
    return animation.action is not None or any(track.strips for track in animation.nla_tracks)


def retire_legacy_motion(obj: bpy.types.Object) -> list[str]:
    """Take the head motion of 0.1.0 away, the active Action of the Empty; edited, it is kept."""
    empty = empty_of(obj)
    animation = empty.animation_data if empty is not None else None
    action = animation.action if animation is not None else None
    if action is None or not is_filled(action) or nla.LINE in action:
        return []
    animation.action = None
    if edits.is_edited(action):
        return [_keep(action)]
    if action.users == 0:
        bpy.data.actions.remove(action)
    return []


def _keep(action: bpy.types.Action) -> str:
    action.use_fake_user = True
    return f"The edited head motion '{action.name}' is kept."


def _to_blender(matrices: Float) -> Double:
    """Rigid motions of head space in Blender's axes."""
    turn = HEAD_TO_BLENDER.astype(np.float64)
    return turn @ matrices @ turn.T


def _euler(rotations: Double) -> Double:
    """(T, 3) angles of Blender's order XYZ: R = Rz · Ry · Rx."""
    level = np.hypot(rotations[:, 0, 0], rotations[:, 1, 0])
    return np.stack(
        [
            np.arctan2(rotations[:, 2, 1], rotations[:, 2, 2]),
            np.arctan2(-rotations[:, 2, 0], level),
            np.arctan2(rotations[:, 1, 0], rotations[:, 0, 0]),
        ],
        axis=1,
    )
