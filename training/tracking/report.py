# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tracking has to say for itself: notes, and ``report.json``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.core.arrays import Double
from engine.core.files import write_text
from training.tracking.film import Film
from training.tracking.flame_track import FlameTrack
from training.tracking.scan import GOOD, REASONS
from training.tracking.several import TrackedCamera
from training.tracking.sound import Said
from training.tracking.track import Track

REPORT = "report.json"
_LEAST_TURN = 20.0
"""Degrees over which the head should turn before a single camera."""


def notes_of(films: Sequence[Film], track: Track, said: Said | None) -> list[str]:
    """What the user should know of a track, one sentence each.

    Args:
        films: the video, or those of several cameras.
        track: of them.
        said: what is said; ``None`` without sound.
    """
    alone = len(films) == 1
    notes = [note if alone else f"{f.path.name}: {note}" for f in films for note in f.remarks]
    if dropped := track.scan.dropped():
        listed = ", ".join(f"{reason} ({count})" for reason, count in dropped.items())
        notes.append(
            f"{sum(dropped.values())} of {len(track.scan.state)} frames are dropped: {listed}."
        )
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
    if alone and turned < _LEAST_TURN:
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


def write_report(
    out: Path,
    cameras: Sequence[TrackedCamera],
    offsets: Sequence[float],
    track: Track,
    detector: str,
    flame: FlameTrack | None,
) -> dict[str, Any]:
    """Write ``report.json``, and give back its summary.

    Args:
        out: folder of the capture.
        cameras: the camera, or several.
        offsets: seconds by which the video of each begins after the first.
        track: of them.
        detector: name of what found the landmarks.
        flame: the track in FLAME's terms.
    """
    good, fps, count = track.scan.good, track.scan.fps, len(track.scan.state)
    error = 100 * track.error
    summary = {
        "frames": count,
        "seconds": round(count / fps, 3),
        "fps": fps,
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
    if takes := cameras[0].film.takes:
        summary["videos"] = [
            {"video": take.path.name, "first_frame": begin, "frames": take.frames}
            for take, begin in zip(takes, cameras[0].film.begins, strict=True)
        ]
    if len(cameras) > 1:
        summary["cameras"] = [
            _camera(camera, at, row)
            for camera, at, row in zip(cameras, offsets, track.view_error, strict=True)
        ]
    if flame is not None:
        summary["flame_misfit_mm"] = round(flame.misfit, 3)
    frames = [
        {"frame": frame, "seconds": round(frame / fps, 4)}
        | (
            {"error_percent": round(float(error[frame]), 3)} | _smeared(track, frame)
            if state == GOOD
            else {"dropped": REASONS[int(state)]}
        )
        for frame, state in enumerate(track.scan.state)
    ]
    write_text(out / REPORT, json.dumps({"summary": summary, "frames": frames}, indent=1))
    return summary


def _smeared(track: Track, frame: int) -> dict[str, Any]:
    """What the report says of a frame that counts less than others."""
    trust = float(track.scan.trust[frame])
    return {} if trust == 1 else {"smeared": True, "weight": round(trust, 3)}


def _camera(camera: TrackedCamera, offset: float, error: Double) -> dict[str, Any]:
    """What one of several cameras showed; the error is of the frames in which it shows a face."""
    return {
        "camera": camera.id,
        "video": camera.film.path.name,
        "begins_seconds": round(offset, 4),
        "frames": int(np.isfinite(error).sum()),
        "error_percent_of_eye_distance": round(100 * float(np.nanmean(error)), 3),
    }


def sentence(summary: dict[str, Any]) -> str:
    """The summary in one sentence."""
    error = summary["error_percent_of_eye_distance"]["mean"]
    return (
        f"{summary['tracked']} of {summary['frames']} frames tracked, landmarks "
        f"{error:.1f} % of the eyes' distance off"
    )
