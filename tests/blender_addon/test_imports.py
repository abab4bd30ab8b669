# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on imports: downwards only, and nothing that Blender's Python does not have."""

from __future__ import annotations

import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ADDON = ROOT / "blender_addon"
BLENDERS = {
    "addon_utils",
    "aud",
    "bl_operators",
    "bl_ui",
    "blf",
    "bpy",
    "bpy_extras",
    "gpu",
    "gpu_extras",
    "mathutils",
    "numpy",
}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports(path: Path) -> set[str]:
    """Absolute names of the modules that a file imports, inside functions too."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package.pop()
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            base = ".".join([*start, *([node.module] if node.module else [])])
            found.add(base)
            found |= {f"{base}.{alias.name}".removeprefix(".") for alias in node.names}
    return found


def allowed_modules() -> set[str]:
    """The light modules that CONTRIBUTING.md lists."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    listed = text.partition("the light modules")[2].partition(", which")[0]
    return set(re.findall(r"`([\w.]+)`", listed))


FILES = {module_name(path): imports(path) for path in ADDON.rglob("*.py")}


def test_no_module_imports_one_that_imports_it():
    graph = {
        name: {
            other
            for other in found & FILES.keys()
            # A package's parts import their siblings, and the package its parts.
            if other != name and not name.startswith(f"{other}.")
        }
        for name, found in FILES.items()
    }
    TopologicalSorter(graph).prepare()  # Raises CycleError with the circle.


def test_only_the_light_modules_of_the_engine_are_imported():
    allowed = allowed_modules()
    assert "engine.core.protocol" in allowed
    for name, found in FILES.items():
        for other in found:
            if other.partition(".")[0] in ("engine", "training"):
                known = any(f"{module}.".startswith(f"{other}.") for module in allowed)
                assert known or other.rpartition(".")[0] in allowed, f"{name} imports {other}"


def test_nothing_is_imported_that_blender_does_not_have():
    own = {"blender_addon", "engine", "training", ""}
    for name, found in FILES.items():
        tops = {other.partition(".")[0] for other in found}
        assert tops <= own | BLENDERS | sys.stdlib_module_names, name


def test_the_light_modules_import_each_other_by_relative_imports():
    # Inside Blender there is no package of the name engine, but one of Blender's choosing round it.
    todo = [name for name in allowed_modules() if not name.startswith("blender_addon")]
    done = set()
    while todo:
        name = todo.pop()
        path = ROOT.joinpath(*name.split(".")).with_suffix(".py")
        if name in done or not path.is_file():
            continue
        done.add(name)
        text = path.read_text("utf-8")
        assert not re.search(r"^\s*(from|import) (engine|training)\b", text, re.MULTILINE), name
        todo += [other for other in imports(path) if other.startswith("engine.")]
    assert "engine.core.json_values" in done
