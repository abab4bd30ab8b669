# SPDX-License-Identifier: GPL-3.0-or-later
"""The values that channels had before live speech moved them, and giving those back.

They are kept in the scene as well while somebody is live: whatever takes the file as it is then, a
step of undo or Blender's own automatic save, has the live values, and beside them what to give back
when it becomes the file again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import bpy

from ..characters.targets import Target, animated_datablock, get_value, set_value

Channel = tuple[str, int]
"""The path of a property in the datablock that is animated, and the index of its component."""


UNCHANGED = 1e-4
"""Change of a key's value that nobody sees."""


@dataclass
class Part:
    """An object that moves.

    Attributes:
        name: of the object, as it was last found.
        uid: of the object, for this run of Blender: renaming and undo leave it as it is.
        target: what it speaks by.
        before: values that its channels had.
    """

    name: str
    uid: int
    target: Target
    before: dict[Channel, float] = field(default_factory=dict)


def find_object(part: Part) -> bpy.types.Object | None:
    """The object of a part, whatever it is called now; ``None`` where it is gone."""
    found = bpy.data.objects.get(part.name)
    if found is None or found.session_uid != part.uid:
        found = next((obj for obj in bpy.data.objects if obj.session_uid == part.uid), None)
    if found is not None:
        part.name = found.name
    return found


def show_value(datablock: bpy.types.ID, part: Part, channel: Channel, value: float) -> None:
    """Let a channel have a live value, and remember the one before the first."""
    current = get_value(datablock, *channel)
    if current is None:
        return
    part.before.setdefault(channel, current)
    if abs(current - value) > UNCHANGED:
        set_value(datablock, *channel, value)


def give_back(parts: Sequence[Part]) -> None:
    """Give all channels the values that they had; the scene keeps none of them any longer."""
    for part in parts:
        _give_back(find_object(part), part.before)
    _forget()


def keep(scene: bpy.types.Scene, parts: Sequence[Part]) -> None:
    """Keep in the scene what :func:`give_back` needs."""
    kept = [
        [part.name, *channel, value] for part in parts for channel, value in part.before.items()
    ]
    text = json.dumps(kept)
    if scene.gaussianspeech_live_values != text:
        _forget()
        scene.gaussianspeech_live_values = text


def give_back_kept() -> None:
    """Give all channels the values that the file keeps for them: nobody is live in it now."""
    for name, before in _kept().items():
        _give_back(bpy.data.objects.get(name), before)
    _forget()


def recall(parts: Sequence[Part]) -> None:
    """Take the values before from the file, which was undone or redone while somebody is live.

    A step from before the live session keeps none: the values that it has are the artist's.
    """
    kept = _kept()
    for part in parts:
        find_object(part)
        part.before = kept.get(part.name, {})


def _give_back(obj: bpy.types.Object | None, before: dict[Channel, float]) -> None:
    datablock = animated_datablock(obj) if obj is not None else None
    if datablock is not None:
        for channel, value in before.items():
            set_value(datablock, *channel, value)


def _kept() -> dict[str, dict[Channel, float]]:
    """By object; what is damaged counts as nothing."""
    found: dict[str, dict[Channel, float]] = {}
    for scene in _keepers():
        try:
            for name, path, index, value in json.loads(scene.gaussianspeech_live_values):
                found.setdefault(str(name), {})[str(path), int(index)] = float(value)
        except (ValueError, TypeError):
            continue
    return found


def _forget() -> None:
    for scene in _keepers():
        scene.gaussianspeech_live_values = ""


def _keepers() -> Iterator[bpy.types.Scene]:
    yield from [scene for scene in bpy.data.scenes if scene.gaussianspeech_live_values]


def register() -> None:
    """Give scenes the text of the values."""
    bpy.types.Scene.gaussianspeech_live_values = bpy.props.StringProperty(options={"HIDDEN"})


def unregister() -> None:
    """Take it away."""
    del bpy.types.Scene.gaussianspeech_live_values
