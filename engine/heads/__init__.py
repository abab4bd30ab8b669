# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads: template meshes with expressions, from the shipped asset, FLAME files or any mesh.

Needs numpy alone until a FLAME file is read. Its names are imported when they are asked for:
Blender imports :mod:`engine.heads.axes` inside the extension's package, where no ``engine`` of this
name exists.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.heads.head import Head, Skeleton
    from engine.heads.registry import load_head

__all__ = ["Head", "Skeleton", "load_head"]

_HOMES = {"Head": "head", "Skeleton": "head", "load_head": "registry"}


def __getattr__(name: str) -> Any:
    """One of ``__all__``, from the module it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
