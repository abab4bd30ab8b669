# SPDX-License-Identifier: GPL-3.0-or-later
"""The expressions of VRM characters, and the bone of their head.

https://github.com/vrm-c/vrm-specification, specification/0.0 (``blendShapeMaster``) and
specification/VRMC_vrm-1.0 (``expressions``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from engine.core.json_values import JsonObject
from engine.gltf.document import Document, damage_named
from engine.gltf.meshes import rest_transform

_VRM0, _VRM1 = "VRM", "VRMC_vrm"
_HEAD = re.compile(r"(?:^|[:_. |])head$", re.IGNORECASE)


class Bind(NamedTuple):
    """A morph target that an expression moves.

    Attributes:
        mesh: index of the mesh, or ``None`` where the node is given.
        node: index of the node, or ``None`` where the mesh is given, at all its nodes.
        target: index of the morph target.
        weight: of the target when the expression is at 1.
    """

    mesh: int | None
    node: int | None
    target: int
    weight: float


@dataclass(frozen=True)
class Expression:
    """An expression of a VRM.

    Attributes:
        name: of the preset (``aa``, ``a``, ``blink``), else its own.
        binds: what it moves.
        binary: whether it is either off or on, from above a half.
    """

    name: str
    binds: tuple[Bind, ...]
    binary: bool = False


def read_expressions(document: Document) -> tuple[Expression, ...]:
    """The expressions of a VRM that move morph targets; none in other files.

    Raises:
        BadInputError: they are damaged.
    """
    with damage_named(document):
        extensions = _extensions(document)
        if extensions is None:
            return ()
        read = _vrm1 if _VRM1 in extensions else _vrm0
        return tuple(one for one in read(extensions) if one.binds)


def _extensions(document: Document) -> JsonObject | None:
    root = document.root
    if "extensions" not in root:
        return None
    extensions = root.group("extensions")
    return extensions if _VRM0 in extensions or _VRM1 in extensions else None


def _vrm0(extensions: JsonObject) -> Iterator[Expression]:
    vrm = extensions.group(_VRM0)
    master = vrm.group("blendShapeMaster") if "blendShapeMaster" in vrm else None
    if master is None or "blendShapeGroups" not in master:
        return
    for group in master.groups("blendShapeGroups"):
        preset = group.text("presetName", "unknown")
        name = group.text("name", "") if preset in ("", "unknown") else preset
        binds = group.groups("binds") if "binds" in group else []
        yield Expression(
            name,
            tuple(
                # Unity's weights: 0 to 100.
                Bind(bind.whole("mesh"), None, bind.whole("index"), bind.number("weight") / 100)
                for bind in binds
            ),
            group.flag("isBinary", default=False),
        )


def _vrm1(extensions: JsonObject) -> Iterator[Expression]:
    vrm = extensions.group(_VRM1)
    expressions = vrm.group("expressions") if "expressions" in vrm else None
    for kind in ("preset", "custom"):
        if expressions is None or kind not in expressions:
            continue
        group = expressions.group(kind)
        for name in group.values:
            one = group.group(name)
            binds = one.groups("morphTargetBinds") if "morphTargetBinds" in one else []
            yield Expression(
                name,
                tuple(
                    Bind(None, bind.whole("node"), bind.whole("index"), bind.number("weight", 1.0))
                    for bind in binds
                ),
                one.flag("isBinary", default=False),
            )


def looks_backwards(document: Document) -> bool:
    """Whether its character looks along −Z, as those of VRM 0 do.

    Raises:
        BadInputError: the file is damaged.
    """
    with damage_named(document):
        extensions = _extensions(document)
        return extensions is not None and _VRM1 not in extensions


def human_bones(document: Document) -> dict[str, int]:
    """The nodes of a VRM's bones by what the VRM calls them (``head``, ``jaw``, ``leftEye``).

    Raises:
        BadInputError: the file is damaged.
    """
    with damage_named(document):
        extensions = _extensions(document)
        if extensions is None:
            return {}
        if _VRM1 in extensions:
            bones = extensions.group(_VRM1).group("humanoid").group("humanBones")
            return {name: bones.group(name).whole("node") for name in bones.values}
        listed = extensions.group(_VRM0).group("humanoid").groups("humanBones")
        return {str(bone.values.get("bone")): bone.whole("node") for bone in listed}


def joints(document: Document) -> list[int]:
    """The nodes that skins of a file name as bones, each once.

    Raises:
        BadInputError: the file is damaged.
    """
    with damage_named(document):
        found = {joint for skin in document.items("skins") for joint in skin.values["joints"]}
        return sorted(found)


def head_bone(document: Document) -> int | None:
    """The node of the head's bone: as a VRM says, else the only joint that is called head.

    Raises:
        BadInputError: the file is damaged.
    """
    with damage_named(document):
        if _extensions(document) is not None:
            human = human_bones(document)
            found = [human["head"]] if "head" in human else []
        else:
            found = [
                joint
                for joint in joints(document)
                if is_head_bone(document.item("nodes", joint).text("name", ""))
            ]
        if len(found) != 1 or rest_transform(document.item("nodes", found[0])) is None:
            return None
        return int(found[0])


def is_head_bone(name: str) -> bool:
    """Whether a bone is called head, as in ``mixamorig:Head`` and ``J_Bip_C_Head``."""
    return _HEAD.search(name) is not None
