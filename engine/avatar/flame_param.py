# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars' ``flame_param.npz``: the motion of a FLAME head, beside ``point_cloud.ply``."""

from __future__ import annotations

import math
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError
from engine.core.files import atomic_write
from engine.heads.flame import JAW_DIRECTIONS
from engine.heads.flame_model import COEFFICIENT, EXPRESSIONS, SHAPES
from engine.heads.head import Head
from engine.motion.performance import Performance

Float = NDArray[np.float32]

MAX_FRAMES = 20_000
"""Thirteen minutes at 25 frames per second; each takes 62 kB in memory."""
_LARGEST = 8 * 3 * 5143 * MAX_FRAMES


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
            if not np.isfinite(array).all():
                raise BadInputError(f"{name} holds NaN or infinite values.")

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


def is_flame(head: Head) -> bool:
    """Whether a head is one of :mod:`engine.heads.flame`."""
    return head.expression_names[:1] == (f"{COEFFICIENT}000",)


def flame_param_of(performance: Performance, head: Head) -> tuple[FlameParam, float]:
    """FLAME's expression and jaw from a performance of a FLAME head.

    Args:
        performance: its expression names are those of the head.
        head: of :func:`engine.heads.flame.load_flame`.

    Returns:
        The parameters, and the largest distance in metres between the performance's vertices and
        those of the head's linear model at these parameters.

    Raises:
        BadInputError: a head that is not FLAME, or a performance without its expressions.
    """
    if not is_flame(head) or performance.expression_names != head.expression_names:
        raise BadInputError(
            f"The performance of head '{performance.head}' has no FLAME parameters.",
            "Give a performance of this FLAME head with its expressions, or leave it out.",
        )
    param = FlameParam.neutral(head.vertex_count, performance.frames)
    param.expr[:] = performance.expression[:, :EXPRESSIONS]
    for name, rotation in JAW_DIRECTIONS.items():
        weight = performance.expression[:, head.expression_index(name), None]
        param.jaw_pose[:] += weight * np.array(rotation, np.float32)
    worst = 0.0
    for start, offsets in performance.offset_chunks():
        expression = performance.expression[start : start + len(offsets)]
        error = head.deform(expression) - head.template - offsets
        worst = max(worst, float(np.linalg.norm(error, axis=-1).max()))
    return param, worst


def save_flame_param(param: FlameParam, path: str | Path) -> None:
    """Write ``flame_param.npz``, whole or not at all.

    Args:
        param: the parameters.
        path: final name.
    """
    arrays = {field.name: getattr(param, field.name) for field in fields(param)}
    with atomic_write(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def load_flame_param(path: str | Path) -> FlameParam:
    """Read ``flame_param.npz``.

    Args:
        path: of GaussianAvatars or of :func:`save_flame_param`. A missing dynamic_offset is zero.

    Raises:
        BadInputError: no such file, or arrays that are missing, of other shapes, or far too large.
    """
    path = Path(path)
    remedy = "Choose the flame_param.npz that lies beside a point_cloud.ply."
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", remedy)
    try:
        return _read(path)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error.message}", error.hint or remedy) from error
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise BadInputError(f"{path} cannot be read: {error}.", remedy) from error


def _read(path: Path) -> FlameParam:
    names = [field.name for field in fields(FlameParam)]
    arrays: dict[str, Float] = {}
    with zipfile.ZipFile(path) as archive:
        held = {member.filename: member for member in archive.infolist()}
        for name in names:
            if f"{name}.npy" in held:
                arrays[name] = _array(archive, held[f"{name}.npy"])
    expr, static = arrays.get("expr"), arrays.get("static_offset")
    if "dynamic_offset" not in arrays and expr is not None and static is not None:
        arrays["dynamic_offset"] = np.zeros((len(expr), *static.shape[1:]), np.float32)
    if missing := [name for name in names if name not in arrays]:
        raise BadInputError(f"It lacks {', '.join(missing)}.")
    return FlameParam(**arrays)


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Float:
    """One array, after its size is found to be what it claims and within bounds."""
    npy: Any = np.lib.format
    with archive.open(member) as stream:
        version = npy.read_magic(stream)
        if version != (1, 0):
            raise BadInputError(f"{member.filename} is an array file of version {version}.")
        shape, _, dtype = npy.read_array_header_1_0(stream)
        size = math.prod(shape) * dtype.itemsize
        if dtype.kind not in "fiu" or size > _LARGEST or size > member.file_size:
            raise BadInputError(
                f"{member.filename} claims {dtype} {shape}; up to {MAX_FRAMES:,} frames of "
                "numbers are read."
            )
    with archive.open(member) as stream:
        array = npy.read_array(stream, allow_pickle=False)
    with np.errstate(over="ignore"):
        result: Float = np.ascontiguousarray(array, np.float32)
    return result
