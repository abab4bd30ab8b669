# SPDX-License-Identifier: GPL-3.0-or-later
"""Render farms: frames in chunks, by Flamenco or any farm that runs commands.

Frames of a scene do not depend on each other, so chunks of them, on any machines, are the same
pictures as one run (tests/blender_addon/test_farm.py).
"""

from __future__ import annotations

import zipfile
from importlib.resources import as_file, files
from pathlib import Path

from engine.core import platforms
from engine.core.errors import BadInputError
from engine.core.files import copy_file, write_text

ENABLE, JOB_TYPE, COMMANDS = "enable_extension.py", "gaussianspeech_render.js", "commands.txt"
EXTENSION = "gaussianspeech.zip"


def chunks(first: int, last: int, size: int) -> list[tuple[int, int]]:
    """First and last frame of each chunk.

    Args:
        first: of all frames.
        last: of all frames.
        size: frames of a chunk; the last one may have fewer.

    Raises:
        BadInputError: no frames, or a chunk without any.
    """
    if last < first or size < 1:
        raise BadInputError(
            f"There are no chunks of {size} frames from {first} to {last}.",
            "Give FIRST-LAST, and at least one frame for each chunk.",
        )
    return [(start, min(last, start + size - 1)) for start in range(first, last + 1, size)]


def command(blender: str, scene: Path, script: Path, frames: tuple[int, int]) -> str:
    """The command line of a chunk, by the rules of this system's shells.

    Blender does what its arguments say in their order: the extension is there before the scene.
    """
    first, last = frames
    words = [blender, "--background", "--python-exit-code", "1", "--python", str(script)]
    words += [str(scene), "--frame-start", str(first), "--frame-end", str(last), "--render-anim"]
    return platforms.join_command(words)


def write_farm(
    out: Path,
    scene: Path,
    parts: list[tuple[int, int]],
    *,
    blender: str = "blender",
    extension: Path | None = None,
) -> list[Path]:
    """Write what a farm needs into a folder that its machines see.

    Args:
        out: the folder.
        scene: the .blend, at this path on every machine.
        parts: of :func:`chunks`.
        blender: the program on the machines.
        extension: the extension's zip, for machines that do not have it installed.

    Returns:
        The files: the commands, the script that they run first, the job type for Flamenco, and the
        zip where there is one.

    Raises:
        BadInputError: no such scene or zip, or the folder cannot be written.
    """
    if scene.suffix.lower() != ".blend" or not scene.is_file():
        raise BadInputError(f"There is no scene {scene}.", "Give a saved .blend.")
    if extension is not None and not _is_extension(extension):
        raise BadInputError(
            f"{extension} is not the extension's zip.", "'nox -s extension' makes it."
        )
    out, written = out.resolve(), []
    for name in (ENABLE, JOB_TYPE):
        with as_file(files("engine.farm") / name) as source:
            copy_file(source, out / name)
        written.append(out / name)
    if extension is not None:
        copy_file(extension, out / EXTENSION)
        written.append(out / EXTENSION)
    lines = [command(blender, scene.resolve(), out / ENABLE, part) for part in parts]
    write_text(out / COMMANDS, "\n".join(lines) + "\n")
    return [out / COMMANDS, *written]


def _is_extension(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return {"blender_manifest.toml", "blender_addon/standalone.py"} <= set(
                archive.namelist()
            )
    except (OSError, zipfile.BadZipFile):
        return False
