# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads: template meshes with expressions, from the shipped asset, FLAME files or any mesh.

Needs numpy alone until a FLAME file is read, because Blender imports :mod:`engine.heads.axes`.
"""

from engine.heads.head import Head, Skeleton
from engine.heads.registry import load_head

__all__ = ["Head", "Skeleton", "load_head"]
