# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on outside an installed extension: in ``bpy`` as a Python module.

As an extension the repository root is one package (``bl_ext.user_default.gaussianspeech``), and the
add-on reaches the engine's shared modules by relative imports. Installed with pip, ``engine`` and
``blender_addon`` lie side by side without a package round them; this puts one there.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

ROOT_PACKAGE = "gaussianspeech"
"""Name of the package that stands for the extension's root."""


def root_package() -> ModuleType:
    """The package round ``engine`` and ``blender_addon``, made at the first call."""
    package = sys.modules.get(ROOT_PACKAGE)
    if package is None:
        package = ModuleType(ROOT_PACKAGE, "GaussianSpeech without an extension round it.")
        package.__path__ = [str(Path(__file__).resolve().parents[1])]
        package.__package__ = ROOT_PACKAGE
        sys.modules[ROOT_PACKAGE] = package
    return package


def addon_module(name: str) -> ModuleType:
    """A module of the add-on inside the root package, e.g. ``rendering.engine``."""
    root_package()
    return importlib.import_module(f"{ROOT_PACKAGE}.blender_addon.{name}")


@contextmanager
def enabled_addon(engine_python: str = sys.executable) -> Iterator[None]:
    """The add-on, registered with its preferences for the length of a block.

    Args:
        engine_python: the Python that runs the engine.
    """
    import bpy

    registration = addon_module("registration")
    addons = bpy.context.preferences.addons
    entry = addons.new()
    entry.module = ROOT_PACKAGE
    registration.register()
    try:
        entry.preferences.engine_python = engine_python
        yield
    finally:
        # A render engine that is still registered at exit crashes 4.2 and hangs 4.5.
        registration.unregister()
        addons.remove(entry)
