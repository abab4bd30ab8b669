# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of a batch's results, and the records by which nothing is done twice.

``OUT/NAME.SUFFIX`` are results, ``OUT/.batch/NAME.json`` says of what inputs each was made, and its
own digest. An output counts as done where both digests are as they should be.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from engine.core import platforms
from engine.core.errors import BadInputError, GaussianSpeechError
from engine.core.files import file_digest, unwritable, write_text
from engine.core.json_values import read_json

FOLDER = ".batch"
_TOKEN, _LOCK = ".token", ".lock"
"""No part of a line's name begins with a dot."""
_FORMAT = "gaussianspeech-batch-1"


@contextlib.contextmanager
def opened(out: Path) -> Iterator[str]:
    """Hold a folder of results, made where it is missing, against a second batch; its token.

    The lock is the system's own: it ends with the process, however that ends.

    Raises:
        BadInputError: it cannot be written, or another batch is at work in it.
    """
    try:
        (out / FOLDER).mkdir(parents=True, exist_ok=True)
        release = platforms.claim(out / FOLDER / _LOCK)
    except OSError as error:
        raise unwritable(out, error) from error
    if release is None:
        raise BadInputError(
            f"Another batch is at work in {out}.", "Wait for it, or choose another --out."
        )
    try:
        yield _token(out)
    finally:
        release()


def _token(out: Path) -> str:
    path = out / FOLDER / _TOKEN
    if not path.is_file():
        write_text(path, secrets.token_hex(16))
    return path.read_text("ascii", "replace")


def check_seen(out: Path, token: str) -> None:
    """See that this machine has the batch's own folder at that path.

    Raises:
        GaussianSpeechError: it has not.
    """
    path = out / FOLDER / _TOKEN
    if not path.is_file() or _token(out) != token:
        raise GaussianSpeechError(
            f"This machine does not see the batch's folder {out}.",
            "Mount it at the same path on every machine.",
        )


class Record:
    """What is known of the outputs of one line.

    Args:
        out: folder of the results.
        name: of the line.
    """

    def __init__(self, out: Path, name: str) -> None:
        self._out = out
        self._path = out / FOLDER / f"{name}.json"
        self._outputs: dict[str, Any] = {}
        # A record that is damaged says nothing: its outputs are made again.
        with contextlib.suppress(BadInputError):
            about = read_json(self._path)
            if about.text("format") == _FORMAT:
                self._outputs = dict(about.group("outputs").values)

    def is_done(self, kind: str, file: str, inputs: str) -> bool:
        """Whether an output lies there whole, made of these inputs.

        Args:
            kind: of the output.
            file: its name below the folder.
            inputs: digest of all that it is made of.
        """
        known = self._outputs.get(kind)
        if not isinstance(known, dict) or known.get("inputs") != inputs:
            return False
        path = self._out / file
        try:
            as_large = path.stat().st_size == known.get("bytes")
            return as_large and known.get("sha256") == file_digest(path)
        except OSError:
            return False

    def add(self, kind: str, file: str, inputs: str) -> None:
        """Note an output that has been written.

        Raises:
            BadInputError: the record cannot be written.
        """
        path = self._out / file
        about = {"inputs": inputs, "bytes": path.stat().st_size, "sha256": file_digest(path)}
        self._outputs[kind] = {"file": file, **about}
        content = {"format": _FORMAT, "outputs": self._outputs}
        write_text(self._path, json.dumps(content, indent=1) + "\n")


def input_digest(path: str | Path) -> str:
    """SHA-256 of a file, or of all files of a folder; read again where one has changed.

    Raises:
        BadInputError: there is no such file or folder.
    """
    path = Path(path)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    try:
        found = [(str(file), file.stat()) for file in files if not file.is_dir()]
        parts = [_digest(name, stat.st_mtime_ns, stat.st_size) for name, stat in found]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"{path} cannot be read: {reason}.", "Check the path.") from error
    return hashlib.sha256("".join(parts).encode()).hexdigest()


@lru_cache(maxsize=256)
def _digest(path: str, _time: int, _size: int) -> str:
    return file_digest(Path(path))
