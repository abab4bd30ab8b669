# SPDX-License-Identifier: GPL-3.0-or-later
"""Each row of Tables 3 and 4 speaks a sentence that no step saw, beside the captured motion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from engine.audio.loading import load_speech
from engine.core.files import atomic_write
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.recognition.recognizer import recognize
from engine.rendering.video import Frame, write_video
from training.data.recorded_motion import read_motion
from training.evaluation.held_out import SPOKEN
from training.evaluation.report.speech_frames import FacePictures
from training.metrics.vertex import first_frames
from training.paper.speech import SpeechData, loaded

VIDEO, STILLS, TRUTH = "talk.mp4", "stills.png", "truth.png"
_SIZE = 224
_SHOWN = 4
"""Frames in a row of the contact sheet."""


def film_row(
    data: SpeechData, preset: str, seed: int, folder: Path, avatar: Path | None = None
) -> None:
    """Write ``talk.mp4``, truth on the left and the row on the right, and stills of each.

    Args:
        data: the recordings.
        preset: the row.
        seed: of its training.
        folder: where to write.
        avatar: file of the avatar that is shown; without, the default one, or the mesh.
    """
    true, ours = _performances(data, preset, seed)
    pictures = FacePictures(data.head, None if avatar is None else str(avatar))
    chosen = sorted({int(i) for i in np.linspace(0, true.frames - 1, _SHOWN + 2)[1:-1]})
    strips: list[list[Frame]] = [[], []]

    def frames() -> Iterator[Frame]:
        both = (pictures.render_video(motion, _SIZE) for motion in (true, ours))
        for number, pair in enumerate(zip(*both, strict=True)):
            if number in chosen:
                for strip, picture in zip(strips, pair, strict=True):
                    strip.append(picture)
            yield np.concatenate(pair, axis=1)

    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / VIDEO, frames(), true.fps, quality=23)
    for name, strip in zip((TRUTH, STILLS), strips, strict=True):
        with atomic_write(folder / name) as temporary:
            Image.fromarray(np.concatenate(strip, axis=1)).save(temporary, "PNG")


def _performances(data: SpeechData, preset: str, seed: int) -> tuple[Performance, Performance]:
    """The captured motion of the first test recording, and the row's."""
    recording = data.found.named(data.found.split()["test"][0])
    speech = load_speech(recording.audio)
    motion = read_motion(recording, data.who, speech)
    if recording.name not in data.recognized:
        data.recognized[recording.name] = recognize(speech, recording.text)
    model, known = loaded(data, preset, seed), data.recognized[recording.name]
    ours = predict(speech, data.head, motion.fps, recognized=known, model=model, style=SPOKEN)
    names = data.head.expression_names
    expression = motion.expression
    if expression is None or expression.shape[1] != len(names):
        # A motion of vertices alone: colours that follow expressions are those at rest.
        expression = np.zeros((len(motion.weights), len(names)), np.float32)
    true = Performance(motion.fps, motion.weights, motion.basis, expression, names, data.head.id)
    frames = max(1, round(data.plan.size.seconds * motion.fps))
    frames = min(frames, ours.frames, true.frames)
    return first_frames(true, frames), first_frames(ours, frames)
