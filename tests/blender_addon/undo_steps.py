# SPDX-License-Identifier: GPL-3.0-or-later
"""What one step of undo brings back: all of the file that operators of this add-on change."""

from __future__ import annotations

KINDS = ("actions", "texts", "sounds", "objects", "meshes", "shape_keys", "armatures", "scenes")


def properties(owner):
    """All properties of a group, as far down as groups of ours go."""
    found = {}
    for prop in owner.bl_rna.properties:
        name = prop.identifier
        if name in ("rna_type", "task", "message"):
            continue
        value = getattr(owner, name)
        if prop.type == "COLLECTION":
            value = [properties(item) for item in value]
        elif prop.type == "POINTER":
            ours = value is not None and type(value).__name__.startswith("GAUSSIANSPEECH")
            value = properties(value) if ours else getattr(value, "name", None)
        elif getattr(prop, "is_array", False):
            value = tuple(value)
        found[name] = value
    return found


def state(blender):
    """All of the file that operators of this add-on change."""
    found = {kind: sorted(block.name for block in getattr(blender.data, kind)) for kind in KINDS}
    for obj in blender.data.objects:
        mine = found[obj.name] = {
            name: properties(getattr(obj, name))
            for name in ("gaussianspeech_speech", "gaussianspeech_character", "gaussianspeech_head")
        }
        mine["lines"] = [properties(line) for line in obj.gaussianspeech_lines]
        mine["constraints"] = [constraint.name for constraint in obj.constraints]
        mine["animated"] = [
            [
                (track.name, [(s.name, s.frame_start, s.frame_end, s.mute) for s in track.strips])
                for track in data.animation_data.nla_tracks
            ]
            for data in (obj, getattr(obj.data, "shape_keys", None))
            if data is not None and data.animation_data is not None
        ]
    editor = blender.context.scene.sequence_editor
    if editor is not None:
        every = editor.strips if hasattr(editor, "strips") else editor.sequences
        found["strips"] = [(strip.name, strip.channel, str(_first_frame(strip))) for strip in every]
    found["markers"] = [(m.name, m.frame) for m in blender.context.scene.timeline_markers]
    return found


def _first_frame(strip):
    return strip.left_handle if hasattr(strip, "left_handle") else strip.frame_final_start


def unused(blender):
    """Data that nothing uses and that would be lost, or pile up, at the next saving."""
    kinds = ("actions", "texts", "sounds", "meshes", "armatures")
    return [
        block.name
        for kind in kinds
        for block in getattr(blender.data, kind)
        if not block.users and not block.use_fake_user
    ]
