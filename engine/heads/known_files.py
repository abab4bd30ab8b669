# SPDX-License-Identifier: GPL-3.0-or-later
"""Where on this machine the files lie that heads are made from: found again by what they hold.

An avatar carries its head but not FLAME, which everyone licenses for themselves: it names the model
by file and digest. A file that was read once is remembered under its digest in the user's cache
folder, so that whoever trained an avatar needs not name the model again. Deleting the folder is
safe.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.core.errors import BadInputError, MissingDependencyError
from engine.core.files import is_file, write_text
from engine.core.runtime import cache_folder

ENVIRONMENT = "GAUSSIANSPEECH_FLAME"
"""Environment variable with a FLAME model file, or a folder of such files."""

FLAME, FILE = "flame", "file"
"""Kinds: a FLAME model, whose digest is of its arrays; any other file, whose digest is of it."""

FLAME_NAMES = (
    *("flame2023.pkl", "flame2023_Open.pkl", "generic_model.pkl"),
    *("flame2023.npz", "flame2023_Open.npz", "generic_model.npz"),
)
"""What FLAME's files are called, in the order in which they are looked for."""

_LARGEST_PATH = 4096


def remember(digest: str, path: Path, kind: str) -> None:
    """Note where a file lies; where the cache cannot be written nothing is noted."""
    note, text = _notes() / f"{kind}-{digest}.txt", str(path.resolve())
    with contextlib.suppress(OSError):
        if not note.is_file() or note.read_text("utf-8") != text:
            write_text(note, text)


def find(kind: str, file: str, digest: str, near: Path, digest_of: Callable[[Path], str]) -> Path:
    """A file by name and content.

    Looked for in ``near``, in the folder or file of :data:`ENVIRONMENT` (FLAME), and where it was
    read before.

    Args:
        kind: :data:`FLAME` or :data:`FILE`.
        file: its name, without a folder.
        digest: of its content.
        near: folder of what names it.
        digest_of: gives the digest of a file.

    Raises:
        MissingDependencyError: it is not there; says what was looked for, and where.
    """
    other = None
    for path in _candidates(kind, Path(file).name, digest, near):
        if digest_of(path) == digest:
            return path
        other = path
    found = f"; {other} is another" if other else ""
    raise MissingDependencyError(
        f"The head's file {Path(file).name} (SHA-256 of its content {digest[:12]}…) was not found"
        f"{found}.",
        f"Name it with --head, put it into {near}"
        + (f", or set {ENVIRONMENT} to its path." if kind == FLAME else "."),
    )


def find_any_flame(near: Path, digest_of: Callable[[Path], str]) -> Path:
    """The FLAME model for parameters that do not say which: near them, or the only one known.

    Args:
        near: folder of the parameters.
        digest_of: gives the digest of a model file.

    Raises:
        MissingDependencyError: there is none, or there are several.
    """
    for name in FLAME_NAMES:
        if (near / name).is_file():
            return near / name
    known = {digest_of(path): path for path in (*_from_environment(), *_remembered())}
    if len(known) == 1:
        return next(iter(known.values()))
    count = "none is known" if not known else f"{len(known)} are known"
    raise MissingDependencyError(
        f"The parameters in {near} need the FLAME model they were fitted with; {count}.",
        f"Name it with --head, put it beside them, or set {ENVIRONMENT} to its path.",
    )


def _candidates(kind: str, file: str, digest: str, near: Path) -> Iterator[Path]:
    names = (file, *(FLAME_NAMES if kind == FLAME else ()))
    for name in dict.fromkeys(names):
        if is_file(near / name):
            yield near / name
    if kind == FLAME:
        yield from _from_environment()
    remembered = _path_in(_notes() / f"{kind}-{digest}.txt")
    if remembered is not None:
        yield remembered


def _from_environment() -> Iterator[Path]:
    named = os.environ.get(ENVIRONMENT)
    if not named:
        return
    path = Path(named)
    if path.is_file():
        yield path
    elif path.is_dir():
        yield from (path / name for name in FLAME_NAMES if (path / name).is_file())
    else:
        raise BadInputError(
            f"{ENVIRONMENT} names {path}, which is not there.", "Correct or unset it."
        )


def _remembered() -> Iterator[Path]:
    for note in sorted(_notes().glob(f"{FLAME}-*.txt")):
        path = _path_in(note)
        if path is not None:
            yield path


def _path_in(note: Path) -> Path | None:
    """The file that a note names, where both are there."""
    try:
        with note.open(encoding="utf-8") as stream:
            path = Path(stream.read(_LARGEST_PATH))
        return path if path.is_file() else None
    except (OSError, ValueError):
        return None


def _notes() -> Path:
    return cache_folder() / "heads"
