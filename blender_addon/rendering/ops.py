# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that set up how avatars are rendered."""

from __future__ import annotations

import bpy

from ..heads.properties import active_head
from ..status import ReportMixin
from .avatar_scene import remove_composite, set_up_composite
from .compositor import built_view
from .engine import GaussianSpeechRenderEngine
from .portrait import add_portrait_camera
from .properties import composite_of


class GAUSSIANSPEECH_OT_render_avatars(ReportMixin, bpy.types.Operator):
    """Render this scene with the GaussianSpeech engine: avatars alone."""

    bl_idname = "gaussianspeech.render_avatars"
    bl_label = "Render Avatars Alone"
    bl_description = (
        "Use the GaussianSpeech engine for this scene: F12 shows its avatars and nothing else"
    )
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: bpy.types.Context) -> str:
        """Choose the engine."""
        context.scene.render.engine = GaussianSpeechRenderEngine.bl_idname
        return "F12 renders this scene's avatars"


class GAUSSIANSPEECH_OT_set_up_composite(ReportMixin, bpy.types.Operator):
    """Composite this scene's avatars over its own render, with correct occlusion both ways."""

    bl_idname = "gaussianspeech.set_up_composite"
    bl_label = "Set Up Composite"
    bl_description = (
        "Render the heads as avatars in a linked scene and composite them over this scene by "
        "depth. Heads and view transform may be changed later"
    )
    bl_options = {"REGISTER", "UNDO"}

    def run(self, context: bpy.types.Context) -> str:
        """Make the avatar scene and the nodes."""
        avatar_scene = set_up_composite(context.scene)
        return f"F12 composites the avatars of '{avatar_scene.name}' over this scene"


class GAUSSIANSPEECH_OT_remove_composite(ReportMixin, bpy.types.Operator):
    """Remove the avatar scene and its compositor nodes; other nodes stay."""

    bl_idname = "gaussianspeech.remove_composite"
    bl_label = "Remove Composite"
    bl_description = "Remove the avatar scene and its compositor nodes; your own nodes stay"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is one."""
        cls.poll_message_set("This scene has no composite of avatars")
        scene = context.scene
        return built_view(scene) is not None or composite_of(scene).avatar_scene is not None

    def run(self, context: bpy.types.Context) -> str:
        """Remove what the set-up made."""
        remove_composite(context.scene)
        return "The avatar composite is removed"


class GAUSSIANSPEECH_OT_portrait_camera(ReportMixin, bpy.types.Operator):
    """Add a camera in front of the head and view through it."""

    bl_idname = "gaussianspeech.portrait_camera"
    bl_label = "Add Portrait Camera"
    bl_description = "Add a camera in front of the head, make it active, and view through it"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        """There is a head."""
        cls.poll_message_set("Select a head")
        return active_head(context) is not None

    def run(self, context: bpy.types.Context) -> str:
        """Add the camera; the selection stays."""
        head = active_head(context)
        camera = add_portrait_camera(context.scene, head)
        if context.area is not None and context.area.type == "VIEW_3D":
            context.area.spaces.active.region_3d.view_perspective = "CAMERA"
        return f"Added '{camera.name}' in front of '{head.name}'"


CLASSES: tuple[type, ...] = (
    GAUSSIANSPEECH_OT_portrait_camera,
    GAUSSIANSPEECH_OT_render_avatars,
    GAUSSIANSPEECH_OT_set_up_composite,
    GAUSSIANSPEECH_OT_remove_composite,
)
