# SPDX-License-Identifier: GPL-3.0-or-later
"""Every difference between the Blender versions this add-on runs in, 4.2 to 5.2.

The rest of the add-on asks here instead of comparing versions. A section per area of Blender; the
compositor is in :mod:`.rendering.compositor_nodes`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np

# --- Build ---------------------------------------------------------------------------------------


def has_audio() -> bool:
    """Whether this Blender can load sounds (the PyPI module of 4.2 cannot)."""
    return bool(bpy.app.build_options.audaspace)


# --- Sequencer: "sequences" and frame_* before 5.0, "strips" and handles after --------------------


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose sequencer the user works in: from 5.0 it need not be the active scene."""
    return getattr(context, "sequencer_scene", None) or context.scene


def show_in_sequencer(context: bpy.types.Context, scene: bpy.types.Scene) -> None:
    """Make the sequencer editors show a scene where they show none, as new files do from 5.0."""
    workspace = context.workspace
    if getattr(workspace, "sequencer_scene", scene) is None:
        workspace.sequencer_scene = scene


def sequencer_scenes(context: bpy.types.Context) -> list[bpy.types.Scene]:
    """Every scene with a sequencer, the one the user works in first."""
    first = sequencer_scene(context)
    scenes = [first, *(scene for scene in bpy.data.scenes if scene != first)]
    return [scene for scene in scenes if scene.sequence_editor is not None]


def strips(editor: bpy.types.SequenceEditor) -> Any:
    """The top-level strips, to add to."""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def all_strips(editor: bpy.types.SequenceEditor) -> Any:
    """All strips, inside meta strips too."""
    return editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def strip_content_start(strip: Any) -> float:
    """Scene frame at which the strip's untrimmed content would begin."""
    return float(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def strip_content_length(strip: Any) -> float:
    """Frames of the strip's content after its own trim, before its handles."""
    if hasattr(strip, "content_duration"):
        return float(strip.content_duration)
    return float(strip.frame_duration)


def strip_trim_start(strip: Any) -> float:
    """Frames cut from the start of the content itself."""
    if hasattr(strip, "content_trim_start"):
        return float(strip.content_trim_start)
    return float(strip.animation_offset_start)


def strip_range(strip: Any) -> tuple[int, int]:
    """First scene frame at which the strip plays, and the one after the last.

    Inside a meta strip it plays no longer than that; hidden by it altogether, it ends before it
    begins, or where it does.
    """
    if hasattr(strip, "left_handle"):
        left, right = int(strip.left_handle), int(strip.right_handle)
    else:
        left, right = int(strip.frame_final_start), int(strip.frame_final_end)
    meta = strip.parent_meta()
    if meta is None:
        return left, right
    first, last = strip_range(meta)
    return max(left, first), min(right, last)


def new_text_strip(
    editor: bpy.types.SequenceEditor,
    name: str,
    text: str,
    channel: int,
    frames: tuple[int, int],
) -> Any:
    """A text strip over the frames [first, last)."""
    first, last = frames
    new = strips(editor).new_effect
    known = strips(editor).bl_rna.functions["new_effect"].parameters
    end = {"frame_end": last} if "frame_end" in known else {"length": last - first}
    strip = new(name=name, type="TEXT", channel=channel, frame_start=first, **end)
    strip.text = text
    return strip


def strip_positions(every: Any) -> tuple[bytes, bytes, bytes]:
    """Where strips lie, to see quickly whether one was moved, trimmed, added or removed."""
    count = len(every)
    new = count > 0 and hasattr(every[0], "left_handle")
    edges = ("left_handle", "right_handle") if new else ("frame_final_start", "frame_final_end")
    found = [np.empty(count, np.int32) for _ in edges] + [np.empty(count, np.float32)]
    for name, values in zip(
        (*edges, "content_start" if new else "frame_start"), found, strict=True
    ):
        every.foreach_get(name, values)
    first, last, content = (values.tobytes() for values in found)
    return first, last, content


def muted_strips_render() -> bool:
    """Whether strips that are muted make Blender render the sequencer instead of the 3D scene."""
    return bpy.app.version < (5, 0)


# --- Actions: channels hang on the action in 4.2, on a slot from 4.4 ------------------------------


def new_fcurve(
    action: bpy.types.Action,
    datablock: bpy.types.ID,
    data_path: str,
    index: int = 0,
    group: str = "",
) -> bpy.types.FCurve:
    """The channel of ``data_path`` in ``action``, made in a channel group where there is none.

    ``index`` chooses the component of a vector. The action need not be assigned to ``datablock``:
    its kind alone counts, and the first slot of the action, where there are slots.
    """
    curves = _curves_for(action, datablock)
    found = curves.find(data_path, index=index)
    if found is not None:
        return found
    if not hasattr(action, "layers"):
        return curves.new(data_path, index=index, action_group=group)
    if bpy.app.version >= (5, 0):
        return curves.new(data_path, index=index, group_name=group)
    curve = curves.new(data_path, index=index)
    if group:
        groups = _channelbag(action, datablock).groups
        curve.group = groups.get(group) or groups.new(group)
    return curve


def remove_empty_groups(action: bpy.types.Action) -> None:
    """Remove the channel groups of an action that have no channels."""
    owners: list[Any] = [action]
    if hasattr(action, "layers"):
        strips = [strip for layer in action.layers for strip in layer.strips]
        owners = [bag for strip in strips for bag in strip.channelbags]
    for owner in owners:
        for group in [group for group in owner.groups if not len(group.channels)]:
            owner.groups.remove(group)


def new_action(name: str, datablock: bpy.types.ID) -> bpy.types.Action:
    """An Action without channels for datablocks of a kind, assigned to none."""
    action = bpy.data.actions.new(name)
    _curves_for(action, datablock)
    return action


def _curves_for(action: bpy.types.Action, datablock: bpy.types.ID) -> Any:
    """The channels of an action that are about datablocks of this kind, to add to."""
    if not hasattr(action, "layers"):
        action.id_root = datablock.id_type
        return action.fcurves
    return _channelbag(action, datablock).fcurves


def _channelbag(action: bpy.types.Action, datablock: bpy.types.ID) -> Any:
    slot = action.slots[0] if action.slots else None
    slot = slot or action.slots.new(datablock.id_type, datablock.name)
    layer = action.layers[0] if action.layers else action.layers.new("Layer")
    strip = layer.strips[0] if layer.strips else layer.strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True)


def clear_fcurves(action: bpy.types.Action) -> None:
    """Remove all channels of an action; its slots stay."""
    if hasattr(action, "layers"):
        for layer in action.layers:
            for strip in layer.strips:
                for bag in strip.channelbags:
                    bag.fcurves.clear()
    else:
        action.fcurves.clear()


def fcurves(action: bpy.types.Action) -> list[bpy.types.FCurve]:
    """All channels of an action, of every slot."""
    if hasattr(action, "layers"):
        return [
            curve
            for layer in action.layers
            for strip in layer.strips
            for bag in strip.channelbags
            for curve in bag.fcurves
        ]
    return list(action.fcurves)


def fcurves_of(datablock: bpy.types.ID) -> list[bpy.types.FCurve]:
    """The channels of a datablock's own Action, of its slot where there are slots."""
    animation = datablock.animation_data
    if animation is None or animation.action is None:
        return []
    action = animation.action
    if not hasattr(action, "layers"):
        return list(action.fcurves)
    return _fcurves_of_slot(action, animation.action_slot)


def _fcurves_of_slot(action: bpy.types.Action, slot: Any) -> list[bpy.types.FCurve]:
    bags = [strip.channelbag(slot) for layer in action.layers for strip in layer.strips if slot]
    return [curve for bag in bags if bag is not None for curve in bag.fcurves]


# --- NLA: strips take the slot of their action where there are slots ------------------------------


def new_nla_strip(
    track: bpy.types.NlaTrack, name: str, action: bpy.types.Action
) -> bpy.types.NlaStrip:
    """A strip that plays ``action``, far behind every other of its track; move it at once."""
    last = max((strip.frame_end for strip in track.strips), default=0.0)
    strip = track.strips.new(name, int(last) + 2, action)
    if hasattr(strip, "action_slot") and action.slots:
        strip.action_slot = action.slots[0]
    return strip


def grouped_strips(strip: bpy.types.NlaStrip) -> Iterator[bpy.types.NlaStrip]:
    """A strip, or what a meta strip groups."""
    if strip.type != "META":
        yield strip
        return
    for inner in strip.strips:
        yield from grouped_strips(inner)


def set_strip_action(strip: bpy.types.NlaStrip, action: bpy.types.Action) -> None:
    """Let a strip play another action of the same kind, where and as it is."""
    strip.action = action
    if hasattr(strip, "action_slot") and action.slots:
        strip.action_slot = action.slots[0]


def strip_fcurves(strip: bpy.types.NlaStrip) -> list[bpy.types.FCurve]:
    """The channels that a strip plays: of its Action, those of its slot where there are slots."""
    action = strip.action
    if action is None or not hasattr(action, "layers"):
        return [] if action is None else list(action.fcurves)
    return _fcurves_of_slot(action, strip.action_slot)


def shape_keys_start_at_zero() -> bool:
    """Whether NLA layers add to a shape key from 0: in 5.0 they begin at 1, its default there."""
    return bpy.types.ShapeKey.bl_rna.properties["value"].default == 0.0


# --- Materials -----------------------------------------------------------------------------------


def shader_nodes(material: bpy.types.Material) -> Any:
    """The nodes of a material; before 5.0 they must be switched on."""
    if material.node_tree is None:
        material.use_nodes = True
    return material.node_tree.nodes


# --- Geometry nodes: the values of a modifier are its own properties before 5.2 -------------------


def set_geometry_input(modifier: bpy.types.Modifier, identifier: str, value: object) -> None:
    """Give an input of a geometry nodes modifier its value."""
    if hasattr(modifier, "properties"):
        getattr(modifier.properties.inputs, identifier).value = value
    else:
        modifier[identifier] = value


# --- Render --------------------------------------------------------------------------------------


def uses_nodes(datablock: bpy.types.World | bpy.types.Material) -> bool:
    """Whether a world or material is described by nodes; from 5.0 all are."""
    if bpy.app.version >= (5, 0):
        return datablock.node_tree is not None
    return datablock.use_nodes and datablock.node_tree is not None


# --- Properties -----------------------------------------------------------------------------------


def blend_relative() -> set[str]:
    """Options of a path property that may begin with ``//``; from 4.5 it must say so."""
    return {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5) else set()


OVERRIDABLE = {"LIBRARY_OVERRIDABLE"}
OVERRIDABLE_LIST = {"LIBRARY_OVERRIDABLE", "USE_INSERTION"}
"""Options of properties, and of collections, that a library override may change and keeps."""


def overridable(cls: type) -> type:
    """Let library overrides change and keep the properties of a group."""
    for base in cls.__mro__:
        known = vars(sys.modules[base.__module__]) if base.__module__ in sys.modules else {}
        for name, value in getattr(base, "__annotations__", {}).items():
            if isinstance(value, str) and "(" in value:
                # As Blender does when it registers the class.
                base.__annotations__[name] = eval(value, known)  # noqa: S307
            deferred = base.__annotations__[name]
            if hasattr(deferred, "keywords"):
                is_list = deferred.function == bpy.props.CollectionProperty
                deferred.keywords["override"] = OVERRIDABLE_LIST if is_list else OVERRIDABLE
    return cls
