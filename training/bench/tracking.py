# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracking a film, beside MediaPipe alone on the same pictures."""

from __future__ import annotations

import time
from dataclasses import replace

from engine.avatar import load_avatar
from engine.core.progress import no_progress
from engine.heads import load_head
from engine.motion.predict import predict
from engine.rendering.frames import write_video
from engine.splatting.registry import choose_backend
from training.bench.figures import Part
from training.bench.speech import sample


def tracking(part: Part) -> None:
    """Looking for a face and fitting the head, on a film of the default avatar."""
    from training.tracking.film import open_film, pictures
    from training.tracking.mediapipe_faces import HandDetector, open_detector
    from training.tracking.scan import scan
    from training.tracking.track import track_scan

    head, (said, _) = load_head("default"), sample()
    frames = 25 if part.quick else 75
    spoken = predict(said, head, 25.0, recognizer="phones")
    kept = slice(0, frames)
    shown = replace(
        spoken,
        weights=spoken.weights[kept],
        expression=spoken.expression[kept],
        head_rotation=spoken.head_rotation[kept],
    )
    film = part.folder / "film.mp4"
    write_video(film, shown, head, load_avatar("default", head), choose_backend("auto"))
    opened = open_film(film, 1280)
    images = [image for _, image in pictures(opened)]
    alone = open_detector()
    alone.detect(images[0], 0.0)
    start = time.perf_counter()
    for number, image in enumerate(images):
        alone.detect(image, number / 25)
    reference = time.perf_counter() - start
    start = time.perf_counter()
    found = scan(opened, open_detector(), HandDetector(), part.folder, no_progress)
    looked = time.perf_counter() - start
    start = time.perf_counter()
    track_scan(opened, found, None, no_progress)
    fitted = time.perf_counter() - start
    name, per = "MediaPipe's landmarks alone", 1e3 / len(images)
    options = ("ms per frame", name, per * reference)
    part.add("tracking.look", "track: looking", per * looked, *options)
    part.add("tracking.whole", "track: looking and fitting", per * (looked + fitted), *options)
