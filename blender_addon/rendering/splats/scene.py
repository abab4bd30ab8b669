# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatars of a scene on the GPU, kept as long as their meshes stay as they are."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..instances import AvatarInstance, visible_avatars
from .arrays import load_arrays, topology_sha256
from .renderer import GpuAvatar, Subject, expression_of

Float = NDArray[np.float32]


class SceneAvatars:
    """What the viewports draw; used on Blender's main thread, where there is a GPU context."""

    def __init__(self) -> None:
        self._changed = True
        self._found: dict[Any, list[tuple[AvatarInstance, bpy.types.Object]]] = {}
        self._avatars: dict[tuple[str, str, str], GpuAvatar] = {}
        self._topology: dict[int, tuple[int, str, NDArray[np.int32]]] = {}
        self._subjects: dict[Any, tuple[AvatarInstance, Subject]] = {}

    def changed(self) -> None:
        """Something of the file has changed: look again before the next picture."""
        self._changed = True

    def clear(self) -> None:
        """Free everything."""
        self.__init__()  # type: ignore[misc]

    def subjects(
        self, depsgraph: bpy.types.Depsgraph, space: Any, *, all_heads: bool
    ) -> list[Subject]:
        """What one viewport shows.

        Args:
            depsgraph: the viewport's.
            space: of the viewport, for its local view.
            all_heads: also heads that are not shown over other engines' viewports.

        Raises:
            GaussianSpeechError: an avatar cannot be read, or does not fit its mesh.
        """
        if self._changed:
            self._changed = False
            self._found.clear()
        key = (depsgraph.scene.name_full, depsgraph.view_layer.name)
        if key not in self._found:
            self._found[key] = self._look(depsgraph)
        return [
            self._subject((*key, index), instance, obj)
            for index, (instance, obj) in enumerate(self._found[key])
            if (all_heads or obj.gaussianspeech_avatar.in_viewport)
            and obj.visible_in_viewport_get(space)
        ]

    def _look(
        self, depsgraph: bpy.types.Depsgraph
    ) -> list[tuple[AvatarInstance, bpy.types.Object]]:
        return [
            (instance, bpy.data.objects[instance.name]) for instance in visible_avatars(depsgraph)
        ]

    def _subject(self, key: Any, instance: AvatarInstance, obj: bpy.types.Object) -> Subject:
        known = self._subjects.get(key)
        if known is not None and _same(known[0], instance):
            return known[1]
        arrays = load_arrays(instance.avatar)
        digest, faces = self._triangles(obj)
        place = (instance.avatar, digest, arrays.faces_sha256 + str(id(arrays)))
        if place not in self._avatars:
            self._avatars[place] = GpuAvatar(arrays, faces)
        linear = instance.matrix[:3, :3]
        vertices = instance.vertices @ linear.T + instance.matrix[:3, 3]
        subject = Subject(
            self._avatars[place],
            vertices.astype(np.float32),
            np.linalg.inv(linear).astype(np.float32),
            expression_of(arrays.color, instance.keys, _expressions(obj)),
        )
        self._subjects[key] = instance, subject
        return subject

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
