# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes ``docs/reference.md``: the add-on's operators, panels and properties as Blender has them.

Run it with a Python that has ``bpy``, after a class of the add-on has changed::

    python docs/reference/write.py
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bpy

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "docs" / "reference.md"

_PARTS = {
    "heads": "Heads",
    "characters": "Characters",
    "speech": "Speech",
    "avatars": "Avatars",
    "persons": "Persons",
    "rendering": "Rendering",
    "export": "Export and import",
    "jobs": "Training",
    "setup": "Set-up",
    "engine_link": "Engine",
}
"""Sub-packages of the add-on that have operators, in the order of their work; others follow."""

_OWNERS = ("Object", "Scene", "Action", "WindowManager", "Strip", "Sequence", "Key", "Material")
"""Types of data that properties of ours may be on."""

_SUBTYPES = {
    "ANGLE": "degrees",
    "FACTOR": "",
    "PERCENTAGE": "%",
    "DISTANCE": "m",
    "TIME": "s",
    "FILE_PATH": "a file",
    "DIR_PATH": "a folder",
}
_TYPES = {
    "BOOLEAN": "on or off",
    "INT": "whole number",
    "FLOAT": "number",
    "STRING": "text",
    "POINTER": "data",
    "COLLECTION": "list",
    "ENUM": "choice",
}


class _Recorder:
    """A layout that draws nothing and remembers the operators that a menu's function puts in it."""

    def __init__(self, found: list[str]) -> None:
        self._found = found

    def operator(self, name: str, *_: object, **__: object) -> SimpleNamespace:
        self._found.append(name)
        return SimpleNamespace()

    def __getattr__(self, _name: str) -> Any:
        return lambda *_args, **_options: self


def reference(classes: tuple[type, ...]) -> str:
    """The page about registered classes, in Markdown.

    Args:
        classes: the add-on's, in the order of their registration.
    """
    lines = [
        "# Reference of the add-on",
        "",
        "Written by `docs/reference/write.py` from the registered classes. The sliders and lists",
        "of the sidebar are the properties below; every button is an operator, which F3 finds by",
        "its label, unless said, and scripts call as `bpy.ops.NAME`. In a window an operator that",
        "asks the engine returns at once and can be cancelled; called from a script it waits.",
        "",
    ]
    lines += [*_panels(classes), *_operators(classes), *_properties(classes)]
    return "\n".join(lines).rstrip() + "\n"


def _panels(classes: tuple[type, ...]) -> Iterator[str]:
    """The sections of the tab, and the panels elsewhere, as a tree."""
    panels = [cls for cls in classes if issubclass(cls, bpy.types.Panel)]
    yield from ("## Panels", "")

    def below(parent: str, depth: int) -> Iterator[str]:
        inside = [cls for cls in panels if getattr(cls, "bl_parent_id", "") == parent]
        for cls in sorted(inside, key=lambda cls: getattr(cls, "bl_order", 0)):
            where = "" if depth else f" ({_where(cls)})"
            yield f"{'  ' * depth}- **{cls.bl_label}**{where}: {_sentence(cls.__doc__)}"
            yield from below(cls.bl_idname, depth + 1)

    yield from below("", 0)
    yield ""


def _where(cls: Any) -> str:
    space = bpy.types.Panel.bl_rna.properties["bl_space_type"].enum_items[cls.bl_space_type].name
    region = {"UI": "sidebar", "WINDOW": "window", "HEADER": "header"}[cls.bl_region_type]
    context = f", {cls.bl_context.title()}" if getattr(cls, "bl_context", "") else ""
    return f"{space}, {region}{context}"


def _operators(classes: tuple[type, ...]) -> Iterator[str]:
    """Every operator with its properties, by part of the add-on."""
    found = [cls for cls in classes if issubclass(cls, bpy.types.Operator)]
    menus, keys = _menus(), _keys()
    parts = {part: [c for c in found if _part(c) == part] for part in map(_part, found)}
    yield from ("## Operators", "")
    for part in sorted(parts, key=lambda part: [*_PARTS, part].index(part)):
        yield from (f"### {_PARTS.get(part, part.replace('_', ' ').title())}", "")
        for cls in parts[part]:
            name = cls.bl_idname
            rna = getattr(bpy.ops.gaussianspeech, name.partition(".")[2]).get_rna_type()
            yield f"**{rna.name}** `{name}`: {_sentence(rna.description)}"
            notes = [f"In {menu}." for menu in menus.get(name, ())]
            if "INTERNAL" in getattr(cls, "bl_options", ()):
                notes.append("By its button or a script alone: F3 does not list it.")
            notes += [f"Key: {key}." for key in keys.get(name, ())]
            if notes:
                yield " ".join(notes)
            yield ""
            yield from _table(rna, without=frozenset({"rna_type"}))


def _part(cls: type) -> str:
    return cls.__module__.partition(".blender_addon.")[2].split(".")[0]


def _menus() -> dict[str, list[str]]:
    """The menus in which the add-on has put each operator."""
    found: dict[str, list[str]] = {}
    for kind in (bpy.types.Menu, bpy.types.Header, bpy.types.Panel):
        for cls in kind.__subclasses__():
            for draw in getattr(getattr(cls, "draw", None), "_draw_funcs", ()):
                if ".blender_addon." not in draw.__module__:
                    continue
                inside: list[str] = []
                draw(SimpleNamespace(layout=_Recorder(inside)), bpy.context)
                for name in inside:
                    label = getattr(cls, "bl_label", "") or cls.__name__
                    found.setdefault(name, []).append(f"the menu *{label}* (`{cls.__name__}`)")
    return found


def _keys() -> dict[str, list[str]]:
    """The keys that the add-on gives each operator."""
    found: dict[str, list[str]] = {}
    configuration = bpy.context.window_manager.keyconfigs.addon
    for keymap in configuration.keymaps if configuration else ():
        for item in keymap.keymap_items:
            if item.idname.startswith("gaussianspeech."):
                found.setdefault(item.idname, []).append(f"{item.to_string()} in {keymap.name}")
    return found


def _properties(classes: tuple[type, ...]) -> Iterator[str]:
    """Every group of properties, by the data that it is on."""
    groups = [
        cls
        for cls in classes
        if issubclass(cls, (bpy.types.PropertyGroup, bpy.types.AddonPreferences))
    ]
    owned = dict(_attached(groups))
    yield from ("## Properties", "")
    for cls in groups:
        heading = owned.get(cls.__name__)
        if issubclass(cls, bpy.types.AddonPreferences):
            heading = "Preferences"
        table = list(_table(cls.bl_rna, without=frozenset({"rna_type", "name", "bl_idname"})))
        if table:
            if heading is None:
                raise LookupError(f"Nothing in _OWNERS has a {cls.__name__}: add the type that has")
            yield from (f"### {heading}", "", _sentence(cls.__doc__), "", *table)


def _attached(groups: list[type]) -> Iterator[tuple[str, str]]:
    """The name of each group that data has, and its path from there."""
    names = {cls.__name__ for cls in groups}
    for owner in (*_OWNERS, *sorted(names)):
        kind = getattr(bpy.types, owner, None)
        kind = kind or next((cls for cls in groups if cls.__name__ == owner), None)
        for prop in kind.bl_rna.properties if kind else ():
            group = getattr(getattr(prop, "fixed_type", None), "identifier", "")
            if group in names and prop.identifier != "rna_type":
                many = "[…]" if prop.type == "COLLECTION" else ""
                yield group, f"`{owner}.{prop.identifier}{many}`"


def _table(rna: Any, without: frozenset[str]) -> Iterator[str]:
    shown = [
        prop
        for prop in rna.properties
        if prop.identifier not in without and not prop.is_hidden and prop.name
    ]
    if not shown:
        return
    yield from ("| property | shown as | what it takes | default | |", "|---|---|---|---|---|")
    for prop in shown:
        name = "" if prop.name == prop.identifier else prop.name
        cells = (f"`{prop.identifier}`", name, _takes(prop), _default(prop))
        yield "| " + " | ".join((*cells, _cell(_sentence(prop.description)))) + " |"
    yield ""


def _takes(prop: Any) -> str:
    """Type, range and unit of a property."""
    kind = _SUBTYPES.get(prop.subtype, "") or _TYPES[prop.type]
    if prop.type in {"INT", "FLOAT"}:
        low, high = prop.soft_min, prop.soft_max
        limits = [_number(limit) if abs(limit) < 1e6 else "" for limit in (low, high)]
        if all(limits):
            return f"{limits[0]} to {limits[1]}{_unit(kind)}"
        if limits[0]:
            return f"{limits[0]} and more{_unit(kind)}"
        return kind
    if prop.type == "ENUM":
        items = [f"`{item.identifier}` {item.name}" for item in prop.enum_items_static]
        return _cell(", ".join(items)) or "from a list"
    if prop.type in {"POINTER", "COLLECTION"}:
        inside = prop.fixed_type
        return f"{_TYPES[prop.type]} of `{inside.identifier}`" if inside else _TYPES[prop.type]
    return kind


def _unit(kind: str) -> str:
    return "" if kind in _TYPES.values() else f" {kind}"


def _default(prop: Any) -> str:
    if prop.type in {"POINTER", "COLLECTION"}:
        return ""
    if prop.type in {"BOOLEAN", "INT", "FLOAT"}:
        values = prop.default_array if prop.is_array else [prop.default]
        return ", ".join(
            ("off", "on")[value] if prop.type == "BOOLEAN" else _number(value) for value in values
        )
    chosen = sorted(prop.default_flag) if getattr(prop, "is_enum_flag", False) else [prop.default]
    return ", ".join(f"`{name}`" for name in chosen if name)


def _number(value: float) -> str:
    return f"{int(value):,}" if float(value).is_integer() else f"{value:.4g}"


def _sentence(text: str | None) -> str:
    first = " ".join((text or "").split("\n\n")[0].split())
    return first if not first or first.endswith(".") else f"{first}."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    sys.path.insert(0, str(ROOT))
    from blender_addon.standalone import addon_module, enabled_addon

    with enabled_addon():
        TARGET.write_text(reference(addon_module("registration").CLASSES), "utf-8")


if __name__ == "__main__":
    main()
