# SPDX-License-Identifier: GPL-3.0-or-later
"""The light of the studio on the head, by which an avatar's colours are divided to relight it.

Captures and avatars that are trained on them keep it; ``python -m training.synthetic.light AVATAR``
writes it into an avatar of the default head that was trained on a synthetic capture before.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import bpy
import numpy as np
import torch
import tyro

from engine.avatar import load_avatar, save_avatar
from engine.avatar.avatar_file import avatar_path
from engine.core.arrays import Float
from engine.heads import load_head
from engine.heads.axes import head_to_blender
from engine.heads.head import Head
from training.synthetic.person.studio import light_studio, prepare_rendering

_POSES: tuple[dict[str, float], ...] = ({}, {"jawOpen": 0.5})
"""Faces that are lit; a vertex keeps its brightest, as the teeth were seen in an open mouth."""
_ALBEDO = 0.6
"""Of the surface that reflects light on the rest of the head: about that of skin."""


def studio_light(head: Head, samples: int = 256, threads: int | None = None) -> Float:
    """The light of a synthetic capture on the head at rest, with its own shadows.

    Builds the studio in an empty Blender file.

    Args:
        head: an ARKit head.
        samples: of Cycles at a vertex.
        threads: of Cycles; all processors by default.

    Returns:
        (V, 3) float32 scene-linear radiance of a white diffuse surface.
    """
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene: Any = bpy.context.scene
    light_studio(scene)
    prepare_rendering(scene, samples)
    if threads is not None:
        scene.render.threads_mode, scene.render.threads = "FIXED", threads
    brightest: Float = np.max([_baked(scene, head, pose) for pose in _POSES], axis=0)
    return brightest


def _baked(scene: Any, head: Head, pose: dict[str, float]) -> Float:
    expression = np.zeros(len(head.expression_names), np.float32)
    for name, value in pose.items():
        expression[head.expression_index(name)] = value
    mesh = bpy.data.meshes.new("head")
    vertices = head_to_blender(head.deform(expression))
    mesh.from_pydata(vertices.tolist(), [], head.faces.tolist())
    mesh.polygons.foreach_set("use_smooth", np.ones(len(mesh.polygons), bool))
    material = bpy.data.materials.new("neutral")
    if material.node_tree is None:
        material.use_nodes = True
    tree: Any = material.node_tree
    tree.nodes.clear()
    diffuse, output = (
        tree.nodes.new(f"ShaderNode{kind}") for kind in ("BsdfDiffuse", "OutputMaterial")
    )
    diffuse.inputs["Color"].default_value = (_ALBEDO, _ALBEDO, _ALBEDO, 1)
    tree.links.new(diffuse.outputs[0], output.inputs["Surface"])
    mesh.materials.append(material)
    layer: Any = mesh.color_attributes.new("light", "FLOAT_COLOR", "POINT")
    mesh.color_attributes.active_color = layer
    item = bpy.data.objects.new("head", mesh)
    scene.collection.objects.link(item)
    bpy.context.view_layer.objects.active = item
    item.select_set(True)
    scene.render.bake.target = "VERTEX_COLORS"
    scene.render.bake.use_pass_direct = scene.render.bake.use_pass_indirect = True
    scene.render.bake.use_pass_color = False
    bpy.ops.object.bake(type="DIFFUSE", target="VERTEX_COLORS", pass_filter={"DIRECT", "INDIRECT"})
    colors = np.empty(4 * head.vertex_count, np.float32)
    mesh.color_attributes["light"].data.foreach_get("color", colors)
    bpy.data.objects.remove(item)
    return np.ascontiguousarray(colors.reshape(-1, 4)[:, :3])


def add_light(avatar: Annotated[str, tyro.conf.Positional], out: Path | None = None) -> None:
    """Write the studio's light into an avatar of the default head.

    Args:
        avatar: AVATAR: ``default`` or a file.
        out: another file to write; the avatar's own by default.
    """
    head = load_head("default")
    loaded = load_avatar(avatar, head)
    light = torch.from_numpy(studio_light(head))
    lit = replace(loaded, light=light)
    path = out or avatar_path(avatar)
    save_avatar(lit, path, half=avatar == "default")
    print(f"{path}: mean light {light.mean().item():.3f}")


if __name__ == "__main__":
    tyro.cli(add_light)
