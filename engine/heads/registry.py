# SPDX-License-Identifier: GPL-3.0-or-later
"""From a head's id or file to the head."""

from __future__ import annotations

from pathlib import Path

from engine.core.errors import BadInputError
from engine.core.npz import npz_names
from engine.heads.asset_file import load_head_file
from engine.heads.default import DEFAULT_HEAD, load_default_head
from engine.heads.head import Head

MESH_SUFFIXES = frozenset({".obj", ".ply", ".stl", ".glb", ".gltf", ".off"})
"""Kinds of files that are read as plain meshes."""

_REMEDY = (
    f"Use '{DEFAULT_HEAD}', a FLAME model (.pkl or .npz from flame.is.tue.mpg.de) "
    "a head file saved by this program (.npz), or a mesh (.obj, .ply, .glb)."
)


def load_head(id_or_path: str | Path) -> Head:
    """Load a head.

    Args:
        id_or_path: ``"default"``; or a FLAME file (``.pkl``, ``.npz``); or a head file (``.npz``);
            or a mesh (``.obj``, ``.ply``, ``.glb`` …) in head space, metres.

    Raises:
        BadInputError: neither a known id nor a readable file of a known kind.
    """
    if str(id_or_path) == DEFAULT_HEAD:
        return load_default_head()
    path = Path(id_or_path)
    if path.suffix.lower() not in MESH_SUFFIXES | {".pkl", ".npz"}:
        raise BadInputError(f"There is no head '{id_or_path}'.", _REMEDY)
    if not path.is_file():
        raise BadInputError(f"There is no head file {path}.", f"Check the path. {_REMEDY}")
    if path.suffix.lower() in MESH_SUFFIXES:
        # Deferred: only meshes need trimesh.
        from engine.heads.mesh_file import load_mesh_head

        return load_mesh_head(path)
    if path.suffix.lower() == ".npz" and _is_head_file(path):
        return load_head_file(path)
    # Deferred: reading FLAME needs scipy, the default head does not.
    from engine.heads.flame import load_flame

    return load_flame(path)


def _is_head_file(path: Path) -> bool:
    try:
        return "about" in npz_names(path, hint="")
    except BadInputError:  # What it is instead, its own reader says.
        return False
