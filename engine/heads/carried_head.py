# SPDX-License-Identifier: GPL-3.0-or-later
"""The head that an avatar carries, made again: by its id, from FLAME and an identity, or a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.checks import shown
from engine.core.errors import BadInputError
from engine.core.files import file_digest
from engine.core.tensor_file import read_tensor_file
from engine.heads.asset_file import load_head_file
from engine.heads.default import DEFAULT_HEAD, load_default_head
from engine.heads.flame_file import VERTICES, read_flame
from engine.heads.head import Head, HeadSource
from engine.heads.identity import PREFIX, Identity, difference, read_identity
from engine.heads.known_files import FILE, FLAME, find, find_any_flame, remember

if TYPE_CHECKING:
    from engine.heads.flame import FlamePerson
    from engine.heads.flame_model import FlameModel

FORMAT = "gaussianspeech-avatar-2"
"""Key of an avatar file's metadata; names the version."""
FIRST_FORMAT = "gaussianspeech-avatar-1"
"""The version of 0.1.0, which names its head and carries nothing of it."""
AVATAR_REMEDY = (
    "Choose a file that 'gaussianspeech train avatar' wrote; if it is damaged or incomplete, copy "
    "or train it again."
)
FLAME_PARAM = "flame_param.npz"
"""GaussianAvatars' file with identity and motion, beside ``point_cloud.ply``."""
_MESHES = re.compile(r"(.+\.(?:glb|gltf|vrm))#(.+)", re.IGNORECASE)


def head_of_avatar(path: Path, file: Path | None = None) -> Head:
    """The head of an avatar's file.

    Args:
        path: ``.safetensors``.
        file: the head's file where it need not be looked for; see :func:`head_of_identity`.

    Raises:
        BadInputError: no avatar, one of version 1 that was not made for the default head, or
            another ``file`` than it was made with.
        MissingDependencyError: the head's file is not found.
    """
    about, tensors = read_tensor_file(
        path, (FORMAT, FIRST_FORMAT), "GaussianSpeech avatar", AVATAR_REMEDY, prefix=PREFIX
    )
    if isinstance(about.values.get("head"), str):
        if about.text("head") == DEFAULT_HEAD:
            return load_default_head()
        raise BadInputError(
            f"{path} is an avatar of version 1: it names its head {shown(about.text('head'))} and "
            "does not carry it.",
            "Name the head's file with --head; 'gaussianspeech export avatar' then writes version "
            "2.",
        )
    arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
    return head_of_identity(read_identity(about.group("head"), arrays), path.parent, file)


def head_of_flame_param(path: Path, file: Path | None = None) -> Head:
    """The head of a ``flame_param.npz``: FLAME with its shape and static offset.

    Args:
        path: the file.
        file: the FLAME model they were fitted with, where it need not be looked for.

    Raises:
        BadInputError: no such parameters, or they do not fit the model.
        MissingDependencyError: the model is not found.
    """
    from engine.heads.flame import load_flame
    from engine.heads.flame_param import load_flame_param

    param = load_flame_param(path)
    model = file or find_any_flame(path.parent, _digest_of_model)
    return load_flame(model, shape=param.shape, static_offset=param.static_offset[0])


def head_of_identity(identity: Identity, near: Path, file: Path | None = None) -> Head:
    """The head of an avatar, made again.

    Args:
        identity: what the avatar carries of it.
        near: folder of the avatar; the head's file is looked for there and where
            :func:`engine.heads.known_files.find` looks.
        file: the head's file, in place of looking for it: the FLAME model, the head file or mesh.

    Raises:
        MissingDependencyError: the head's file is not found.
        BadInputError: ``file`` is another than the one that the avatar was made with, or the head
            cannot be made again.
    """
    source = identity.source
    if source.kind == "default":
        return _default_head(identity)
    if source.kind == "flame":
        return _flame_head(identity, near, file)
    if source.kind != "file":
        raise BadInputError(
            f"The avatar does not say how its head {shown(identity.id)} can be made again.",
            "Name the head's file with --head.",
        )
    name, meshes = without_meshes(source.file)
    path = file or find(FILE, name, source.digest, near, file_digest)
    if file is not None and file_digest(file) != source.digest:
        raise _another(file, identity)
    return load_named_file(path, meshes)


def without_meshes(name: str) -> tuple[str, tuple[str, ...]]:
    """The file of ``FILE.glb#MESH#MESH``, and the names of the meshes; none of any other name."""
    found = _MESHES.fullmatch(name)
    return (found[1], tuple(found[2].split("#"))) if found else (name, ())


def load_named_file(path: Path, meshes: Sequence[str] = ()) -> Head:
    """A head file or a mesh, which knows its file, and which meshes of it it is."""
    if path.suffix.lower() == ".npz":
        head = load_head_file(path)
    else:
        # Deferred: only meshes need trimesh.
        from engine.heads.mesh_file import load_mesh_head

        head = load_mesh_head(path, meshes)
    digest = file_digest(path)
    remember(digest, path, FILE)
    return replace(head, source=HeadSource("file", "#".join((path.name, *meshes)), digest))


def flame_model_of(head: Head, near: Path) -> FlameModel:
    """The full model behind a FLAME head; its template is the head's.

    Args:
        head: of :func:`engine.heads.flame.load_flame` or of an avatar.
        near: folder of what the head was loaded from.

    Raises:
        MissingDependencyError: the model's file is not found.
    """
    path = flame_file(head, near)
    model = _person(path, head.source, head.vertex_count).model
    return replace(model, v_template=head.template)


def flame_file(head: Head, near: Path) -> Path:
    """The FLAME model's file that a head was made from; arguments as :func:`flame_model_of`.

    Raises:
        MissingDependencyError: it is not found.
    """
    return find(FLAME, head.source.file, head.source.digest, near, _digest_of_model)


def _default_head(identity: Identity) -> Head:
    source = identity.source
    if not len(source.shape) and not len(source.static_offset):
        return load_default_head()
    # Deferred: identities need scipy, the default head does not.
    from engine.heads.shaped_head import shaped_head

    made = shaped_head(source.shape, source.static_offset)
    if differs := difference(identity, made):
        raise BadInputError(
            f"The identity of the default head that the avatar carries is not its own: {differs}.",
            "Train or export the avatar again.",
        )
    # Sums differ in the last digit from machine to machine: the person's own count.
    return replace(made, id=identity.id, template=identity.template)


def _flame_head(identity: Identity, near: Path, file: Path | None) -> Head:
    source = identity.source
    path = file or find(FLAME, source.file, source.digest, near, _digest_of_model)
    if file is not None and _digest_of_model(file) != source.digest:
        raise _another(file, identity)
    made = _person(path, source, identity.vertex_count).head
    if differs := difference(identity, made):
        raise BadInputError(
            f"The head made from {path} is not the avatar's: {differs}.",
            "Train or export the avatar again.",
        )
    # Sums differ in the last digit from machine to machine: the person's own count.
    return replace(made, id=identity.id, template=identity.template)


def _person(path: Path, source: HeadSource, vertex_count: int) -> FlamePerson:
    # Deferred: reading FLAME needs scipy, the default head does not.
    from engine.heads.flame import flame_person

    offset = source.static_offset if len(source.static_offset) else None
    return flame_person(
        path, shape=source.shape, static_offset=offset, teeth=vertex_count != VERTICES
    )


def _digest_of_model(path: Path) -> str:
    stat = path.stat()
    return _digest_of_version(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=32)
def _digest_of_version(path: Path, _changed: int, _size: int) -> str:
    from engine.heads.flame import model_digest

    return model_digest(read_flame(path))


def _another(file: Path, identity: Identity) -> BadInputError:
    source = identity.source
    return BadInputError(
        f"{file} is not the file that the avatar's head {shown(identity.id)} was made with: "
        f"{source.file}, SHA-256 of its content {source.digest[:12]}….",
        f"Give {source.file}, and of FLAME the same version (2020 and 2023 differ).",
    )
