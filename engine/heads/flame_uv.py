# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's UV layout, which is not in its model files: that of the template OBJ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.files import copy_file
from engine.core.runtime import cache_folder
from engine.heads.flame_file import FACES, VERTICES
from engine.heads.flame_teeth import tooth_uv
from engine.heads.head import Head

TEMPLATES = ("head_template.obj", "head_template_mesh.obj")
"""Names of the OBJ as FLAME and GaussianAvatars give it out."""

_MAX_BYTES = 1 << 25
_MOST = 100_000
"""Texture coordinates; FLAME has 5,118."""
_REMEDY = (
    "Choose head_template.obj, which comes with FLAME's texture space at "
    "https://flame.is.tue.mpg.de."
)


def template_of(model: Path, digest: str) -> Path | None:
    """The template OBJ of a FLAME model: that beside its file, else the one it was given last.

    Args:
        model: its file.
        digest: of its arrays.
    """
    found = (model.with_name(name) for name in TEMPLATES)
    return next((path for path in (*found, _given(digest)) if path.is_file()), None)


def give_template(head: Head, path: str | Path) -> None:
    """Let the heads of a FLAME model have the UV layout of a template OBJ from now on.

    It is copied into the user's cache folder; one that lies beside the model's file counts first.

    Args:
        head: any head of the model.
        path: ``head_template.obj``.

    Raises:
        BadInputError: as :func:`with_template_uv`.
    """
    with_template_uv(head, path)
    copy_file(path, _given(head.source.digest))


def _given(digest: str) -> Path:
    """The copy of a template that was given for a FLAME model; deleting it is safe."""
    return cache_folder() / "heads" / f"uv-{digest}.obj"


def with_template_uv(head: Head, path: str | Path) -> Head:
    """A FLAME head with the texture coordinates of the template OBJ; teeth get a corner of it.

    Args:
        head: of FLAME, with or without teeth, of any identity.
        path: ``head_template.obj``: triangles of FLAME with ``vt``, in any order.

    Raises:
        BadInputError: another kind of head, no such file, or not FLAME's triangles with texture
            coordinates.
    """
    path = Path(path)
    if head.source.kind != "flame":
        raise BadInputError(
            f"{path} lays out FLAME's mesh; head '{head.id}' is no FLAME head.",
            "Leave the template out: other heads have a UV layout of their own.",
        )
    uv, corners = _read(path)
    faces = head.faces[:FACES]
    found = np.full((FACES, 3), -1, np.int64)
    for row, face in enumerate(faces.tolist()):
        at = corners.get(tuple(sorted(face)))
        if at is not None:
            found[row] = [at[vertex] for vertex in face]
    if missing := int((found < 0).any(axis=1).sum()):
        raise BadInputError(
            f"{path} is not FLAME's template: {missing:,} of {FACES:,} triangles of the head are "
            "not in it with texture coordinates.",
            _REMEDY,
        )
    parts, numbers = [uv], [found]
    if len(teeth := head.faces[FACES:]):
        parts.append(tooth_uv())
        numbers.append(teeth.astype(np.int64) - VERTICES + len(uv))
    return replace(
        head,
        uv=np.concatenate(parts).astype(np.float32),
        uv_faces=np.concatenate(numbers).astype(np.int32),
    )


def _read(path: Path) -> tuple[Float, dict[tuple[int, ...], dict[int, int]]]:
    """The (U, 2) texture coordinates, and of each triangle that of each of its vertices.

    Triangles are known by their vertices' numbers in rising order.
    """
    try:
        if not path.is_file():
            raise BadInputError(f"There is no file {path}.", f"Check the path. {_REMEDY}")
        if path.stat().st_size > _MAX_BYTES:
            raise BadInputError(f"{path} has over {_MAX_BYTES >> 20} MB, as no template has.")
        lines = path.read_text("utf-8", "replace").splitlines()
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}.", _REMEDY) from error
    coordinates: list[list[float]] = []
    corners: dict[tuple[int, ...], dict[int, int]] = {}
    try:
        for line in lines:
            kind, *words = line.split() or [""]
            if kind == "vt":
                coordinates.append([float(word) for word in words[:2]])
            elif kind == "f" and len(words) == 3:
                pairs = [word.split("/")[:2] for word in words]
                at = {int(vertex) - 1: int(texture) - 1 for vertex, texture in pairs}
                corners[tuple(sorted(at))] = at
    except ValueError as error:
        raise BadInputError(
            f"{path} cannot be read as an OBJ with texture coordinates: {error}.", _REMEDY
        ) from error
    uv: NDArray[np.float32] = np.array(coordinates, np.float32).reshape(-1, 2)
    numbers = [number for at in corners.values() for number in at.values()]
    if not len(uv) or len(uv) > _MOST or not np.isfinite(uv).all():
        raise BadInputError(f"{path} has no texture coordinates that can be used.", _REMEDY)
    if numbers and (min(numbers) < 0 or max(numbers) >= len(uv)):
        raise BadInputError(f"{path}: a triangle names a texture coordinate that is not there.")
    return uv, corners
