# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the channels of a bake move what they animate, and what part of the face that is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Float
from ..characters.targets import key_path
from .keying import Reach
from .slices import Steps

_UNKNOWN = 40.0
"""Value that moves something by a metre where nothing better is known: at 1 a jaw is 25 mm open."""
_STEPS = (("location", 1.0), ("rotation_quaternion", 3.0), ("rotation", 6.0), ("scale", 6.0))
"""The same by the end of a path: a face turns and grows round points some 0.15 m away."""

_CHECKED = 300
"""Vertices, spread over what moves, at which the channels are added up."""
_FURTHEST = 4
"""Vertices of each channel, the ones it moves most, that are among them."""

_GROUPS = (
    ("Correctives", ("corrective",)),
    ("Tongue", ("tongue",)),
    ("Jaw", ("jaw", "teeth", "chin")),
    ("Brows", ("brow",)),
    ("Cheeks", ("cheek",)),
    ("Eyes", ("eye", "blink", "lid", "lash", "gaze", "look", "pupil", "wink")),
    ("Nose", ("nose", "sneer")),
    ("Head", ("head", "neck")),
)
"""Channel groups, and what is in the names of their keys and bones."""
_LIPS, _HEAD = "Lips", "Head"


def group_of(path: str) -> str:
    """The channel group of a channel: the region of the face that its key or bone moves.

    Whatever else speaks, such as visemes, is in ``Lips``; what moves whole objects is in ``Head``.
    """
    named = re.search(r'\["(.*)"\]', path)
    if named is None:
        return _HEAD
    name = named[1].lower()
    for group, words in _GROUPS:
        if any(word in name for word in words):
            return group
    return _LIPS


def reach_of(paths: Sequence[str], offsets: Float | None, lips: Sequence[int]) -> Reach:
    """How far channels move what they animate.

    Args:
        paths: of N channels.
        offsets: (N, V, 3) of shape keys, see :func:`offsets_of`; ``None`` of anything else.
        lips: vertices of the inner lips, where known.
    """
    step = np.array([_step_of(path) for path in paths])
    if offsets is None or not len(paths):
        return Reach(step)
    distance = np.sqrt(np.einsum("nvc,nvc->nv", offsets, offsets))
    furthest = distance.max(axis=1)
    known = furthest > 0.0
    step[known] = 1.0 / furthest[known]
    vertices = _checked_vertices(distance, lips)
    at_lips = np.isin(vertices, np.asarray(lips, np.int64))
    lip_step = None
    if at_lips.any():
        moved = distance[:, vertices[at_lips]].max(axis=1)
        lip_step = np.where(known, 1.0 / np.maximum(moved, 1e-9), step)
    return Reach(step, offsets[:, vertices], at_lips, lip_step)


def _step_of(path: str) -> float:
    name = path.rpartition(".")[2]
    return next((step for start, step in _STEPS if name.startswith(start)), _UNKNOWN)


def offsets_of(
    datablock: bpy.types.ID, paths: Sequence[str], more: Mapping[str, Float]
) -> Steps[Float | None]:
    """(N, V, 3) offsets of shape keys from what they are relative to; 0 where there is none.

    Args:
        datablock: of the channels; what are not shape keys has no offsets.
        paths: of N channels.
        more: (V, 3) offsets of shape keys that are still to be added, by path.

    Raises:
        ReferenceError: a shape key was removed or changed meanwhile.
    """
    if not isinstance(datablock, bpy.types.Key) or not paths:
        return None
    count = len(datablock.reference_key.points)
    points = np.empty(3 * count, np.float32)
    offsets = np.zeros((len(paths), 3 * count), np.float32)
    bases: dict[str, Float] = {}
    names = {key_path(block.name): block.name for block in datablock.key_blocks}
    for row, path in enumerate(paths):
        if path in more:
            offsets[row] = more[path].ravel()
        elif path in names:
            block = datablock.key_blocks.get(names[path])
            if block is None or len(block.points) != count:
                raise ReferenceError(f"the shape key {names[path]} was changed")
            basis = block.relative_key
            if basis.name not in bases:
                basis.points.foreach_get("co", points)
                bases[basis.name] = points.copy()
            block.points.foreach_get("co", points)
            np.subtract(points, bases[basis.name], out=offsets[row])
        yield None
    return offsets.reshape(len(paths), count, 3)


def _checked_vertices(distance: Float, lips: Sequence[int]) -> NDArray[np.int64]:
    """The vertices at which the channels are added up."""
    most = min(_FURTHEST, distance.shape[1])
    furthest = np.argpartition(distance, -most, axis=1)[:, -most:]
    moved = np.flatnonzero(distance.any(axis=0))
    spread = moved[:: max(1, len(moved) // _CHECKED)]
    return np.unique(np.concatenate([furthest.ravel(), spread, np.asarray(lips, np.int64)]))
