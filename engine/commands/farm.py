# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech farm``: what a render farm needs to render a scene in chunks of frames."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import tyro

from engine.commands.console import print_result
from engine.core.errors import BadInputError
from engine.farm import chunks, write_farm


def farm(
    scene: Annotated[Path, tyro.conf.Positional],
    out: Path,
    *,
    frames: str,
    chunk: int = 20,
    blender: str = "blender",
    extension: Path | None = None,
    json: bool = False,
) -> int:
    """Write what a render farm needs: a command for each chunk of frames, and Flamenco's job type.

    OUT gets commands.txt, one command a line for Deadline and others, enable_extension.py, which
    they run first, and gaussianspeech_render.js for Flamenco's Manager.

    Args:
        scene: a saved .blend, at this path on all machines of the farm.
        out: folder that all of them see.
        frames: FIRST-LAST, from 0 on.
        chunk: frames of a command; each loads the scene and its avatars once.
        blender: the program on those machines.
        extension: the extension's zip ('nox -s extension'), for machines that do not have it
            installed. They need the engine's Python, in GAUSSIANSPEECH_PYTHON.
        json: print the result as JSON.
    """
    found = re.fullmatch(r"\s*(\d{1,7})\s*-\s*(\d{1,7})\s*", frames)
    if found is None:
        # Blender's command line counts negative frames from the scene's first or last one.
        raise BadInputError(
            f"The frames {frames!r} are not FIRST-LAST.", "For example 1-250; the least is 0."
        )
    parts = chunks(int(found[1]), int(found[2]), chunk)
    written = write_farm(out, scene, parts, blender=blender, extension=extension)
    print_result({"commands": len(parts), "files": [str(path) for path in written]}, as_json=json)
    return 0
