# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing results so that nothing half-written is ever found under the final name.

Standard library only: the add-on imports this too.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import platforms
from .errors import BadInputError, GaussianSpeechError, UnwritableError

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file is larger than allowed",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EISDIR: "it is a folder",
    errno.ENOTDIR: "a part of its path is a file",
}
_HINT = "Choose another place, or make it writable and free some space."
_FOREIGN = re.compile(r"\(os error (\d+)\)|file write failed|inline_container|iostream error")
"""How safetensors and torch, which raise no OSError, report that the system refused to write."""
_STEM = 60
"""Letters of the final name in the temporary one: a file's name ends at 255 bytes."""


def is_file(path: str | Path) -> bool:
    """Whether there is such a file; not where the system could have none of that name either."""
    try:
        return Path(path).is_file()
    except (OSError, ValueError):
        return False


def by_number(path: Path) -> tuple[list[tuple[bool, int, str]], str]:
    """Sorts files by name with the numbers in it as numbers: ``2.png`` before ``10.png``."""
    parts = [part for part in re.split(r"([0-9]+)", path.stem.casefold()) if part]
    key = [(not p.isdecimal(), int(p) if p.isdecimal() else 0, p) for p in parts]
    return key, path.name


def is_hidden(path: Path) -> bool:
    """Whether systems hide a file: macOS leaves ``._NAME`` beside each NAME on foreign disks."""
    return path.name.startswith(".")


def unwritable(path: str | Path, error: BaseException) -> UnwritableError:
    """The error for the user that a file cannot be written, from what the system said."""
    return UnwritableError(f"{path} cannot be written: {_reason(error)}.", _HINT)


def is_of_writing(error: BaseException) -> bool:
    """Whether an error, of the system or in a library's own words, is that of writing."""
    if isinstance(error, OSError):
        return not isinstance(error, BrokenPipeError | ConnectionError)
    return _FOREIGN.search(str(error)) is not None


def refused_by_system(error: OSError) -> BadInputError:
    """The error for the user from what the system said about a file that was read or written."""
    what = _filename(error) or "A result or a file"
    return BadInputError(
        f"{what} cannot be used: {_reason(error)}.",
        "Check the path, the permissions and the space on the disk.",
    )


def _filename(error: OSError) -> str | None:
    """What the system named; libraries name files as bytes, too, and by their numbers."""
    name = error.filename
    if isinstance(name, bytes | os.PathLike):
        return os.fsdecode(name)
    return None if name is None else str(name)


def _reason(error: BaseException) -> str:
    code = getattr(error, "errno", None)
    if code is None and (found := _FOREIGN.search(str(error))):
        code = int(found[1]) if found[1] else errno.ENOSPC
    reason = _REASONS.get(code) if code is not None else None
    return reason or getattr(error, "strerror", None) or " ".join(str(error).split())[:120]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal digits.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; rename it to ``path`` when the block succeeds.

    The temporary name keeps the final suffix (encoders choose their format by it). When the block
    raises, the temporary file is removed and an older ``path`` stays as it was. A link stays: the
    file that it leads to is written. The file has the older one's permissions, or those of the
    umask. What a process that was killed left behind is removed by the next write of that name.

    Args:
        path: final name; its folder is made where it is missing.

    Raises:
        BadInputError: ``path`` is a folder, a device or write-protected, its folder cannot be
            written, or the disk is full; names the file. Nothing is left.
    """
    with contextlib.ExitStack() as claims, contextlib.ExitStack() as folders:
        try:
            target = platforms.long_path(Path(path).resolve())
            mode = _replaceable(path, target)
            _make_folder(target.parent, folders)
            temporary = _reserve(target, claims)
            if mode is None:
                mode = stat.S_IMODE(temporary.stat().st_mode)
        except (OSError, RuntimeError, ValueError) as error:
            raise unwritable(path, error) from error
        try:
            yield temporary
            # Writers such as that of safetensors put a file for the owner alone in its place.
            temporary.chmod(mode)
            platforms.replace(temporary, target)
        except BaseException as error:
            # Only here: once it is renamed, another may have made one of that name.
            platforms.remove(temporary)
            if isinstance(error, Exception) and _is_of_writing(error, temporary):
                raise unwritable(path, error) from error
            raise
        folders.pop_all()


def write_text(path: str | Path, text: str) -> None:
    """Write a text as UTF-8, whole or not at all; see :func:`atomic_write`."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy what a file holds, whole or not at all; see :func:`atomic_write`."""
    with atomic_write(target) as temporary:
        shutil.copyfile(source, temporary)


def _replaceable(path: str | Path, target: Path) -> int | None:
    """The permissions of the file that is to be replaced; ``None`` where there is none.

    Raises:
        BadInputError: it must not be replaced.
    """
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise BadInputError(f"{path} cannot be written: it is a folder.", "Name a file in it.")
    if not stat.S_ISREG(mode):
        raise BadInputError(f"{path} cannot be written: it is no ordinary file.", _HINT)
    if not mode & 0o222:
        raise BadInputError(
            f"{path} is write-protected.", "Choose another name, or allow writing to the file."
        )
    return stat.S_IMODE(mode)


def _make_folder(folder: Path, undo: contextlib.ExitStack) -> None:
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        with contextlib.suppress(FileExistsError):
            parent.mkdir()
            undo.callback(_remove_empty, parent)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))


def _remove_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


def _reserve(target: Path, claims: contextlib.ExitStack) -> Path:
    """A new temporary file for ``target``, which is nobody else's while it is written."""
    for number in range(1000):
        name = f".{target.stem[:_STEM]}{number or ''}.part{target.suffix[:_STEM]}"
        temporary = target.with_name(name)
        release = platforms.claim(temporary)
        if release is not None:
            claims.callback(release)
            return temporary
    raise FileExistsError(errno.EEXIST, "a thousand others are writing it", str(target))


def _is_of_writing(error: Exception, temporary: Path) -> bool:
    """Whether the system refused to write the file, rather than something else in the block."""
    if isinstance(error, GaussianSpeechError) or not is_of_writing(error):
        return False
    if not isinstance(error, OSError):
        return True
    return _filename(error) in (None, str(temporary), temporary.name)
