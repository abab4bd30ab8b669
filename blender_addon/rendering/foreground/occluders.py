# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether anything of a scene may occlude its avatars; else no foreground is rendered.

Asked at each time that the main scene's engine evaluates: a triangle does not occlude if its
corners lie beyond one side of the volume between the lens and the heads at all of these times. That
side is convex also with depth of field, so corners are enough. Whatever is not a mesh counts with
its bounds, and what has no bounds, as fog, always occludes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ....engine.core.arrays import Double
from ... import compat
from ..camera import ViewCamera, ViewLens, camera_view, lens_at
from ..shutter import shutter_of
from .bounding_holdout import BEHIND

_MARGIN = 0.25
"""Of the heads' extent in the picture, on each side: for hair, and for what they move."""
_MOST_OBJECTS, _MOST_TRIANGLES = 2000, 4_000_000
"""More are not searched: that would take longer than it saves."""


@dataclass(eq=False)
class Occluders:
    """What was found of one frame.

    Attributes:
        times: frames at which the scene was looked at.
        sides: by object or instance, the sides beyond which each of its triangles lies, as bits.
        extent: (4,) that of the heads at the first time: least and greatest slope along x and y.
        certain: whether there is an occluder that no bounds rule out.
    """

    times: list[float] = field(default_factory=list)
    sides: dict[Any, NDArray[np.uint8]] = field(default_factory=dict)
    extent: Double | None = None
    certain: bool = False

    def add_time(self, depsgraph: bpy.types.Depsgraph, heads: Collection[bpy.types.Object]) -> None:
        """Look at the scene as a depsgraph has it now.

        Args:
            depsgraph: of the main scene's render.
            heads: with avatars.
        """
        scene = depsgraph.scene
        self.times.append(scene.frame_current + scene.frame_subframe)
        if self.certain:
            return
        try:
            self._add_time(depsgraph, heads)
        except _MayOccludeError:
            self.certain = True

    def clear(self, render: Any) -> bool:
        """Whether nothing occludes the avatars while the shutter is open."""
        if not self.times or self.certain:
            return False
        shutter = shutter_of(render)
        if shutter is not None and max(self.times) - min(self.times) < 0.99 * (
            shutter[1] - shutter[0]
        ):
            return False  # Who knows what the engine renders between.
        return not any((sides == 0).any() for sides in self.sides.values())

    def _add_time(
        self, depsgraph: bpy.types.Depsgraph, heads: Collection[bpy.types.Object]
    ) -> None:
        scene = depsgraph.scene
        camera = scene.camera.evaluated_get(depsgraph)
        if camera.data.type not in {"PERSP", "ORTHO"} or _has_fog(scene.world):
            raise _MayOccludeError
        view = camera_view(camera.matrix_world, camera.data, scene.render)
        drawn, others = _split(depsgraph, heads)
        if not drawn:
            return
        volume = _ViewVolume.before(np.concatenate(drawn), view, lens_at(camera, depsgraph))
        self._keep_extent(volume.extent)
        left = _MOST_TRIANGLES
        for key, matrix, obj in others:
            corners = _light_bounds(obj) if obj.type == "LIGHT" else np.array(obj.bound_box)
            sides = volume.sides(corners @ matrix[:3, :3].T + matrix[:3, 3], np.arange(8)[None])
            if sides[0] == 0 and obj.type == "MESH":
                points, triangles = _triangles(obj.data)
                left -= len(triangles)
                if left < 0:
                    raise _MayOccludeError
                sides = volume.sides(points @ matrix[:3, :3].T + matrix[:3, 3], triangles)
            self._keep_sides(key, sides)

    def _keep_extent(self, extent: Double) -> None:
        """Refuse heads that move out of the volume that was searched."""
        if self.extent is None:
            self.extent = extent
        reach = _MARGIN * (self.extent[1::2] - self.extent[::2]).repeat(2)
        if (np.abs(extent - self.extent) > reach).any():
            raise _MayOccludeError

    def _keep_sides(self, key: Any, sides: NDArray[np.uint8]) -> None:
        """Keep the sides beyond which triangles have been at all times."""
        before = self.sides.get(key)
        if before is None:
            if len(self.times) > 1:  # It has come while the shutter was open.
                raise _MayOccludeError
            before = sides
        if before.shape != sides.shape and 1 not in (len(before), len(sides)):
            raise _MayOccludeError  # Other triangles than before.
        self.sides[key] = before & sides


class _MayOccludeError(Exception):
    """Something whose bounds are unknown."""


@dataclass(frozen=True, eq=False)
class _ViewVolume:
    """What lies between the lens and the heads.

    Attributes:
        view: of the camera.
        lens: its depth of field, if any.
        extent: (4,) slopes, or metres without perspective: of the heads.
        far: planar metres.
    """

    view: ViewCamera
    lens: ViewLens | None
    extent: Double
    far: float

    @classmethod
    def before(cls, points: Double, view: ViewCamera, lens: ViewLens | None) -> _ViewVolume:
        """The volume before points of the heads, in world space."""
        local = points @ view.viewmat[:3, :3].T + view.viewmat[:3, 3]
        depth = np.ones(len(local)) if view.orthographic else np.maximum(local[:, 2], view.near)
        blur = 0.0
        if lens is not None:
            blur = max(lens.blur(1.0, float(end)) for end in (depth.min(), depth.max()))
        x, y = local[:, 0] / depth, local[:, 1] / depth
        extent = np.array([x.min() - blur, x.max() + blur, y.min() - blur, y.max() + blur])
        return cls(view, lens, extent, float(local[:, 2].max()) + BEHIND)

    def sides(self, points: Double, corners: NDArray[Any]) -> NDArray[np.uint8]:
        """(T,) bits: beyond which sides all corners of a thing lie; 0 where it may be within.

        Args:
            points: (P, 3) world space.
            corners: (T, C) indices of each thing's corners.
        """
        local = points @ self.view.viewmat[:3, :3].T + self.view.viewmat[:3, 3]
        x, y, z = local.T
        away = np.ones(len(z)) if self.view.orthographic else z
        spread = np.zeros(len(z))
        if self.lens is not None:
            # A ray from the lens's edge is off by this, as a share of the depth's slope.
            spread = self.lens.radius * np.abs(z / self.lens.focus - 1)
        size = _MARGIN * (self.extent[1::2] - self.extent[::2])
        low, high = self.extent[::2] - size, self.extent[1::2] + size
        beyond = (
            x + spread < low[0] * away, x - spread > high[0] * away,
            y + spread < low[1] * away, y - spread > high[1] * away,
            z < self.view.near, z > self.far,
        )  # fmt: skip
        bits = sum(side.astype(np.uint8) << index for index, side in enumerate(beyond))
        return np.bitwise_and.reduce(bits[corners], axis=1)


def _split(
    depsgraph: bpy.types.Depsgraph, heads: Collection[bpy.types.Object]
) -> tuple[list[Double], list[tuple[Any, Double, bpy.types.Object]]]:
    """Points of the heads, and what else the camera may see: key, matrix and object."""
    drawn: list[Double] = []
    others = []
    for instance in depsgraph.object_instances:
        obj = instance.object
        matrix = np.array(instance.matrix_world, np.float64)
        if obj.original in heads:
            points = _points(obj.data)
            drawn.append(points @ matrix[:3, :3].T + matrix[:3, 3])
        elif obj.type not in _UNSEEN and instance.show_self and obj.visible_camera:
            if any(_displaces(slot.material) for slot in obj.material_slots):
                raise _MayOccludeError
            parent = instance.parent.name if instance.is_instance else ""
            key = obj.name, parent, tuple(instance.persistent_id) if parent else ()
            others.append((key, matrix, obj))
            if len(others) > _MOST_OBJECTS:
                raise _MayOccludeError
        if any(
            modifier.type == "PARTICLE_SYSTEM"
            and modifier.particle_system.settings.render_type == "PATH"
            for modifier in obj.modifiers
        ):
            raise _MayOccludeError
    return drawn, others


_UNSEEN = {"EMPTY", "CAMERA", "ARMATURE", "LATTICE", "SPEAKER", "LIGHT_PROBE"}


def _light_bounds(obj: bpy.types.Object) -> Double:
    """A lamp with a size is seen by the camera."""
    light = obj.data
    size = max(float(getattr(light, name, 0.0)) for name in ("shadow_soft_size", "size", "size_y"))
    return size * np.array(np.meshgrid(*[[-1.0, 1.0]] * 3)).reshape(3, 8).T


def _triangles(mesh: bpy.types.Mesh) -> tuple[Double, NDArray[np.int32]]:
    """Corners of a mesh, and the triangles' indices of them."""
    mesh.calc_loop_triangles()
    triangles = np.empty(3 * len(mesh.loop_triangles), np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles)
    return _points(mesh), triangles.reshape(-1, 3)


def _points(mesh: bpy.types.Mesh) -> Double:
    flat = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", flat)
    return flat.reshape(-1, 3).astype(np.float64)


def _displaces(material: bpy.types.Material | None) -> bool:
    if material is None or material.displacement_method == "BUMP":
        return False
    if not compat.uses_nodes(material):
        return False
    outputs = [node for node in material.node_tree.nodes if node.type == "OUTPUT_MATERIAL"]
    return any(node.inputs["Displacement"].is_linked for node in outputs)


def _has_fog(world: bpy.types.World | None) -> bool:
    if world is None or not compat.uses_nodes(world):
        return False
    outputs = [node for node in world.node_tree.nodes if node.type == "OUTPUT_WORLD"]
    return any(node.inputs["Volume"].is_linked for node in outputs)
