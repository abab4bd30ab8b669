# SPDX-License-Identifier: GPL-3.0-or-later
"""The Render section of the add-on's tab."""

from __future__ import annotations

import bpy

from ..panels.section import Section
from ..text import draw_wrapped
from . import overlay
from .compositor import built_view
from .engine import GaussianSpeechRenderEngine
from .ops import (
    GAUSSIANSPEECH_OT_portrait_camera,
    GAUSSIANSPEECH_OT_remove_composite,
    GAUSSIANSPEECH_OT_render_avatars,
    GAUSSIANSPEECH_OT_set_up_composite,
)
from .pass_times import cost
from .properties import composite_of
from .viewport_render import GAUSSIANSPEECH_OT_viewport_render


class GAUSSIANSPEECH_PT_render(Section, bpy.types.Panel):
    """How avatars are rendered."""

    bl_idname = "GAUSSIANSPEECH_PT_render"
    bl_label = "Render"
    bl_order = 40

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the two ways to render and what is set up."""
        scene, column = context.scene, self.layout.column()
        if overlay.failure():
            draw_wrapped(column, context, overlay.failure(), icon="ERROR")
        column.operator(
            GAUSSIANSPEECH_OT_portrait_camera.bl_idname, text="Portrait Camera", icon="CAMERA_DATA"
        )
        pair = column.column(align=True)
        operator = GAUSSIANSPEECH_OT_viewport_render.bl_idname
        for text, icon, animation in (
            ("Viewport Image", "RENDER_STILL", False),
            ("Viewport Animation", "RENDER_ANIMATION", True),
        ):
            pair.operator(operator, text=text, icon=icon).animation = animation
        if scene.render.engine == GaussianSpeechRenderEngine.bl_idname:
            draw_wrapped(column, context, "F12 renders the avatars alone", icon="RENDER_STILL")
            column.prop(scene.render, "film_transparent")
            column.prop(scene.render, "engine", text="")
            return
        view = built_view(scene)
        if view is None:
            column.operator(GAUSSIANSPEECH_OT_set_up_composite.bl_idname, icon="NODE_COMPOSITING")
            column.operator(GAUSSIANSPEECH_OT_render_avatars.bl_idname, icon="RENDER_STILL")
            return
        composite = composite_of(scene)
        avatar_scene = composite.avatar_scene
        if avatar_scene is not None:
            text = f"Composited from '{avatar_scene.name}'"
            draw_wrapped(column, context, text, icon="CHECKMARK")
        if view != scene.view_settings.view_transform:
            text = f"Colours are kept for {view}: set up again"
            draw_wrapped(column, context, text, icon="ERROR")
        column.prop(composite, "occlusion")
        if taken := cost(scene, composite.foreground_scene):
            draw_wrapped(column, context, f"Coverage: {taken}", icon="TIME")
        column.prop(composite, "write_layers")
        if composite.write_layers:
            column.prop(composite, "layers_path", text="")
            if composite.layers_path.startswith("//") and not bpy.data.filepath:
                text = "Save the .blend first: // is its folder"
                draw_wrapped(column, context, text, icon="ERROR")
        column.operator(
            GAUSSIANSPEECH_OT_set_up_composite.bl_idname, text="Set Up Again", icon="FILE_REFRESH"
        )
        column.operator(GAUSSIANSPEECH_OT_remove_composite.bl_idname, icon="X")


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PT_render,)
