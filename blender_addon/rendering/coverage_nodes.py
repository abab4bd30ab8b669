# SPDX-License-Identifier: GPL-3.0-or-later
"""Compositor nodes that put an avatar between what is before and what is behind it."""

from __future__ import annotations

from typing import Any

import bpy

from .relight_nodes import math, parts


def between(
    tree: Any,
    scene: bpy.types.NodeSocket,
    foreground: bpy.types.NodeSocket,
    avatar: bpy.types.NodeSocket,
    used: bpy.types.NodeSocket,
    matte: bpy.types.NodeSocket | None = None,
) -> bpy.types.NodeSocket:
    """Foreground over avatar over the rest of the scene.

    Of premultiplied pictures S, F and A that is F + (1 − αF)·A + (1 − αA)·(S − F): S is the mean of
    many rays, of which F has those that meet something before the avatar, and S − F the others.

    Args:
        tree: of the group.
        scene: all but the avatar.
        foreground: of the scene what occludes the avatar; its alpha is the coverage.
        avatar: whole.
        used: 1 where the foreground is used, 0 where there is no avatar, or nothing before it.
        matte: in a scene with holdouts, the part of each pixel in which mattes are reached: also
            what is held out before them hides the avatar, with no colour and no alpha of its own.
    """
    every, front, drawn = (parts(tree, socket) for socket in (scene, foreground, avatar))
    front = [math(tree, "MULTIPLY", part, used) for part in front]
    hidden = front[3]
    if matte is not None:
        held = math(tree, "MULTIPLY", math(tree, "SUBTRACT", 1.0, matte), used)
        hidden = math(tree, "MAXIMUM", hidden, held)
    free, clear = (math(tree, "SUBTRACT", 1.0, part) for part in (hidden, drawn[3]))
    result = tree.nodes.new("CompositorNodeCombineColor")
    for index, target in enumerate(result.inputs):
        behind = math(tree, "SUBTRACT", every[index], front[index])
        # Two renders of one thing differ by their noise.
        behind = math(tree, "MULTIPLY", math(tree, "MAXIMUM", behind, 0.0), clear)
        seen = math(tree, "MULTIPLY", drawn[index], free)
        tree.links.new(math(tree, "ADD", front[index], math(tree, "ADD", seen, behind)), target)
    return result.outputs["Image"]
