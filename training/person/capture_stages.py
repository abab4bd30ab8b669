# SPDX-License-Identifier: GPL-3.0-or-later
"""The stages of a person's training that make its capture: tracking, and refining by pictures.

Landmarks say where a face is to a millimetre or two, and are wrong about one person in all frames
alike. Pictures know better once there is an avatar to compare with: each round of refinement trains
one, with identity and poses free to move, and writes the capture anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from engine.avatar.avatar_file import ASSET
from engine.core.json_values import read_json
from engine.jobs.worker import JobHandle, JobPart
from training.data.multiview import MultiViewCapture
from training.person.config import PersonSettings
from training.person.one_camera import for_one_camera, has_one_camera, with_fine_pictures
from training.run.checkpoints import write_json
from training.tracking.refined_capture import (
    REFINED,
    RefinedMotion,
    can_be_refined,
    write_refined,
)
from training.tracking.settings import TrackSettings, flame_of

STAGES = "stages"
TRACKED = "tracking"
"""The stage of a video, whose folder is the capture."""
_REFINEMENT, _REFINED_CAPTURE = "refinement", "capture"
_DONE = "finished.json"
_MOVED = {
    "face_mm": "neutral face moved (mm)",
    "lips_mm": "neutral lips moved (mm)",
    "pose_degrees": "poses turned (°)",
}
"""Scores of a refinement by the names of its report."""


@dataclass(frozen=True)
class PersonTraining:
    """What to train.

    Attributes:
        data: folder of the capture; ``None`` where it is made of videos.
        out: folder of the job, which becomes the person's.
        name: of the person.
        head: file of the capture's head: the FLAME model, or a head that is not the default one.
        licence: of the capture, for ``person.json``.
        settings: how.
        videos: of the person, where there is no capture.
        track: how they are tracked.
        refined: folder of the capture once it has been refined.
    """

    data: Path | None
    out: Path
    name: str
    head: str | None = None
    licence: str = ""
    settings: PersonSettings = field(default_factory=PersonSettings)
    videos: tuple[Path, ...] = ()
    track: TrackSettings = field(default_factory=TrackSettings)
    refined: Path | None = None

    @property
    def capture(self) -> Path:
        """Folder of the capture, which is there once the videos have been tracked."""
        if self.refined is not None:
            return self.refined
        return self.out / STAGES / TRACKED if self.data is None else self.data

    @property
    def source(self) -> str:
        """What the person was made of, for the record."""
        if self.videos:
            return ", ".join(video.name for video in self.videos)
        return (self.data or self.capture).resolve().name


class Stage:
    """One of the trainings: its folder, and whether it has finished."""

    def __init__(
        self, out: Path, name: str, steps: int, work: Callable[[Path, JobPart], Any]
    ) -> None:
        self.name, self.steps, self._work = name, steps, work
        self.folder = out / STAGES / name

    @property
    def scores(self) -> dict[str, float]:
        """Figures by name; empty before it has finished."""
        done = self.folder / _DONE
        return read_json(done).mapping("scores") if done.is_file() else {}

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return (self.folder / _DONE).is_file()

    def run(self, job: JobHandle, first: int, label: str) -> None:
        """Train, or resume; of what has finished only the notes are said again.

        Args:
            job: of the person.
            first: step of the job at which the stage begins.
            label: of the stage, for the job's messages.
        """
        done = self.folder / _DONE
        if done.is_file():
            found = read_json(done)
            for note in found.texts("notes") if "notes" in found else ():
                job.note(note)
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        part = job.part(first, self.steps, label)
        scores = self._work(self.folder, part)
        write_json(done, {"scores": scores, "notes": list(part.status.notes)})


def capture_stages(plan: PersonTraining) -> list[Stage]:
    """The stages that make the capture: none where there is one that is taken as it is."""
    return _tracking_stages(plan) + [
        _refinement_stage(plan, number) for number in range(1, _rounds(plan) + 1)
    ]


def refined(plan: PersonTraining) -> PersonTraining:
    """The plan with the capture that the last round has made; as it is without rounds."""
    return _before_round(plan, _rounds(plan) + 1)


def is_refinement(name: str) -> bool:
    """Whether a stage is a round that refined the capture."""
    return name.startswith(_REFINEMENT)


def refinement_words(scores: dict[str, float], steps: int) -> str:
    """What a round has changed, in words."""
    face, lips, turned = (scores[_MOVED[name]] for name in ("face_mm", "lips_mm", "pose_degrees"))
    return (
        f"{steps} steps moved the neutral face by {face:.1f} mm, its lips by {lips:.1f} mm, "
        f"and turned the head by {turned:.1f}°"
    )


def _rounds(plan: PersonTraining) -> int:
    fits = flame_of(plan.head) is None if plan.data is None else can_be_refined(plan.data)
    return plan.settings.refine if fits else 0


def _before_round(plan: PersonTraining, number: int) -> PersonTraining:
    if number == 1:
        return plan
    folder = plan.out / STAGES / f"{_REFINEMENT}-{number - 1}" / _REFINED_CAPTURE
    return replace(plan, refined=folder)


def _refinement_stage(plan: PersonTraining, number: int) -> Stage:
    source, steps = _before_round(plan, number), plan.settings.refinement.steps

    def refine(folder: Path, job: JobPart) -> dict[str, float]:
        from training.avatar.run import train

        capture = MultiViewCapture.open(source.capture, head=plan.head)
        settings = with_fine_pictures(plan.settings, capture).refinement
        chosen = for_one_camera(settings, capture) if has_one_camera(capture) else settings
        # Gaussians that stay on the mesh have to have the size and the opacity of a finished
        # avatar's.
        chosen = replace(chosen, initial=ASSET)
        train(source.capture, chosen, folder, job, head=plan.head, report=False, refining=True)
        motion = RefinedMotion.load(folder / REFINED)
        changed = write_refined(source.capture, folder / _REFINED_CAPTURE, motion)
        scores = {words: float(changed[name]) for name, words in _MOVED.items()}
        job.note(f"Refinement {number}: {refinement_words(scores, steps)}.")
        return scores

    return Stage(plan.out, f"{_REFINEMENT}-{number}", steps, refine)


def _tracking_stages(plan: PersonTraining) -> list[Stage]:
    """The one that makes the capture of videos; none where there is a capture."""
    if not plan.videos:
        return []

    def track(folder: Path, job: JobPart) -> dict[str, float]:
        from training.tracking.run import track_videos

        head = flame_of(plan.head)
        summary = track_videos(plan.videos, folder, plan.track, job, head=head)
        return {
            "frames": summary["frames"],
            "tracked": summary["tracked"],
            "reprojection (% of the eyes' distance)": summary["error_percent_of_eye_distance"][
                "mean"
            ],
        }

    stage = Stage(plan.out, TRACKED, 0, track)
    if not (frames := stage.scores.get("frames")):
        from training.tracking.film import open_film

        counts = [open_film(video, plan.track.largest).frames for video in plan.videos]
        frames = sum(counts) if plan.track.cameras is None else min(counts)
    stage.steps = int(frames)
    return [stage]
