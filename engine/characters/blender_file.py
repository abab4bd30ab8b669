# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of .blend and .fbx files, by Blender as a Python module in a process of its own.

Blender may crash on a damaged file, and keeps its scene for the whole process: so the engine never
loads it itself. The child is :mod:`engine.characters.blender_process`.
"""

from __future__ import annotations

import importlib.util
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from engine.characters.character import Clip, Part, Rig
from engine.core import platforms
from engine.core.arrays import Double
from engine.core.errors import BadInputError, GaussianSpeechError, MissingDependencyError
from engine.core.files import atomic_write
from engine.core.json_values import JsonObject, read_json
from engine.motion.characters.rigs import RestBone

_LOG = 200
"""Letters of Blender's output in an error."""


@dataclass(frozen=True)
class BlenderCharacter:
    """A .blend or .fbx file as a character."""

    path: Path
    parts: tuple[Part, ...]
    rigs: tuple[Rig, ...]

    @property
    def suffixes(self) -> tuple[str, ...]:
        """A .blend stays one; an .fbx may become one."""
        return (".blend",) if self.path.suffix.lower() == ".blend" else (".fbx", ".blend")

    def save(self, out: Path, clips: Sequence[Clip]) -> tuple[str, ...]:
        """Write the scene with the clip as an NLA strip; see :class:`Character`."""
        if out.suffix.lower() not in self.suffixes:
            kinds = " or ".join(self.suffixes)
            raise BadInputError(
                f"{self.path} cannot be written as {out.name}.", f"End it in {kinds}."
            )
        if len(clips) != 1:
            raise BadInputError(
                f"{self.path} takes one recording at a time, not {len(clips)}.",
                "Animate them into files of their own, or a .glb.",
            )
        (clip,) = clips
        spoken = {self.parts[number].name: values for number, values in clip.values.items()}
        with tempfile.TemporaryDirectory(prefix="gaussianspeech-") as folder:
            # Fixed keys: names of objects may be anything, those of a zip's members not.
            arrays = {f"values_{i}": values.values for i, values in enumerate(spoken.values())}
            arrays |= {f"bones_{i}": values.values for i, values in clip.bones.items()}
            np.savez(Path(folder, "clip.npz"), head=clip.head_rotation, **arrays)
            request: dict[str, Any] = {
                "name": clip.name,
                "fps": clip.fps,
                "objects": {name: list(values.keys) for name, values in spoken.items()},
                "rigs": {
                    self.rigs[number].name: {
                        "array": f"bones_{number}",
                        "channels": [list(channel) for channel in bones.channels],
                        "head_shares": dict(bones.head_shares),
                    }
                    for number, bones in clip.bones.items()
                },
                "values": str(Path(folder, "clip.npz")),
            }
            with atomic_write(out) as temporary:
                answer = _ask(self.path, request | {"out": str(temporary.absolute())})
                if not temporary.stat().st_size:
                    raise GaussianSpeechError(
                        f"Blender wrote nothing as {out}.", "Choose another kind of file."
                    )
        left_out: tuple[str, ...] = answer.texts("left_out")
        return left_out


def open_blender(path: Path) -> BlenderCharacter:
    """Read a file's objects with their shape keys, and its rigs with their bones.

    Raises:
        BadInputError: no such file, or Blender cannot read it.
        MissingDependencyError: bpy is not installed.
    """
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    if importlib.util.find_spec("bpy") is None:
        raise MissingDependencyError(
            f"Reading {path.name} needs Blender as a Python module, which is not installed.",
            "Install it with: pip install 'gaussianspeech[blender]', or export a .glb.",
        )
    answer = _ask(path, {})
    parts = (Part(one.text("name"), one.texts("keys")) for one in answer.groups("parts"))
    rigs = (_rig(one) for one in answer.groups("rigs"))
    return BlenderCharacter(path, tuple(parts), tuple(rigs))


def _rig(values: JsonObject) -> Rig:
    """A rig as the child describes it."""
    bones = (
        RestBone(
            name=one.text("name"),
            parent=one.text("parent"),
            head=_array(one, "head", 3),
            tail=_array(one, "tail", 3),
            axes=_array(one, "axes", 3, 3),
            location_axes=_array(one, "location_axes", 3, 3),
            connected=one.flag("connected", default=False),
        )
        for one in values.groups("bones")
    )
    properties = {
        (one.text("bone"), one.text("channel")): one.number("default")
        for one in values.groups("properties")
    }
    return Rig(values.text("name"), tuple(bones), _array(values, "up", 3), properties, {})


def _array(values: JsonObject, name: str, *shape: int) -> Double:
    flat = values.numbers(name, math.prod(shape))
    array: Double = np.asarray(flat, np.float64).reshape(shape)
    return array


def _ask(path: Path, request: dict[str, Any]) -> JsonObject:
    """Let a child with Blender read a file, and write another where the request names one.

    Raises:
        BadInputError: Blender said that it cannot.
        GaussianSpeechError: Blender crashed.
    """
    with (
        tempfile.TemporaryDirectory(prefix="gaussianspeech-") as folder,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
    ):
        asked, answer = Path(folder, "request.json"), Path(folder, "answer.json")
        values = request | {"file": str(path.absolute()), "answer": str(answer)}
        asked.write_text(json.dumps(values), "utf-8")
        code = run_blender(asked, log)
        if code or not answer.is_file():
            log.seek(0)
            tail = " ".join(log.read().split())[-_LOG:]
            raise GaussianSpeechError(
                f"Blender failed on {path}: {tail}", "Open the file in Blender, and save it again."
            )
        found = read_json(answer)
    if "error" in found:
        raise BadInputError(
            f"{path} cannot be used by Blender: {found.text('error')}",
            "Open it in Blender, and save or export it again.",
        )
    return found


def run_blender(request: Path, log: IO[str]) -> int:
    """Let a new process answer a request; gives its exit status."""
    # -P: a folder of the user that is called like a package of ours must not be taken for it.
    command = [sys.executable, "-P", "-m", "engine.characters.blender_process", str(request)]
    done = platforms.run(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    return done.returncode
