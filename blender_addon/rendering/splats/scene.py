# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatars of a scene on the GPU, kept as long as their meshes stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ....engine.core.errors import BadInputError, one_line
from ..instances import AvatarInstance, visible_avatars
from .arrays import AvatarArrays, load_arrays, topology_sha256
from .renderer import GpuAvatar, Subject, expression_of


class SceneAvatars:
    """What the viewports draw; used on Blender's main thread, where there is a GPU context."""

    def __init__(self) -> None:
        self._changed = True
        self._found: dict[Any, list[AvatarInstance]] = {}
        self._avatars: dict[tuple[str, AvatarArrays], GpuAvatar] = {}
        self._topology: dict[int, tuple[int, str, NDArray[np.int32]]] = {}
        self._subjects: dict[Any, tuple[AvatarInstance, Subject]] = {}

    def changed(self) -> None:
        """Something of the file has changed: look again before the next picture."""
        self._changed = True

    def clear(self) -> None:
        """Free everything; another file may give other meshes the same addresses."""
        self.__init__()  # type: ignore[misc]

    def subjects(
        self, depsgraph: bpy.types.Depsgraph, space: Any, *, all_heads: bool
    ) -> tuple[list[Subject], str]:
        """What one viewport shows, and why an avatar is missing in it; empty where none is.

        Args:
            depsgraph: the viewport's.
            space: of the viewport, for its local view.
            all_heads: also heads that are not shown over other engines' viewports.

        Raises:
            BadInputError: a mesh has other than its head's vertices.
        """
        if self._changed:
            self._changed = False
            self._found.clear()
        key = (depsgraph.scene.name_full, depsgraph.view_layer.name)
        if key not in self._found:
            self._found[key] = visible_avatars(depsgraph)
            self._forget(key, len(self._found[key]))
        shown = [
            instance
            if (all_heads or instance.obj.gaussianspeech_avatar.in_viewport)
            and instance.obj.visible_in_viewport_get(space)
            else None
            for instance in self._found[key]
        ]
        return self._drawable(key, shown)

    def _drawable(
        self, layer: Any, instances: Sequence[AvatarInstance | None]
    ) -> tuple[list[Subject], str]:
        """Those of a view layer's heads that can be drawn, and why one cannot."""
        subjects, missing = [], ""
        for index, instance in enumerate(instances):
            if instance is None:
                continue
            try:
                subjects.append(self.subject((layer, index), instance))
            except BadInputError as error:
                missing = f"'{instance.name}': {one_line(error)}"
        return subjects, missing

    def subject(self, key: Any, instance: AvatarInstance) -> Subject:
        """An avatar on the GPU where its mesh is now.

        Args:
            key: of where it is kept until the mesh changes.
            instance: the head.

        Raises:
            BadInputError: the avatar cannot be read, or does not fit the mesh.
        """
        known = self._subjects.get(key)
        if known is not None and _same(known[0], instance):
            return known[1]
        arrays = load_arrays(instance.avatar)
        digest, faces = self._triangles(instance.obj)
        if (digest, arrays) not in self._avatars:
            self._avatars[digest, arrays] = GpuAvatar(arrays, faces)
        linear = instance.matrix[:3, :3]
        vertices = instance.vertices @ linear.T + instance.matrix[:3, 3]
        subject = Subject(
            self._avatars[digest, arrays],
            vertices.astype(np.float32),
            np.linalg.inv(linear).astype(np.float32),
            expression_of(arrays.color, instance.keys, _expressions(instance.obj)),
        )
        self._subjects[key] = instance, subject
        return subject

    def _forget(self, layer: Any, count: int) -> None:
        """Free what a view layer with so many heads, and nobody else, shows any more."""
        for key in [key for key in self._subjects if key[0] == layer and key[1] >= count]:
            del self._subjects[key]
        used = {id(subject.avatar) for _, subject in self._subjects.values()}
        for place in [place for place, avatar in self._avatars.items() if id(avatar) not in used]:
            del self._avatars[place]

    def _triangles(self, obj: bpy.types.Object) -> tuple[str, NDArray[np.int32]]:
        """Digest and (F, 3) triangles of a head's mesh, which nobody changes unnoticed."""
        mesh = obj.data
        known = self._topology.get(mesh.as_pointer())
        if known is None or known[0] != len(mesh.loops):
            corners = np.empty(len(mesh.loops), np.int32)
            mesh.loops.foreach_get("vertex_index", corners)
            faces = corners[: len(corners) // 3 * 3].reshape(-1, 3)
            known = (len(mesh.loops), topology_sha256(faces), faces)
            self._topology[mesh.as_pointer()] = known
        return known[1:]


def _expressions(obj: bpy.types.Object) -> list[str]:
    """The head's expressions; of a head of 0.1.0, which kept no names, the first keys are."""
    if names := obj.gaussianspeech_head.expressions:
        return names.split("\n")
    keys = obj.data.shape_keys
    return [block.name for block in keys.key_blocks if block != keys.reference_key] if keys else []


def _same(one: AvatarInstance, other: AvatarInstance) -> bool:
    if one is other:
        return True
    return (
        one.avatar == other.avatar
        and np.array_equal(one.matrix, other.matrix)
        and np.array_equal(one.vertices, other.vertices)
        and one.keys == other.keys
    )
