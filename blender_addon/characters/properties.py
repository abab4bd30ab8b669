# SPDX-License-Identifier: GPL-3.0-or-later
"""What an object knows of the character it belongs to, and who speaks: a head or a character."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import bpy

from ...engine.core.errors import BadInputError
from ...engine.motion.characters.blender_bones import owner_of
from ...engine.motion.characters.bones import (
    CHANNELS,
    HEAD,
    HEAD_CHANNEL,
    REST,
    BoneMapping,
    BoneRow,
    mapping_of_bones,
    property_of,
)
from ...engine.motion.characters.conventions import Row
from ...engine.motion.characters.mapping import CharacterMapping, mapping_of_rows
from ...engine.motion.characters.poses import pose_names
from .. import compat
from ..heads.properties import check_vertex_count, head_of_rig, is_head, rig_of

BEFORE_USE: list[Callable[[], None]] = []
"""What is done before somebody speaks; see :mod:`..speech.copies`."""

CONTROLS = ("EMPTY", "CURVE", "SURFACE", "FONT", "LATTICE")
"""Objects beside armatures whose transforms and custom properties drive faces."""
_KINDS = ("MESH", "ARMATURE", *CONTROLS)
_KEY, _PROPERTY = "KEY", "PROPERTY"
_FACE_WORDS = ("jaw", "lip", "mouth", "oris0")
"""Parts of the names of bones that make a face of a rig."""


def _identifier(channel: str) -> str:
    return channel.upper().replace(" ", "_")


_CHANNELS = (
    (_KEY, "Shape Key", "Value of a shape key"),
    *((_identifier(name), name.title(), f"{name.capitalize()} of the bone") for name in CHANNELS),
    (_PROPERTY, "Property", "A custom property of the bone"),
    (_identifier(HEAD_CHANNEL), "Head Motion", "Turns with the head, by its share of the turn"),
)
_OF_IDENTIFIER = {_identifier(name): name for name in (*CHANNELS, HEAD_CHANNEL)}


def _poses(self: Any, _context: bpy.types.Context, text: str) -> list[str]:
    names = [HEAD] if self.channel == _identifier(HEAD_CHANNEL) else pose_names()
    if self.id_data.type in CONTROLS:
        names = [*names, REST]
    return [name for name in names if text.lower() in name.lower()]


def _properties(self: Any, _context: bpy.types.Context, text: str) -> Iterator[str]:
    owner = owner_of(self.id_data, self.name)
    data = self.id_data.data if owner == self.id_data else None
    for place in (owner, data):
        for name in place.keys() if place is not None else ():
            if text.lower() in name.lower() and isinstance(place[name], bool | int | float):
                yield name


def _on_channel(self: Any, _context: bpy.types.Context) -> None:
    """What a bone that turns with the head shows goes without saying."""
    if self.channel == _identifier(HEAD_CHANNEL):
        self.pose = HEAD
    elif self.pose == HEAD:
        self.pose = "jawOpen"


def _angle(self: Any) -> float:
    return float(self.value)


def _set_angle(self: Any, value: float) -> None:
    self.value = value


@compat.overridable
class GAUSSIANSPEECH_PG_mapping_row(bpy.types.PropertyGroup):
    """One shape key, or channel of a bone, and what it stands for; ``name`` is key's or bone's."""

    channel: bpy.props.EnumProperty(
        name="Channel", description="What of the bone moves", items=_CHANNELS, update=_on_channel
    )
    property_name: bpy.props.StringProperty(
        name="Property",
        description="The custom property of the bone; without a bone, of the object or its data",
        search=_properties,
    )
    pose: bpy.props.StringProperty(
        name="Shows",
        description="The ARKit expression or the viseme that this shows",
        search=_poses,
    )
    amount: bpy.props.FloatProperty(
        name="At",
        description="Value of the shape key at which it shows that",
        default=1.0,
        min=0.05,
        max=10.0,
    )
    value: bpy.props.FloatProperty(
        name="At", description="Value of the channel at which it shows that", precision=4
    )
    angle: bpy.props.FloatProperty(
        name="At",
        description="Angle about the bone's axis at which it shows that",
        subtype="ANGLE",
        get=_angle,
        set=_set_angle,
    )

    @property
    def short(self) -> str:
        """The channel in a few letters, as "Rot X"."""
        if self.is_property:
            return self.property_name
        kind, _, axis = self.channel.partition("_")
        return "Head" if self.pose == HEAD else f"{kind[:3].title()} {axis}"

    @property
    def is_angle(self) -> bool:
        """Whether the value is an angle."""
        return self.channel.startswith("ROTATION_")

    @property
    def is_property(self) -> bool:
        """Whether the channel is a custom property of the bone."""
        return self.channel == _PROPERTY

    def read(self) -> Row | BoneRow:
        """The row as the engine has it."""
        if self.channel == _KEY:
            return Row(self.name, self.pose, self.amount)
        channel = (
            f"property {self.property_name}" if self.is_property else _OF_IDENTIFIER[self.channel]
        )
        return BoneRow(self.name, channel, self.pose, self.value)

    def write(self, row: Row | BoneRow) -> None:
        """Take over a row."""
        if isinstance(row, Row):
            self.channel = _KEY
            self.name, self.pose, self.amount = row
            return
        name = property_of(row.channel)
        self.channel = _PROPERTY if name else _identifier(row.channel)
        self.name, self.property_name = row.bone, name
        self.pose, self.value = row.pose, row.value


def _is_main(_self: Any, obj: bpy.types.Object) -> bool:
    return is_character(obj) and obj.gaussianspeech_character.main


@compat.overridable
class GAUSSIANSPEECH_PG_character(bpy.types.PropertyGroup):
    """The character that a mesh or an armature is a part of; empty on other objects."""

    id: bpy.props.StringProperty(
        name="Character", description="Not empty on its objects; files of 0.1.0 know them by it"
    )
    main: bpy.props.BoolProperty(
        name="Main", description="The object that holds the settings of the character's speech"
    )
    owner: bpy.props.PointerProperty(
        type=bpy.types.Object,
        name="Main Object",
        description="The main object of the character that this is a part of",
        poll=_is_main,
    )
    convention: bpy.props.StringProperty(
        name="Shapes", description="Whose names its shape keys or bones follow"
    )
    rows: bpy.props.CollectionProperty(type=GAUSSIANSPEECH_PG_mapping_row)
    active_row: bpy.props.IntProperty(name="Row", options={"SKIP_SAVE"})


def is_character(obj: bpy.types.Object | None) -> bool:
    """Whether an object is part of a character."""
    return obj is not None and obj.type in _KINDS and bool(obj.gaussianspeech_character.id)


def is_rig(obj: bpy.types.Object | None) -> bool:
    """Whether an object speaks by channels: an armature, or another control."""
    return obj is not None and obj.type in ("ARMATURE", *CONTROLS)


def has_shape_keys(obj: bpy.types.Object | None) -> bool:
    """Whether an object is a mesh with shape keys beside its basis."""
    keys = obj.data.shape_keys if obj is not None and obj.type == "MESH" else None
    return keys is not None and len(keys.key_blocks) > 1


def has_face_bones(obj: bpy.types.Object | None) -> bool:
    """Whether an object is an armature with bones of a face."""
    if obj is None or obj.type != "ARMATURE":
        return False
    return any(word in bone.name.lower() for bone in obj.data.bones for word in _FACE_WORDS)


def can_speak(obj: bpy.types.Object | None) -> bool:
    """Whether an object that is no head of this add-on may become a part of a character."""
    if obj is not None and obj.type == "ARMATURE":
        return bool(obj.data.bones) and head_of_rig(obj) is None
    if is_rig(obj):
        return is_character(obj) or any(_is_read_by(obj, keys) for keys in bpy.data.shape_keys)
    return has_shape_keys(obj) and not is_head(obj)


def _is_read_by(obj: bpy.types.Object, keys: bpy.types.Key) -> bool:
    """Whether drivers of shape keys read an object itself."""
    animation = keys.animation_data
    return any(
        target.id == obj
        for curve in (animation.drivers if animation is not None else ())
        for variable in curve.driver.variables
        for target in variable.targets
    )


def has_face(obj: bpy.types.Object | None) -> bool:
    """Whether an object is meant to speak, as far as its looks go."""
    return can_speak(obj) and (obj.type == "MESH" or has_face_bones(obj))


def pose_bone(obj: bpy.types.Object, name: str) -> bpy.types.PoseBone | None:
    """A bone of an armature by name."""
    return obj.pose.bones.get(name) if obj.pose is not None else None


def main_of(obj: bpy.types.Object) -> bpy.types.Object:
    """The object that holds the settings of a character; of a head, the head.

    Copies made together have each other for parts, for Blender lets them point at each other.
    """
    character = obj.gaussianspeech_character
    if not is_character(obj) or character.main:
        return obj
    if character.owner is not None:
        return character.owner if _is_main(None, character.owner) else obj
    # Files of 0.1.0 know the parts by a common id alone.
    for other in bpy.data.objects:
        if _is_main(None, other) and other.gaussianspeech_character.id == character.id:
            return other
    return obj


def character_objects(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """All objects of a character, the main one first; of a head, the head and its rig."""
    if not is_character(obj):
        head = head_of_rig(obj) or obj
        rig = rig_of(head) if is_head(head) else None
        return [head] if rig is None else [head, rig]
    main = main_of(obj)
    parts = [other for other in bpy.data.objects if is_character(other) and other != main]
    return [main, *sorted((o for o in parts if main_of(o) == main), key=lambda part: part.name)]


def mapping_of(obj: bpy.types.Object) -> CharacterMapping | None:
    """What an object's shape keys stand for, or the poses that its bones show.

    ``None`` for heads, whose keys are the engine's own.

    Raises:
        BadInputError: the table cannot be used.
    """
    if not is_character(obj):
        return None
    if is_rig(obj):
        return bone_mapping_of(obj).poses
    return mapping_of_rows([row.read() for row in obj.gaussianspeech_character.rows])


def bone_mapping_of(obj: bpy.types.Object) -> BoneMapping:
    """What an armature's bones stand for.

    Raises:
        BadInputError: the table cannot be used.
    """
    return mapping_of_bones([row.read() for row in obj.gaussianspeech_character.rows])


def at_rest_of(datablock: bpy.types.ID, path: str, index: int) -> float | None:
    """Where a control's table says that its transform rests; ``None`` where it does not."""
    if not isinstance(datablock, bpy.types.Object) or datablock.type not in CONTROLS:
        return None
    kinds = {"location": "LOCATION", "rotation_euler": "ROTATION", "scale": "SCALE"}
    channel = f"{kinds.get(path)}_{'XYZ'[min(index, 2)]}"
    rows = datablock.gaussianspeech_character.rows
    found = (row.value for row in rows if row.pose == REST and row.channel == channel)
    return next(found, None)


def turns_by_bones(obj: bpy.types.Object) -> bool:
    """Whether a bone of a head's rig, or of a character, turns with the head."""
    if is_head(obj):
        return rig_of(obj) is not None
    return any(
        row.pose == HEAD
        for part in character_objects(obj)
        for row in part.gaussianspeech_character.rows
    )


def leader_of(obj: bpy.types.Object) -> CharacterMapping | None:
    """What the rest of a character follows: the poses of the object that shows most.

    ``None`` for that object itself, and for heads.
    """
    objects = character_objects(obj)
    mappings = [mapping_of(part) for part in objects]
    if mappings[0] is None:
        return None
    controls = [part.type in CONTROLS for part in objects]
    if any(controls):
        together = _together(
            mapping for mapping, known in zip(mappings, controls, strict=True) if known
        )
        mappings = [together if known else m for m, known in zip(mappings, controls, strict=True)]
    shown = [int((mapping.poses > 0).any(axis=0).sum()) for mapping in mappings]
    best = shown.index(max(shown))
    return None if objects[best] == obj and not controls[best] else mappings[best]


def _together(controls: Iterator[CharacterMapping]) -> CharacterMapping:
    """What several controls show together, a slider each: a mixture is sought of all of them."""
    return mapping_of_rows(
        [
            Row(name, name)
            for name in dict.fromkeys(name for mapping in controls for name in mapping.keys)
        ]
    )


def active_speaker(context: bpy.types.Context) -> bpy.types.Object | None:
    """Who the panel is about: the active head or character, or else the scene's only one.

    ``None`` where something else that could speak is active: speech must not land on another.
    """
    obj = context.object
    if is_head(obj):
        return obj
    if is_character(obj):
        return main_of(obj)
    if (head := head_of_rig(obj)) is not None:
        return head
    if has_face(obj):
        return None
    speakers = [other for other in context.scene.objects if is_head(other) or _is_main(None, other)]
    return speakers[0] if len(speakers) == 1 else None


def require_speaker(context: bpy.types.Context) -> bpy.types.Object:
    """Who the panel is about; a head is checked to be as it was made.

    Raises:
        BadInputError: there is none, its main object is gone, or a head's vertices are not its own.
    """
    for prepare in BEFORE_USE:
        prepare()
    obj = active_speaker(context)
    if obj is None:
        if has_face(context.object):
            raise BadInputError(
                f"'{context.object.name}' is no character yet.", "Press Use as Character first."
            )
        raise BadInputError(
            "No head or character is selected.", "Select one, or add a head with Add Head."
        )
    if is_head(obj):
        check_vertex_count(obj)
    elif not obj.gaussianspeech_character.main or not obj.users_scene:
        raise BadInputError(
            f"The main object of the character of '{context.object.name}' was deleted.",
            "Undo that, or press Use as Character for what is left.",
        )
    return obj


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PG_mapping_row, GAUSSIANSPEECH_PG_character)


def register() -> None:
    """Attach the character to objects; library overrides keep it, too."""
    bpy.types.Object.gaussianspeech_character = bpy.props.PointerProperty(
        type=GAUSSIANSPEECH_PG_character, override=compat.OVERRIDABLE
    )


def unregister() -> None:
    """Detach it."""
    del bpy.types.Object.gaussianspeech_character
