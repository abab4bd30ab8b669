# SPDX-License-Identifier: GPL-3.0-or-later
"""Copying an avatar's file, and what belongs to it. No bpy."""

from __future__ import annotations

import contextlib
import filecmp
import threading
from pathlib import Path
from typing import BinaryIO

from ...engine.core.errors import BadInputError, CancelledError
from ...engine.core.files import atomic_write

FLAME_PARAM = "flame_param.npz"
"""GaussianAvatars' motion and identity, which its programs expect beside ``point_cloud.ply``."""

_BLOCK = 1 << 22
"""Bytes between two checks for a cancel."""


def copy_avatar(source: Path, target: Path, cancelled: threading.Event) -> None:
    """Copy an avatar, whole or not at all; a ``.ply`` takes its ``flame_param.npz`` along.

    Args:
        source: ``.safetensors``, or ``.ply`` of GaussianAvatars.
        target: replaced where there is one.
        cancelled: set when the copy is wanted no longer.

    Raises:
        BadInputError: there is no such avatar, the target is the avatar itself, cannot be written,
            or lies beside another avatar's ``flame_param.npz``.
        CancelledError: it is wanted no longer; an older target stays as it was.
    """
    if not source.is_file():
        raise BadInputError(
            f"There is no avatar file {source}.",
            "It was moved or deleted: bind another, with Open Avatar or Use Avatar.",
        )
    if target.exists() and target.samefile(source):
        raise BadInputError(
            f"{target} is the avatar that is bound to the head.", "Choose another name or folder."
        )
    motion = source.with_name(FLAME_PARAM)
    takes_motion = source.suffix.lower() == ".ply" and motion.is_file()
    if takes_motion:
        _check_beside(motion, target.with_name(FLAME_PARAM))
    try:
        _copy(source, target, cancelled)
        if takes_motion:
            _copy(motion, target.with_name(FLAME_PARAM), threading.Event())
    except OSError as error:
        raise BadInputError(
            f"{source} cannot be copied to {target}: {error.strerror or error}.",
            "Check the folder's permissions and the free space, or choose another folder.",
        ) from error


def _check_beside(motion: Path, there: Path) -> None:
    """See that no other avatar's motion is replaced: the name is the same for all."""
    if there.exists() and not filecmp.cmp(there, motion, shallow=False):
        raise BadInputError(
            f"{there.parent} holds the {FLAME_PARAM} of another avatar, and {motion.parent.name} "
            "brings its own.",
            "Choose a folder of its own for the avatar.",
        )


def _copy(source: Path, target: Path, cancelled: threading.Event) -> None:
    with contextlib.suppress(OSError):
        if target.samefile(source):
            return
    with atomic_write(target) as temporary, source.open("rb") as old, temporary.open("wb") as new:
        _pump(old, new, cancelled)


def _pump(old: BinaryIO, new: BinaryIO, cancelled: threading.Event) -> None:
    while block := old.read(_BLOCK):
        if cancelled.is_set():
            raise CancelledError
        new.write(block)
