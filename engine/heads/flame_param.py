# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars' ``flame_param.npz``: who a FLAME head is and what it does over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.npz import holds_only_zeros, open_npz
from engine.core.npz_writing import write_npz
from engine.heads.flame_model import COEFFICIENT, EXPRESSIONS, SHAPES
from engine.heads.head import Head

_MAX_VERTICES = 10_000
MOVING = ("expr", "rotation", "neck_pose", "jaw_pose", "eyes_pose", "translation")
"""What moves in a clip; identity and offsets do not."""

_SAME_PERSON = 1e-4
"""Coefficients, and metres, that are rounding."""

MAX_FRAMES = 20_000
"""Thirteen minutes at 25 frames per second; each takes 62 kB in memory."""


@dataclass(frozen=True, eq=False)
class FlameParam:
    """FLAME's parameters over T frames, float32.

    Attributes:
        shape: (300,) identity.
        expr: (T, 100) expression.
        rotation: (T, 3) of the whole head, rotation vector, radians.
        neck_pose: (T, 3).
        jaw_pose: (T, 3).
        eyes_pose: (T, 6) left, right.
        translation: (T, 3) metres.
        static_offset: (1, V, 3) metres.
        dynamic_offset: (T, V, 3) metres; their viewer wants it, zeros where there is none.
    """

    shape: Float
    expr: Float
    rotation: Float
    neck_pose: Float
    jaw_pose: Float
    eyes_pose: Float
    translation: Float
    static_offset: Float
    dynamic_offset: Float

    def __post_init__(self) -> None:
        """Check that the arrays fit each other.

        Raises:
            BadInputError: a shape or type is wrong, or values are not finite; names the array.
        """
        T = len(self.expr)
        V = self.static_offset.shape[1] if self.static_offset.ndim == 3 else 0
        shapes = {
            "shape": (SHAPES,),
            "expr": (T, EXPRESSIONS),
            "eyes_pose": (T, 6),
            "static_offset": (1, V, 3),
            "dynamic_offset": (T, V, 3),
        }
        for name in (field.name for field in fields(self)):
            array: Float = getattr(self, name)
            expected = shapes.get(name, (T, 3))
            if array.shape != expected or array.dtype != np.float32:
                raise BadInputError(
                    f"{name} is {array.dtype} {array.shape}, expected float32 {expected}."
                )
            # Once along axes that repeat one value: a view of a zero may be of any size.
            values = array[tuple(slice(None if step else 1) for step in array.strides)]
            if not np.isfinite(values).all():
                raise BadInputError(f"{name} holds NaN or infinite values.")

    def of_person(self, person: FlameParam) -> FlameParam:
        """The same motion with the identity of another.

        Raises:
            BadInputError: its dynamic offsets are of another mesh.
        """
        V = person.static_offset.shape[1]
        dynamic = self.dynamic_offset
        if dynamic.shape[1] != V:
            if dynamic.any():
                raise BadInputError(
                    f"The dynamic offsets move {dynamic.shape[1]:,} vertices, the head has {V:,}.",
                    "Give the parameters of this head.",
                )
            dynamic = np.zeros((self.frames, V, 3), np.float32)
        return replace(
            self,
            shape=person.shape,
            static_offset=person.static_offset,
            dynamic_offset=dynamic,
        )

    def is_person(self, other: FlameParam) -> bool:
        """Whether they are of one person: shape and static offset are the same."""
        if self.static_offset.shape != other.static_offset.shape:
            return False
        apart = (
            np.abs(self.shape - other.shape).max(),
            np.abs(self.static_offset - other.static_offset).max(initial=0.0),
        )
        return bool(max(apart) < _SAME_PERSON)

    @property
    def frames(self) -> int:
        """T."""
        return len(self.expr)

    @classmethod
    def neutral(cls, vertex_count: int, frames: int = 1, shape: Float | None = None) -> FlameParam:
        """A still face.

        Args:
            vertex_count: V, 5,143 with teeth.
            frames: T.
            shape: (≤ 300,) identity; the mean without.
        """
        identity = np.zeros(SHAPES, np.float32)
        if shape is not None:
            identity[: len(shape)] = shape
        sizes = {"rotation": 3, "neck_pose": 3, "jaw_pose": 3, "eyes_pose": 6, "translation": 3}
        return cls(
            shape=identity,
            expr=np.zeros((frames, EXPRESSIONS), np.float32),
            static_offset=np.zeros((1, vertex_count, 3), np.float32),
            dynamic_offset=np.zeros((frames, vertex_count, 3), np.float32),
            **{name: np.zeros((frames, size), np.float32) for name, size in sizes.items()},
        )

    @classmethod
    def of(cls, head: Head, frames: int = 1) -> FlameParam:
        """The still face of a FLAME head, with its identity.

        Args:
            head: of :func:`engine.heads.flame.load_flame`.
            frames: T.
        """
        made = cls.neutral(head.vertex_count, frames, head.source.shape)
        if len(head.source.static_offset):
            made.static_offset[0] = head.source.static_offset
        return made


def is_flame(head: Head) -> bool:
    """Whether a head is one of :mod:`engine.heads.flame`."""
    return head.expression_names[:1] == (f"{COEFFICIENT}000",)


def save_flame_param(param: FlameParam, path: str | Path) -> None:
    """Write ``flame_param.npz``, whole or not at all.

    Args:
        param: the parameters.
        path: final name.
    """
    arrays = {field.name: getattr(param, field.name) for field in fields(param)}
    write_npz(path, **arrays)


def load_flame_param(path: str | Path) -> FlameParam:
    """Read ``flame_param.npz``.

    Args:
        path: of GaussianAvatars or of :func:`save_flame_param`. A missing dynamic_offset is zero.

    Raises:
        BadInputError: no such file, or arrays that are missing, of other shapes, or far too large.
    """
    remedy = "Choose the flame_param.npz that lies beside a point_cloud.ply."
    names = [field.name for field in fields(FlameParam) if field.name != "dynamic_offset"]
    data = open_npz(path, remedy, names)
    if missing := [name for name in names if name not in data]:
        raise data.wrong(f"it lacks {', '.join(missing)}")
    frames = len(data.numbers("expr", (None, None)))
    vertex_count = data.numbers("static_offset", (1, None, 3)).shape[1]
    if frames > MAX_FRAMES or vertex_count > _MAX_VERTICES:
        raise data.wrong(f"it has {frames:,} frames; up to {MAX_FRAMES:,} are read")
    arrays = {name: data.numbers(name, (None,) * data[name].ndim) for name in data.names()}
    arrays["dynamic_offset"] = _dynamic_offset(path, (frames, vertex_count, 3), remedy)
    try:
        return FlameParam(**arrays)
    except BadInputError as error:
        raise data.wrong(error.message.rstrip(".")) from error


def _dynamic_offset(path: str | Path, shape: tuple[int, ...], remedy: str) -> Float:
    """As in the file; where it holds zeros, as it nearly always does, a view of one zero."""
    name = "dynamic_offset"
    if holds_only_zeros(path, name):
        return np.broadcast_to(np.float32(0), shape)
    return open_npz(path, remedy, [name]).numbers(name, shape)


def load_sequence(files: Sequence[Path]) -> FlameParam:
    """A sequence of one file a frame.

    Raises:
        BadInputError: a file that is damaged, holds several frames, or is of another person.
    """
    every = [load_flame_param(path) for path in files]
    first = every[0]
    for path, param in zip(files, every, strict=True):
        if param.frames != 1 or param.static_offset.shape != first.static_offset.shape:
            raise BadInputError(
                f"{path} holds {param.frames} frames of {param.static_offset.shape[1]:,} vertices; "
                f"{files[0].name} is one frame of {first.static_offset.shape[1]:,}.",
                "Store the parameters of each frame of one person in a file of its own.",
            )
        if not param.is_person(first):
            raise BadInputError(
                f"{path} is of another person than {files[0].name}: shape or static_offset differ.",
                "Put one person in a sequence.",
            )
    arrays = {name: np.concatenate([getattr(param, name) for param in every]) for name in MOVING}
    still = np.broadcast_to(np.float32(0), (len(every), *first.static_offset.shape[1:]))
    return replace(first, dynamic_offset=still, **arrays)
