# SPDX-License-Identifier: GPL-3.0-or-later
"""A second Blender that exports beside this one, from a copy of the objects that it needs.

Writing the copy takes hundredths of a second on the main thread; everything else happens in a
thread and in the other process. A file stands under its name only when it is whole, and cancelling
ends the process and leaves nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import bpy

from ...engine.core import platforms
from ...engine.core.errors import BadInputError, CancelledError, GaussianSpeechError
from ...engine.core.files import unwritable
from ..engine_link.future import ThreadFuture
from .child import MARK

_SCRIPT = Path(__file__).with_name("child.py")
_LAST_LINES = 8
"""Of what the other Blender says, for the message where it ends without a word of its own."""
_CRASHED = "Export again; where that repeats, free some memory or try another format."

_SCENE = (
    *("render.fps", "render.fps_base", "render.frame_map_old", "render.frame_map_new"),
    *("unit_settings.system", "unit_settings.scale_length", "gravity", "use_gravity"),
    *("render.use_simplify", "render.simplify_subdivision_render", "render.simplify_subdivision"),
)
"""What of a scene changes how its objects play or how large they are in a file."""


class ExportFolder:
    """A temporary folder with the copy of the objects and the request; made on the main thread.

    Args:
        context: of the scene.
        objects: what is exported, the main one first.
        frames: scene frames.
        kind: of the file, as :data:`.child.WRITERS` lists them.
        sound_scene: a scene whose sequencer is mixed down over the frames, or ``None``.
        sound_files: sound files that play too, with the scene frame where each begins.
        options: of the kind.

    Raises:
        BadInputError: the copy cannot be written.
    """

    def __init__(
        self,
        context: bpy.types.Context,
        objects: Sequence[bpy.types.Object],
        frames: range,
        kind: str,
        *,
        sound_scene: bpy.types.Scene | None = None,
        sound_files: Sequence[tuple[str, int]] = (),
        **options: Any,
    ) -> None:
        self.path = Path(
            tempfile.mkdtemp(prefix="gaussianspeech-export-", dir=bpy.app.tempdir or None)
        )
        blend = self.path / "scene.blend"
        # Blender 4.2 ends when it is to write nothing: what is only linked does not come along.
        filler = bpy.data.collections.new("GaussianSpeech Export")
        try:
            copied = {obj for obj in objects if obj.library is None}
            scenes = set() if sound_scene is None else {sound_scene}
            # Relative paths of images and libraries would no longer lead to them.
            written = {filler} | copied | scenes
            bpy.data.libraries.write(str(blend), written, path_remap="ABSOLUTE")
        except (OSError, RuntimeError) as error:
            self.remove()
            raise BadInputError(
                f"A copy of the scene cannot be written to {self.path}: {error}.",
                "Free some space, or choose another Temporary Files folder in the preferences.",
            ) from error
        finally:
            bpy.data.collections.remove(filler)
        self.frames = frames
        self.sound = self.path / "sound.wav"
        """Where the sound is once the other Blender is done, if any was asked for."""
        sound = {
            "scene": "" if sound_scene is None else sound_scene.name,
            "files": list(sound_files),
            "out": str(self.sound),
        }
        self.request = {
            "kind": kind,
            "blend": str(blend),
            "objects": [_identity(obj) for obj in objects],
            "frames": [frames.start, frames.stop - 1],
            "scene": {path: _plain(context.scene.path_resolve(path)) for path in _SCENE},
            # Drivers that the user has not allowed here must not run there either.
            "run_scripts": not bpy.app.autoexec_fail,
            "sound": sound if sound_scene or sound_files else None,
            **options,
        }

    def remove(self) -> None:
        """Remove it with everything in it."""
        shutil.rmtree(self.path, ignore_errors=True)


class BackgroundExport(ThreadFuture):
    """An export by a second Blender, as a future whose result is what ``finish`` returns.

    Args:
        folder: the copy and the request; removed at the end, however it ends.
        out: the file that the other Blender is to write.
        finish: called in the thread with what the other Blender reported.
        label: for messages and progress.
    """

    def __init__(
        self,
        folder: ExportFolder,
        out: Callable[[], contextlib.AbstractContextManager[Path]],
        finish: Callable[[Path, dict[str, Any]], Any],
        label: str,
    ) -> None:
        self._folder, self._out, self._finish = folder, out, finish
        self._progress = (0.0, "starting Blender in the background")
        super().__init__(self._export, label)

    def poll(self) -> tuple[float, str]:
        """Fraction in [0, 1] and message of the last progress."""
        return self._progress

    def _export(self, cancelled: threading.Event) -> Any:
        try:
            with self._out() as out:
                report = self._carry_out({**self._folder.request, "out": str(out)}, cancelled)
                self._progress = (1.0, "writing the file")
                return self._finish(out, report)
        finally:
            self._folder.remove()

    def _carry_out(self, request: dict[str, Any], cancelled: threading.Event) -> dict[str, Any]:
        path = self._folder.path / "request.json"
        try:
            path.write_text(json.dumps(request), "utf-8")
        except OSError as error:
            raise unwritable(path, error) from error
        process = platforms.Child(
            [*_blender(), str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            cwd=self._folder.path,
            # The user's preferences, add-ons and start-up file have no part in it.
            env=os.environ | {"BLENDER_USER_RESOURCES": str(self._folder.path / "user")},
        )
        assert process.stdout is not None
        watcher = threading.Thread(target=_kill_when, args=(cancelled, process), daemon=True)
        watcher.start()
        try:
            message, last = self._follow(process, len(self._folder.frames))
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        if cancelled.is_set():
            raise CancelledError
        if "error" in message:
            raise GaussianSpeechError(
                f"Blender's exporter failed: {message['error'].strip().rstrip('.')}.",
                "Try another format, or export with File > Export to see more.",
            )
        if "done" not in message:
            said = " ".join(last)[-200:]
            raise GaussianSpeechError(f"The Blender that exports ended early. {said}", _CRASHED)
        done: dict[str, Any] = message["done"]
        return done

    def _follow(
        self, process: subprocess.Popen[str], frames: int
    ) -> tuple[dict[str, Any], list[str]]:
        """Read to the end; the last message, and the last lines that were none."""
        assert process.stdout is not None
        last: list[str] = []
        message: dict[str, Any] = {}
        for line in process.stdout:
            if not line.startswith(MARK):
                last = [*last[1 - _LAST_LINES :], line.strip()] if line.strip() else last
                continue
            message = json.loads(line[len(MARK) :])
            if "progress" not in message:
                break
            fraction = float(message["progress"])
            frame = min(frames, int(fraction * frames + 1.5))
            self._progress = (fraction, f"frame {frame} of {frames}")
        return message, last


def _kill_when(cancelled: threading.Event, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        if cancelled.wait(0.05):
            process.kill()
            return


def _blender() -> list[str]:
    """The command that runs the script in another Blender, which may be a Python module."""
    if bpy.app.binary_path:
        options = ["--background", "--factory-startup", "--python-exit-code", "1"]
        return [bpy.app.binary_path, *options, "--python", str(_SCRIPT), "--"]
    return [sys.executable, str(_SCRIPT)]


def _identity(obj: bpy.types.Object) -> list[str]:
    library = bpy.path.abspath(obj.library.filepath) if obj.library else ""
    return [obj.name, library]


def _plain(value: Any) -> Any:
    return value if isinstance(value, str | int | float | bool) else list(value)
