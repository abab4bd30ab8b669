# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracking as a job: look, listen, fit, write; resumed where it stopped.

Everything is written beside the capture's final names until it is whole: ``transforms_train.json``,
which makes a folder a capture, comes last.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from engine.core.errors import CancelledError
from engine.core.files import atomic_write
from engine.core.progress import Progress, subprogress
from engine.jobs.worker import JobHandle
from engine.rendering.video import write_video
from training.data.recordings import SPEECH
from training.tracking.film import Film, open_film, pictures, write_sound
from training.tracking.flame_track import FlameTrack, in_flame
from training.tracking.landmarks import Image
from training.tracking.mattes import GivenMasks
from training.tracking.mediapipe_faces import HandDetector, PersonSegmenter, open_detector
from training.tracking.output import CaptureWriter
from training.tracking.preview import MeshOverlay
from training.tracking.scan import GOOD, REASONS, scan
from training.tracking.settings import TrackSettings
from training.tracking.sound import (
    Said,
    cut_at_pauses,
    listen,
    words_between,
    write_segment,
)
from training.tracking.track import Track, track_scan

REPORT, PREVIEW, PREVIEW_FILM, SOUND = "report.json", "preview.jpg", "preview.mp4", "sound.wav"
_SCANNED, _RECOGNISED, _FITTED, _IN_FLAME = 0.45, 0.55, 0.73, 0.75
_SHOW_EVERY = 20
_MOST_LOST = 0.2
"""Part of a recording's frames that may be dropped."""
_LEAST_TURN = 20.0
"""Degrees over which the head should turn."""


def track_video(
    video: Path,
    out: Path,
    settings: TrackSettings,
    job: JobHandle,
    progress: Progress,
    *,
    head: Path | None = None,
) -> dict[str, Any]:
    """Track a video; OUT becomes a capture.

    Args:
        video: the film.
        out: folder of the job and of the capture.
        settings: how.
        job: asked for a cancel, and given progress and previews.
        progress: for people.
        head: FLAME model whose parameters the capture is to have; the default head's without.

    Returns:
        The summary of ``report.json``.

    Raises:
        BadInputError: the video cannot be tracked; says why.
        MissingDependencyError: MediaPipe is missing.
        CancelledError: the job was cancelled; what was looked at is kept.
    """

    def report(share: float, message: str) -> None:
        if job.cancel_requested:
            raise CancelledError
        progress(share, message)
        job.update(round(1000 * share), total=1000, message=message)

    film = open_film(video, settings.largest)
    segmenter = None if settings.masks is not None else PersonSegmenter()
    detector, hands = open_detector(settings.landmark_model), HandDetector()
    still = open_detector(settings.landmark_model, still=True)
    try:
        found = scan(film, detector, hands, job.checkpoints, subprogress(report, 0.0, _SCANNED))
        film = replace(film, frames=len(found.state))
        masks = None if settings.masks is None else GivenMasks(settings.masks, film.frames)
        said = _recognised(film, out, settings, subprogress(report, _SCANNED, _RECOGNISED))
        track = track_scan(
            film,
            found,
            _focal(film, settings),
            subprogress(report, _RECOGNISED, _FITTED),
            closure=None if said is None else said.closure,
            still=still,
        )
        for note in _notes(film, track, said):
            job.note(note)
        flame = None
        if head is not None:
            flame = in_flame(head, track.head, track.fit, subprogress(report, _FITTED, _IN_FLAME))
        writer = CaptureWriter(out, film, track, settings.pictures, flame)
        _write_pictures(
            out, film, track, writer, segmenter, masks, job, subprogress(report, _IN_FLAME, 0.98)
        )
        recordings = [] if said is None else _write_speech(out, film, track, writer, said)
        summary = _report(out, film, track, detector.name, flame)
        writer.finish(recordings, _made_of(video, settings, detector.name, track, flame))
    finally:
        for part in (detector, still, hands, segmenter):
            if part is not None:
                part.close()
    job.update(1000, total=1000, message=_sentence(summary))
    return summary


def _focal(film: Film, settings: TrackSettings) -> float | None:
    """In pixels of the film's pictures."""
    return None if settings.focal is None else settings.focal * film.scale


def _recognised(film: Film, out: Path, settings: TrackSettings, progress: Progress) -> Said | None:
    if not film.sound:
        return None
    progress(0.0, "recognising what is said")
    write_sound(film, out / SOUND, film.frames)
    return listen(out / SOUND, settings.said, film.frames, film.fps, progress)


def _write_pictures(
    out: Path,
    film: Film,
    track: Track,
    writer: CaptureWriter,
    segmenter: PersonSegmenter | None,
    masks: GivenMasks | None,
    job: JobHandle,
    progress: Progress,
) -> None:
    """The second pass: pictures and masks, and the preview film on the way."""
    overlay = MeshOverlay(track.head)

    def shown() -> Iterator[Image]:
        for frame, image in pictures(film):
            if frame >= film.frames:
                return
            progress(frame / film.frames, f"writing frame {frame + 1}")
            if frame in writer.timestep:
                writer.write_view(frame, image, segmenter, masks)
            state = int(track.scan.state[frame])
            label = f"{frame / film.fps:.2f} s"
            if state == GOOD:
                drawn = overlay.draw(image, writer.pixels(frame), label)
            else:
                drawn = overlay.draw(image, np.zeros((0, 2)), f"{label}  {REASONS[state]}")
            if frame % _SHOW_EVERY == 0:
                with atomic_write(out / PREVIEW) as temporary:
                    Picture.fromarray(drawn).save(temporary, quality=85)
                job.update(job.status.step, preview=out / PREVIEW)
            yield drawn

    sound = out / SOUND
    write_video(
        out / PREVIEW_FILM, shown(), film.fps, sound if sound.is_file() else None, quality=26
    )


def _write_speech(
    out: Path, film: Film, track: Track, writer: CaptureWriter, said: Said
) -> list[tuple[str, int, int]]:
    """Recordings with motion and text, cut at pauses; of stretches that were seen."""
    recordings = []
    lost = track.scan.state != GOOD
    for number, (first, last) in enumerate(cut_at_pauses(said, film.frames, film.fps)):
        if lost[first:last].mean() > _MOST_LOST or (last - first) / film.fps < 0.5:
            continue
        name = f"{film.path.stem}-{number:03d}"
        start, end = first / film.fps, last / film.fps
        write_segment(out / SOUND, out / SPEECH / f"{name}.wav", first, last, film.fps)
        writer.write_motion(out / SPEECH / name, first, last, said)
        if words := words_between(said.words, start, end):
            text = " ".join(word.text for word in words)
            with atomic_write(out / SPEECH / f"{name}.txt") as temporary:
                temporary.write_text(text, "utf-8")
        recordings.append((name, first, last))
    return recordings


def _notes(film: Film, track: Track, said: Said | None) -> list[str]:
    notes = list(film.notes)
    if dropped := track.scan.dropped():
        listed = ", ".join(f"{reason} ({count})" for reason, count in dropped.items())
        notes.append(f"{sum(dropped.values())} of {film.frames} frames are dropped: {listed}.")
    if smeared := len(track.scan.good) - len(track.scan.sharp):
        notes.append(
            f"{smeared} frames are smeared by motion: they count little and are no views. "
            "More light makes exposures shorter."
        )
    if said is None:
        notes.append("The video has no sound: there is nothing to train a speech model on.")
    else:
        notes += said.warnings
    turned = _range_of_turns(track)
    if turned < _LEAST_TURN:
        notes.append(
            f"The head turns by {turned:.0f}° in all: the shape of the face in depth and the "
            f"avatar's sides are guesses. Turn slowly to both sides."
        )
    return notes


def _range_of_turns(track: Track) -> float:
    """Degrees between the directions that the face takes, from the second to the 98th percent."""
    ahead = track.fit.rotation[track.scan.good][:, :, 2]
    turn = np.degrees(np.arctan2(ahead[:, 0], -ahead[:, 2]))
    low, high = np.percentile(turn, [2, 98])
    return float(high - low)


def _report(
    out: Path, film: Film, track: Track, detector: str, flame: FlameTrack | None
) -> dict[str, Any]:
    """``report.json``: the summary, and frame by frame."""
    good = track.scan.good
    error = 100 * track.error
    summary = {
        "frames": film.frames,
        "seconds": round(film.frames / film.fps, 3),
        "fps": film.fps,
        "tracked": len(good),
        "dropped": track.scan.dropped(),
        "cuts": track.scan.cuts,
        "error_percent_of_eye_distance": {
            "mean": round(float(error[good].mean()), 3),
            "worst": round(float(error[good].max()), 3),
        },
        "focal_pixels": round(track.camera.focal, 1),
        "turns_degrees": round(_range_of_turns(track), 1),
        "identity_deviations": round(float(np.sqrt(np.mean(track.identity**2))), 3),
        "detector": detector,
    }
    if flame is not None:
        summary["flame_misfit_mm"] = round(flame.misfit, 3)
    frames = [
        {"frame": frame, "seconds": round(frame / film.fps, 4)}
        | (
            {"error_percent": round(float(error[frame]), 3)} | _smeared(track, frame)
            if state == GOOD
            else {"dropped": REASONS[int(state)]}
        )
        for frame, state in enumerate(track.scan.state)
    ]
    with atomic_write(out / REPORT) as temporary:
        temporary.write_text(json.dumps({"summary": summary, "frames": frames}, indent=1), "utf-8")
    return summary


def _smeared(track: Track, frame: int) -> dict[str, Any]:
    """What the report says of a frame that counts less than others."""
    trust = float(track.scan.trust[frame])
    return {} if trust == 1 else {"smeared": True, "weight": round(trust, 3)}


def _made_of(
    video: Path,
    settings: TrackSettings,
    detector: str,
    track: Track,
    flame: FlameTrack | None,
) -> dict[str, Any]:
    return {
        "video": video.name,
        "head": track.head.id if flame is None else flame.person.head.id,
        "detector": detector,
        "settings": settings.to_dict(),
        "focal_pixels": track.camera.focal,
    }


def _sentence(summary: dict[str, Any]) -> str:
    error = summary["error_percent_of_eye_distance"]["mean"]
    return (
        f"{summary['tracked']} of {summary['frames']} frames tracked, landmarks "
        f"{error:.1f} % of the eyes' distance off"
    )
