# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip's words amount to where it could not install: which library was not to be had. No bpy.

pip says in two ways that it has no wheel of a library: that no distribution matches, or, where
constraints pin the version, that they conflict with what asks for it.
"""

from __future__ import annotations

import re
import sysconfig
from collections.abc import Sequence
from pathlib import Path

from ...engine.core.errors import GaussianSpeechError
from .runner import NO_NETWORK, SetUpError, failure

_NOT_FOUND = re.compile(r"No matching distribution found for (.+?)(?: \(from .*\))?$", re.MULTILINE)
_PINNED = re.compile(r"The user requested \(constraint\) (\S+)")
_NAME = re.compile(r"[\w.-]*\w")
_VERSION = re.compile(r"version(?:_info)? *= *(\d+\.\d+)")


def install_failure(
    what: str, lines: Sequence[str], log: Path, wheels: Path | None, environment: Path
) -> GaussianSpeechError:
    """The error of a pip that could not install.

    Args:
        what: it means.
        lines: that pip printed.
        log: where all of them stand.
        wheels: the folder that pip looked into, or ``None`` where it looked on the network.
        environment: that it was to install into, for the version of its Python.
    """
    missing = _missing(lines, wheels)
    # pip that reaches no index finds nothing there either.
    if missing is None or (wheels is None and NO_NETWORK.search("\n".join(lines))):
        return failure(what, lines, log)
    target = f"{_python(environment)} on {sysconfig.get_platform()}"
    if wheels is None:
        return SetUpError(
            f"{what}: {missing} for {target} is not where pip looked.",
            f"Let pip's configuration name an index that has it, or choose a folder of wheels. "
            f"The whole log is {log}.",
        )
    there = [path.name for path in _wheels_of(missing, wheels)]
    others = f", but {', '.join(there[:2])}" if there else ""
    return SetUpError(
        f"{what}: the folder {wheels} has no wheel of {missing} for {target}{others}.",
        f"Put that wheel into the folder, or fill it anew with pip wheel as the user guide says "
        f"(Help, Documentation), and set up again. The whole log is {log}.",
    )


def _missing(lines: Sequence[str], wheels: Path | None) -> str | None:
    """The requirement that pip found nothing for, as it writes it; ``None`` where it found all."""
    text = "\n".join(lines)
    found = _NOT_FOUND.search(text)
    if found:
        return found[1]
    for pinned in _PINNED.findall(text) if wheels is not None else ():
        version = pinned.partition("==")[2]
        there = [path.name.split("-")[1].partition("+")[0] for path in _wheels_of(pinned, wheels)]
        if version not in there:
            return pinned
    return None


def _wheels_of(requirement: str, folder: Path) -> list[Path]:
    """The wheels in a folder of the library that a requirement names, in order of their names."""
    wanted = _normalized(_NAME.match(requirement)[0])
    try:
        paths = sorted(folder.glob("*.whl"))
    except OSError:
        return []
    return [path for path in paths if _normalized(path.name.split("-")[0]) == wanted]


def _normalized(name: str) -> str:
    """A library's name as package indexes compare them."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _python(environment: Path) -> str:
    """Python with its version, as the environment says it."""
    try:
        found = _VERSION.search((environment / "pyvenv.cfg").read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        found = None
    return f"Python {found[1]}" if found else "this Python"
