# SPDX-License-Identifier: GPL-3.0-or-later
"""What the bones of a rig stand for, proposed by their names and where they are.

Names say what a bone controls; which of its axes turns it which way, and how far, is read off its
rest pose: rigs roll their bones as they like. Lips and brows move as the points of the default head
do (:mod:`.control_points`), times the size of the rig's face.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ...core.arrays import Double
from ..arkit import ARKIT_NAMES
from ..face.gaze import FULL_ROTATION
from .bone_names import (
    AT_TAIL,
    DEFORM,
    EYE,
    EYE_MASTER,
    FOLLOWS,
    HEAD_BONE,
    JAW,
    LOWER_LID,
    LOWER_TEETH,
    MECHANISM,
    NECK,
    POINT_BONES,
    SIDES,
    UPPER_LID,
    Follow,
    stem_and_side,
)
from .bones import AXES, HEAD, HEAD_CHANNEL, BoneRow
from .control_points import POINTS, FaceControls, face_controls, visible


class RestBone(NamedTuple):
    """A bone in its rest pose.

    Attributes:
        name: of the bone.
        parent: of its parent, or empty.
        head: (3,) where it begins, armature space.
        tail: (3,) where it ends.
        axes: (3, 3) its own axes, columns, armature space.
        location_axes: (3, 3) axes of its location channels.
        connected: whether it hangs on its parent's tail, and so has no location.
    """

    name: str
    parent: str
    head: Double
    tail: Double
    axes: Double
    location_axes: Double
    connected: bool


class RigProposal(NamedTuple):
    """What a rig's bones stand for.

    Attributes:
        name: kind of the rig, for people.
        rows: of the table.
        speaks: whether jaw or lips are among them.
    """

    name: str
    rows: tuple[BoneRow, ...]
    speaks: bool


def character_frame(bones: Sequence[RestBone], up: Double) -> Double:
    """(3, 3) a rig's left, up and forward as columns, armature space.

    Args:
        bones: all of the armature; those of two sides say where left is.
        up: (3,) upwards in armature space.
    """
    return _Face(bones, up).frame


def eye_centres(bones: Sequence[RestBone], up: Double) -> list[Double]:
    """(3,) what each eye turns about, armature space, as far as the bones' names say.

    Args:
        bones: all of the armature.
        up: (3,) upwards in armature space.
    """
    face = _Face(bones, up)
    found = [face.eye_centre(side) for side in ("left", "right")]
    return [bone.head for bone in found if bone is not None]


_JAW_SHIFTS = [ARKIT_NAMES.index(f"jaw{way}") for way in ("Forward", "Left", "Right")]

_SMALL = 0.2
"""Share of a motion below which an axis is left out."""
_FURTHEST_TURN = 0.6
"""Radians by which a bone turns at most for want of a location: a short one moves its end less."""
_LEVEL = 0.2
"""Share of a jaw's length that says where it points: less may be a jaw that hangs straight down."""
_LID_GAP = 0.95
"""Share of the opening of the eye that the upper lid closes; the rest is the lower lid's edge."""


def propose_rig(bones: Sequence[RestBone], up: Double) -> RigProposal | None:
    """Find out what the bones of a rig stand for.

    Args:
        bones: all of the armature.
        up: (3,) upwards in armature space; its length is that of a metre there.

    Returns:
        ``None`` where no bone's name is known.
    """
    face = _Face(bones, up)
    if face.is_metarig:
        return None
    rows = tuple(face.rows())
    speaks = any(row.pose.startswith(("jaw", "mouth")) for row in rows)
    return RigProposal(face.kind, rows, speaks) if rows else None


@dataclass(frozen=True, eq=False)
class _Face:
    """The bones of a face, by what they are called."""

    bones: Sequence[RestBone]
    up: Double

    @cached_property
    def by_stem(self) -> dict[tuple[str, str], RestBone]:
        """Bones by stem and side; of several the first, and controls before what they deform."""
        found: dict[tuple[str, str], RestBone] = {}
        controls = [one for one in self.bones if not one.name.startswith((*MECHANISM, DEFORM))]
        deforming = [one for one in self.bones if one.name.startswith(DEFORM)]
        for bone in (*controls, *deforming):
            found.setdefault(stem_and_side(bone.name), bone)
        return found

    def find(self, stems: Iterable[str], side: str = "") -> RestBone | None:
        """The first bone of these names."""
        known = (self.by_stem.get((stem, side)) for stem in stems)
        return next((bone for bone in known if bone is not None), None)

    def point(self, name: str) -> RestBone | None:
        """The bone that controls one of :data:`POINTS`."""
        stem = name.removesuffix(" left").removesuffix(" right")
        side = name[len(stem) + 1 :]
        return self.find(
            POINT_BONES[f"{stem} side" if side and stem.endswith("lip") else stem], side
        )

    @property
    def kind(self) -> str:
        """Whose rig it is."""
        if self.find(("jawmaster",)) is not None:
            return "Rigify"
        return "MakeHuman" if self.find(("oris05",)) is not None else "bones"

    @property
    def is_metarig(self) -> bool:
        """Whether Rigify has not yet made a rig of it: its bones hang in chains."""
        chain = self.by_stem.get(("lipt", "left"))
        return chain is not None and self.find(("lipt",)) is None

    @cached_property
    def jaw(self) -> RestBone | None:
        return self.find(JAW)

    @cached_property
    def frame(self) -> Double:
        """(3, 3) the character's left, up and forward as columns, armature space."""
        up = self.up / np.linalg.norm(self.up)
        pairs = [
            bone.head - other.head
            for (stem, side), bone in self.by_stem.items()
            if side == "left" and (other := self.by_stem.get((stem, "right"))) is not None
        ]
        left = np.sum(pairs, axis=0) if pairs else np.cross(up, self._chin)
        left = left - up * (left @ up)
        length = np.linalg.norm(left)
        left = left / length if length > 1e-9 else np.array([1.0, 0.0, 0.0])
        return np.stack([left, up, np.cross(left, up)], axis=1)

    @property
    def _chin(self) -> Double:
        """(3,) where the jaw points, and from it the lips; nothing of one that hangs down."""
        jaw = self.jaw
        if jaw is None:
            return np.zeros(3)
        lips = [bone for name in ("upper lip", "lower lip") if (bone := self.point(name))]
        ends = [jaw.tail, *(lip.head for lip in lips)]
        points: Double = np.sum([end - jaw.head for end in ends], axis=0)
        up = self.up / np.linalg.norm(self.up)
        level = points - up * (points @ up)
        return points if np.linalg.norm(level) > _LEVEL * np.linalg.norm(points) else np.zeros(3)

    def eye_centre(self, side: str) -> RestBone | None:
        """The bone that turns an eye, or what a target turns."""
        return self.find(EYE_MASTER, side) or self.find(EYE, side)

    @cached_property
    def scale(self) -> float:
        """Units of the rig for a metre of the default head."""
        controls = face_controls()
        corners = [self.point(f"mouth corner {side}") for side in ("left", "right")]
        eyes = [self.eye_centre(side) for side in ("left", "right")]
        for (left, right), points in ((corners, "mouth corner"), (eyes, "eye")):
            if left is not None and right is not None:
                apart = float(np.linalg.norm(left.head - right.head))
                if apart > 0:
                    return apart / controls.distance(f"{points} left", f"{points} right")
        return float(np.linalg.norm(self.up))

    def rows(self) -> Iterator[BoneRow]:
        """The table."""
        controls = face_controls()
        yield from self._jaw_rows(controls)
        for name in POINTS:
            if name not in ("jaw", "eye left", "eye right", "upper lid left", "upper lid right"):
                yield from self._point_rows(controls, name)
        for side in ("left", "right"):
            yield from self._eye_rows(side)
            yield from self._lid_rows(controls, side)
        yield from self._head_rows()

    def _jaw_rows(self, controls: FaceControls) -> Iterator[BoneRow]:
        teeth = self.find(LOWER_TEETH)
        if teeth is not None and (self.jaw is None or not self._is_below(teeth, self.jaw)):
            motion = {"jawOpen": visible(controls.moves_of("jaw"))["jawOpen"]}
            yield from self._motion_rows(teeth, motion)
        if self.jaw is None:
            return
        yield from self._rotation_rows(self.jaw, "jawOpen", controls.jaw_turn)
        if not self.jaw.connected:
            moves = controls.moves_of("jaw")[_JAW_SHIFTS]
            names = [ARKIT_NAMES[index] for index in _JAW_SHIFTS]
            yield from self._motion_rows(self.jaw, dict(zip(names, moves, strict=True)))

    def _point_rows(self, controls: FaceControls, name: str) -> Iterator[BoneRow]:
        bone = self.point(name)
        if bone is None or (name == "tongue" and bone.connected):
            return
        moves = self.scale * controls.moves_of(name) @ self.frame.T
        if not name.endswith(("brow left", "brow right")):
            moves -= self._jaw_share(name, bone) * self._by_jaw(controls, bone)
        middle, _, side = name.rpartition(" ")
        if self.follow is not None and middle.endswith("lip"):
            corner = self.scale * controls.moves_of(f"mouth corner {side}") @ self.frame.T
            moves -= self.follow.corner * self._beyond_jaw(controls, f"mouth corner {side}", corner)
            centre = self.scale * controls.moves_of(middle) @ self.frame.T
            moves -= self.follow.middle * self._beyond_jaw(controls, middle, centre)
        for pose, move in visible(moves / self.scale).items():
            yield from self._armature_rows(bone, pose, self.scale * move)

    def _beyond_jaw(self, controls: FaceControls, name: str, moves: Double) -> Double:
        """(52, 3) what a control adds to what the jaw does with it."""
        bone = self.point(name)
        if bone is None:
            return np.zeros_like(moves)
        return moves - self._jaw_share(name, bone) * self._by_jaw(controls, bone)

    @cached_property
    def follow(self) -> Follow | None:
        """How the controls of the mouth follow each other, where that is known."""
        corner = self.point("mouth corner left") if self.kind == "Rigify" else None
        return None if corner is None else FOLLOWS.get(stem_and_side(corner.name)[0])

    def _jaw_share(self, name: str, bone: RestBone) -> float:
        """How far a point goes with the jaw."""
        if self.jaw is None:
            return 0.0
        if self.follow is not None:
            # By constraints.
            stem, _, side = name.rpartition(" ")
            where = name if side not in SIDES else stem + " side" * stem.endswith("lip")
            return self.follow.jaw[where]
        return float(self._is_below(bone, self.jaw))

    def _by_jaw(self, controls: FaceControls, bone: RestBone) -> Double:
        """(52, 3) motions of what is fixed to the jaw, armature space."""
        moves = np.zeros((len(ARKIT_NAMES), 3))
        if self.jaw is not None:
            turn = self.frame @ controls.jaw_turn
            if not self.jaw.connected:
                moves[_JAW_SHIFTS] = (
                    self.scale * controls.moves_of("jaw")[_JAW_SHIFTS] @ self.frame.T
                )
            moves[ARKIT_NAMES.index("jawOpen")] = np.cross(turn, bone.head - self.jaw.head)
        return moves

    def _eye_rows(self, side: str) -> Iterator[BoneRow]:
        master, bone = self.find(EYE_MASTER, side), self.find(EYE, side)
        if bone is None:
            return
        outward = 1.0 if side == "left" else -1.0
        # Of the character's axes: left, up, forward.
        turns = {
            "Up": np.array([-1.0, 0.0, 0.0]),
            "Down": np.array([1.0, 0.0, 0.0]),
            "In": np.array([0.0, -outward, 0.0]),
            "Out": np.array([0.0, outward, 0.0]),
        }
        if master is not None:
            # The newer face has its master before the eye.
            master = next((one for one in self.bones if one.name == f"ORG-{bone.name}"), master)
        distance = 0.0 if master is None else float(np.linalg.norm(bone.head - master.head))
        for direction, axis in turns.items():
            pose = f"eyeLook{direction}{side.capitalize()}"
            angle = np.radians(FULL_ROTATION[direction])
            if distance > 0.0:
                # A target that the eye is aimed at.
                move = distance * np.tan(angle) * np.cross(axis, [0.0, 0.0, 1.0])
                yield from self._location_rows(bone, pose, self.frame @ move)
            else:
                yield from self._rotation_rows(bone, pose, angle * axis)

    def _lid_rows(self, controls: FaceControls, side: str) -> Iterator[BoneRow]:
        upper, lower = self.find(UPPER_LID, side), self.find(LOWER_LID, side)
        if upper is None or lower is None:
            return
        motion = visible(controls.moves_of(f"upper lid {side}"))
        blink, wide = f"eyeBlink{side.capitalize()}", f"eyeWide{side.capitalize()}"
        opened = motion[wide][1] / motion[blink][1]
        for pose, share in ((blink, _LID_GAP), (wide, _LID_GAP * opened)):
            if AT_TAIL.fullmatch(stem_and_side(upper.name)[0]):
                turn = _turn(upper.tail - upper.head, lower.tail - upper.head)
                yield from _rows(upper, "rotation", pose, upper.axes.T @ (share * turn))
            else:
                gap = lower.head - upper.head
                yield from self._location_rows(upper, pose, share * gap)

    def _head_rows(self) -> Iterator[BoneRow]:
        head, neck = self.find(HEAD_BONE), self.find(NECK)
        if head is None:
            return
        share = 1.0
        if neck is not None and self._is_below(head, neck):
            share = 0.5
            yield BoneRow(neck.name, HEAD_CHANNEL, HEAD, share)
        yield BoneRow(head.name, HEAD_CHANNEL, HEAD, share)

    def _is_below(self, bone: RestBone, ancestor: RestBone) -> bool:
        by_name = {one.name: one for one in self.bones}
        parent = by_name.get(bone.parent)
        while parent is not None and parent != ancestor:
            parent = by_name.get(parent.parent)
        return parent is not None

    def _motion_rows(self, bone: RestBone, motion: Mapping[str, Double]) -> Iterator[BoneRow]:
        """Rows that move a bone as a point of the default head is moved, head space."""
        for pose, move in motion.items():
            yield from self._armature_rows(bone, pose, self.scale * (self.frame @ move))

    def _armature_rows(self, bone: RestBone, pose: str, move: Double) -> Iterator[BoneRow]:
        """Rows that move a bone; by turning it where it hangs on its parent."""
        if bone.connected:
            arm = bone.tail - bone.head
            turn = np.cross(arm, move) / (arm @ arm)
            turn *= min(1.0, _FURTHEST_TURN / max(float(np.linalg.norm(turn)), 1e-9))
            yield from _rows(bone, "rotation", pose, bone.axes.T @ turn)
        else:
            yield from self._location_rows(bone, pose, move)

    def _location_rows(self, bone: RestBone, pose: str, move: Double) -> Iterator[BoneRow]:
        yield from _rows(bone, "location", pose, bone.location_axes.T @ move)

    def _rotation_rows(self, bone: RestBone, pose: str, turn: Double) -> Iterator[BoneRow]:
        """Rows for a rotation vector of the character's axes."""
        yield from _rows(bone, "rotation", pose, bone.axes.T @ (self.frame @ turn))


def _turn(first: Double, second: Double) -> Double:
    """(3,) rotation vector from one direction to another, radians."""
    axis = np.cross(first, second)
    angle = np.arctan2(np.linalg.norm(axis), first @ second)
    turn: Double = axis * (angle / max(float(np.linalg.norm(axis)), 1e-12))
    return turn


def _rows(bone: RestBone, kind: str, pose: str, components: Double) -> Iterator[BoneRow]:
    length = float(np.linalg.norm(components))
    for axis, component in zip(AXES, components, strict=True):
        if abs(component) > _SMALL * length:
            yield BoneRow(bone.name, f"{kind} {axis}", pose, float(component))
