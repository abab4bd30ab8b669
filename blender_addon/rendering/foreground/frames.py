# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the foreground is rendered in a frame: as much as the avatars cover, or nothing.

Of one frame Blender renders the main scene, then the avatars, then the foreground. So the avatars'
own picture says where the foreground is needed, and the main scene's objects whether it is.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ..camera import ViewCamera, ViewLens
from ..properties import composite_of, main_scene_of
from ..rendered_heads import composited_layer
from .bounding_holdout import fit_holdout, holdout_corners
from .foreground_scene import holdout_of
from .occluders import Occluders

_occluders: dict[str, Occluders] = {}
"""Of the frame that is being rendered, by name of the main scene."""


@dataclass(frozen=True, eq=False)
class DrawnAvatars:
    """The avatars of a frame.

    Attributes:
        camera: they are seen by.
        lens: its depth of field, if any.
        covered: (H, W) whether a pixel shows anything of them; row 0 is the top.
        depths: planar metres of the nearest and of the farthest vertex of their heads.
    """

    camera: ViewCamera
    lens: ViewLens | None
    covered: NDArray[np.bool_]
    depths: tuple[float, float]


def begin_frame(scene: bpy.types.Scene) -> None:
    """Know nothing yet of a main scene's frame."""
    _occluders[scene.name] = Occluders()
    foreground = composite_of(scene).foreground_scene
    if foreground is not None:
        foreground.view_layers[0].use = True


def add_time(
    scene: bpy.types.Scene,
    depsgraph: bpy.types.Depsgraph,
    heads: Collection[bpy.types.Object],
) -> None:
    """See what of a main scene occludes its heads, at a time that its engine evaluates."""
    known = _occluders.get(scene.name)
    if known is not None and depsgraph.view_layer.name == composited_layer(scene).name:
        known.add_time(depsgraph, heads)


def use_foreground(
    avatar_scene: bpy.types.Scene, drawn: Sequence[DrawnAvatars | None]
) -> list[NDArray[np.bool_] | None]:
    """Have the foreground rendered where avatars are, or not at all.

    Args:
        avatar_scene: that was rendered.
        drawn: its avatars in each of the views; ``None`` where there are none, or they could not be
            drawn.

    Returns:
        For each view (H, W) where the foreground is used; ``None`` where it is nowhere.
    """
    scene = main_scene_of(avatar_scene)
    foreground = None if scene is None else composite_of(scene).foreground_scene
    nowhere: list[NDArray[np.bool_] | None] = [None] * len(drawn)
    if scene is None or foreground is None:
        return nowhere
    seen = [one for one in drawn if one is not None and one.covered.any()]
    known = _occluders.get(scene.name)
    # What stands before the avatars was searched from between the eyes.
    if not seen or (len(drawn) == 1 and known is not None and known.clear(scene.render)):
        foreground.view_layers[0].use = False
        return nowhere
    first = seen[0]
    corners = holdout_corners(first.camera, first.lens, _opening(seen, len(drawn)), first.depths)
    fit_holdout(holdout_of(foreground), corners)
    return [None if one is None else one.covered for one in drawn]


def _opening(seen: Sequence[DrawnAvatars], views: int) -> tuple[int, int, int, int]:
    """What the bounding holdout leaves open: of several views everything."""
    covered = seen[0].covered
    high, wide = covered.shape
    if views > 1:
        return -wide, -high, 2 * wide, 2 * high
    columns, rows = (np.flatnonzero(covered.any(axis)) for axis in (0, 1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
