# SPDX-License-Identifier: GPL-3.0-or-later
"""From a head's id or file to the head."""

from __future__ import annotations

from pathlib import Path

from engine.core.errors import BadInputError
from engine.core.json_values import read_json
from engine.core.npz import npz_names
from engine.gltf import GLTF_SUFFIXES
from engine.heads.carried_head import (
    FLAME_PARAM,
    head_of_avatar,
    head_of_flame_param,
    load_named_file,
    without_meshes,
)
from engine.heads.default import DEFAULT_HEAD, load_default_head
from engine.heads.head import Head

MESH_SUFFIXES = GLTF_SUFFIXES | {".obj", ".ply", ".stl", ".off"}
"""Kinds of files that are read as plain meshes."""

PERSON, AVATAR, POINT_CLOUD = "person.json", "avatar.safetensors", "point_cloud.ply"
"""Files of a person's folder (docs/persons.md); the last is GaussianAvatars'."""

_PERSON_REMEDY = "Choose the folder that 'gaussianspeech train person' or GaussianAvatars wrote."
_BINDING = b"binding_0"
_PLY_HEADER = 1 << 16

_REMEDY = (
    f"Use '{DEFAULT_HEAD}', '{DEFAULT_HEAD}#7' for another person, a FLAME model (.pkl or .npz "
    "from flame.is.tue.mpg.de), a head file saved by this program (.npz), or a mesh (.obj, .ply, "
    ".glb)."
)


def load_head(id_or_path: str | Path, file: Path | None = None) -> Head:
    """Load a head.

    Args:
        id_or_path: ``"default"``, or with an identity ``"default#7"`` or ``"default#0=1.5,3=-0.8"``
            (:func:`engine.heads.shaped_head.head_of_name`); or a FLAME file (``.pkl``, ``.npz``);
            or a head file (``.npz``); or a mesh (``.obj``, ``.ply``, ``.glb`` …) in head space,
            metres, in a glTF file of several meshes ``FILE.glb#MESH``, or ``FILE.glb#MESH#MESH``
            joined; or what carries a head: an avatar (``.safetensors``), a ``flame_param.npz`` or
            the ``point_cloud.ply`` beside it, or a person's folder.
        file: for what carries a head, the FLAME model or file that its head is made from, where it
            need not be looked for.

    Raises:
        BadInputError: neither a known id nor a readable file of a known kind.
        MissingDependencyError: the file that a carried head is made from is not found.
    """
    if str(id_or_path).partition("#")[0] == DEFAULT_HEAD:
        return _default_head(str(id_or_path))
    name, meshes = without_meshes(str(id_or_path))
    path = Path(name)
    if str(id_or_path) and path.is_dir():
        path = avatar_in(path)
        if str(path) == DEFAULT_HEAD:
            return load_default_head()
    kind = path.suffix.lower()
    if kind not in MESH_SUFFIXES | {".pkl", ".npz", ".safetensors"}:
        raise BadInputError(f"There is no head '{id_or_path}'.", _REMEDY)
    if not path.is_file():
        raise BadInputError(f"There is no head file {path}.", f"Check the path. {_REMEDY}")
    if kind == ".safetensors":
        return head_of_avatar(path, file)
    if (param := flame_param_of_file(path)) is not None:
        return head_of_flame_param(param, file)
    if kind in MESH_SUFFIXES or (kind == ".npz" and "about" in _names(path)):
        return load_named_file(path, meshes)
    # Deferred: reading FLAME needs scipy, the default head does not.
    from engine.heads.flame import load_flame

    return load_flame(path)


def _default_head(name: str) -> Head:
    if name == DEFAULT_HEAD:
        return load_default_head()
    # Deferred: identities need scipy, the default head does not.
    from engine.heads.shaped_head import head_of_name

    return head_of_name(name)


def carries_head(path: str | Path) -> bool:
    """Whether a file is made for one head and knows which, rather than being a head's own file."""
    path = Path(path)
    kind = path.suffix.lower()
    return path.is_dir() or kind == ".safetensors" or flame_param_of_file(path) is not None


def avatar_in(folder: Path) -> Path:
    """The avatar of a person's folder or of GaussianAvatars'; ``default`` for the one that ships.

    Raises:
        BadInputError: it is no such folder.
    """
    record = folder / PERSON
    if record.is_file():
        name = read_json(record, _PERSON_REMEDY).text("avatar")
        return Path(name) if name == DEFAULT_HEAD else folder / Path(name).name
    for name in (AVATAR, POINT_CLOUD):
        if (folder / name).is_file():
            return folder / name
    raise BadInputError(
        f"{folder} is no person's folder: it has neither {PERSON} nor {AVATAR} nor {POINT_CLOUD}.",
        _PERSON_REMEDY,
    )


def flame_param_of_file(path: Path) -> Path | None:
    """FLAME's parameters of a person: the file itself, or the one beside a ``point_cloud.ply``."""
    if path.suffix.lower() == ".npz":
        return path if {"static_offset", "expr"} <= set(_names(path)) else None
    beside = path.with_name(FLAME_PARAM)
    if path.suffix.lower() != ".ply" or not (beside.is_file() and path.is_file()):
        return None
    with path.open("rb") as stream:
        return beside if _BINDING in stream.read(_PLY_HEADER) else None


def _names(path: Path) -> tuple[str, ...]:
    try:
        return npz_names(path, hint="")
    except BadInputError:  # What it is instead, its own reader says.
        return ()
