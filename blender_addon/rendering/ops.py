# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that set up how avatars are rendered."""

from __future__ import annotations

import bpy

from ...engine.core.errors import GaussianSpeechError
from ..heads.properties import active_head
from ..status import report, report_error
from .avatar_scene import remove_composite, set_up_composite
from .engine import GaussianSpeechRenderEngine
from .portrait import add_portrait_camera


class GAUSSIANSPEECH_OT_render_avatars(bpy.types.Operator):
    """Render this scene with the GaussianSpeech engine: avatars alone."""

    bl_idname = "gaussianspeech.render_avatars"
    bl_label = "Render Avatars Alone"
    bl_description = (
        "Use the GaussianSpeech engine for this scene: F12 shows its avatars and nothing else"
    )
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Choose the engine."""
        context.scene.render.engine = GaussianSpeechRenderEngine.bl_idname
        report(self, context, "F12 renders this scene's avatars")
        return {"FINISHED"}


class GAUSSIANSPEECH_OT_set_up_composite(bpy.types.Operator):
    """Composite this scene's avatars over its own render, with correct occlusion both ways."""

    bl_idname = "gaussianspeech.set_up_composite"
    bl_label = "Set Up Composite"
    bl_description = (
        "Render the heads as avatars in a linked scene and composite them over this scene by "
        "depth. Call it again after heads were added or the view transform was changed"
    )
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Make the avatar scene and the nodes."""
        try:
            avatar_scene = set_up_composite(context.scene)
        except GaussianSpeechError as error:
            report_error(self, context, error)
            return {"CANCELLED"}
        report(
            self, context, f"F12 composites the avatars of '{avatar_scene.name}' over this scene"
        )
        return {"FINISHED"}


class GAUSSIANSPEECH_OT_remove_composite(bpy.types.Operator):
    """Remove the avatar scene and its compositor nodes; other nodes stay."""

    bl_idname = "gaussianspeech.remove_composite"
    bl_label = "Remove Composite"
    bl_description = "Remove the avatar scene and its compositor nodes; your own nodes stay"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Remove what the set-up made."""
        if not remove_composite(context.scene):
            error = GaussianSpeechError(
                f"'{context.scene.name}' has no composite.", "There is nothing to remove."
            )
            report_error(self, context, error)
            return {"CANCELLED"}
        report(self, context, "The avatar composite is removed")
        return {"FINISHED"}


class GAUSSIANSPEECH_OT_portrait_camera(bpy.types.Operator):
    """Put a camera before the head and look through it."""

    bl_idname = "gaussianspeech.portrait_camera"
    bl_label = "Portrait Camera"
    bl_description = "Put a camera before the head, make it the scene's, and look through it"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is a head to look at."""
        return active_head(context) is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        """Add the camera; the selection stays."""
        head = active_head(context)
        camera = add_portrait_camera(context.scene, head)
        if context.area is not None and context.area.type == "VIEW_3D":
            context.area.spaces.active.region_3d.view_perspective = "CAMERA"
        report(self, context, f"'{camera.name}' looks at '{head.name}'")
        return {"FINISHED"}


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_portrait_camera,
    GAUSSIANSPEECH_OT_render_avatars,
    GAUSSIANSPEECH_OT_set_up_composite,
    GAUSSIANSPEECH_OT_remove_composite,
)
