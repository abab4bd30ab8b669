# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech demo``: the whole product on the shipped assets."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path
from typing import TYPE_CHECKING

from engine.commands.console import existing_folder, print_result, progress_bar
from engine.core import platforms
from engine.core.errors import GaussianSpeechError, MissingDependencyError
from engine.core.progress import Progress, subprogress

if TYPE_CHECKING:
    from engine.motion.performance import Performance

_FPS = 25.0
_SIZE = (720, 720)
_TURN = 12.0
"""Degrees; seen from its left, the face shows its shaded side, and with that its form."""
_GAZE, _HEAD_MOTION = 0.7, 0.8
"""Amounts of an attentive speaker, who looks into the camera."""
_LOG_LINES = 12


def demo(out: Path = Path("demo"), *, blend: bool = True) -> int:
    """Let the sample voice speak: talk.mp4, talk.blend, still.png and talk.performance.npz.

    Args:
        out: folder for the results.
        blend: also write talk.blend; needs the 'blender' extra.
    """
    if blend and importlib.util.find_spec("bpy") is None:
        raise MissingDependencyError(
            "Writing talk.blend needs Blender as a Python module, which is not installed.",
            "Install it with: pip install 'gaussianspeech[blender]', or run with --no-blend.",
        )
    existing_folder(out)
    with as_file(files("engine.assets") / "sample_voice.wav") as voice, progress_bar("demo") as bar:
        bar(0.0, "listening to the sample voice")
        plain, performance = _speak(voice)
        saved = out / "talk.performance.npz"
        performance.save(saved)
        with _scene_being_built(plain, voice, out / "talk.blend", enabled=blend) as finish_scene:
            _film(performance, voice, out, subprogress(bar, 0.1, 0.9))
            if blend:
                bar(0.9, "waiting for Blender to write talk.blend")
                finish_scene()
    made = {"video": "talk.mp4", "scene": "talk.blend", "still": "still.png"}
    if not blend:
        del made["scene"]
    paths = {name: out / file for name, file in made.items()}
    print_result({**paths, "performance": saved}, as_json=False)
    return 0


def _speak(voice: Path) -> tuple[Performance, Performance]:
    """The voice's performance, and the same with gaze and head motion for the film's camera."""
    from engine.audio.loading import load_speech
    from engine.heads import load_head
    from engine.motion.predict import predict
    from engine.motion.style import NEUTRAL, Style
    from engine.recognition.recognizer import recognize

    line = json.loads((files("engine.assets") / "sample_voice.json").read_text("utf-8"))["text"]
    style = Style(gaze=_GAZE, gaze_target=(_TURN, 2.0), head_motion=_HEAD_MOTION)
    speech, head = load_speech(voice), load_head("default")
    known = recognize(speech, line)
    plain, moved = (
        predict(speech, head, _FPS, recognized=known, style=wanted) for wanted in (NEUTRAL, style)
    )
    return plain, moved


def _film(performance: Performance, voice: Path, out: Path, progress: Progress) -> None:
    from engine.avatar import load_avatar
    from engine.heads import load_head
    from engine.rendering.frames import portrait_camera, render_still, write_still, write_video
    from engine.rendering.poster import poster_frame
    from engine.splatting.registry import choose_backend

    head = load_head(performance.head)
    avatar, backend = load_avatar("default", head), choose_backend("auto")
    camera = portrait_camera(head, *_SIZE, turn=_TURN)
    write_video(out / "talk.mp4", performance, head, avatar, backend, camera, voice, progress)
    frame = poster_frame(performance, head)
    write_still(out / "still.png", render_still(performance, head, avatar, backend, camera, frame))


@contextmanager
def _scene_being_built(
    performance: Performance, voice: Path, target: Path, *, enabled: bool
) -> Iterator[Callable[[], None]]:
    """Blender builds the scene in a process of its own while the caller continues.

    Gaze and head motion are baked there, for its camera, and where their sliders change them.

    Yields:
        A function that waits for it.
    """
    if not enabled:
        yield lambda: None
        return
    # -P: a folder of the user that is called like a package of ours must not be taken for it.
    command = [sys.executable, "-P", "-m", "blender_addon.talk_scene"]
    command += ["--audio", str(voice), "--out", str(target)]
    command += ["--gaze", str(_GAZE), "--head-motion", str(_HEAD_MOTION)]
    with (
        tempfile.TemporaryDirectory(prefix="gaussianspeech-") as folder,
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log,
    ):
        saved = Path(folder, "talk.performance.npz")
        performance.save(saved)
        command += ["--performance", str(saved)]
        process = platforms.Child(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)

        def finish() -> None:
            if process.wait() != 0 or not target.is_file():
                log.seek(0)
                tail = " ".join(log.read().split("\n")[-_LOG_LINES:])
                raise GaussianSpeechError(
                    f"Blender could not write {target}: {tail}",
                    "Run again with --no-blend to leave it out.",
                )

        try:
            yield finish
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
