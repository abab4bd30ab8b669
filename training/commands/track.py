# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech track``: a capture from a video of a talking head."""

from __future__ import annotations

import hashlib
from pathlib import Path

from engine.commands.console import progress_bar
from engine.core.checks import check_range
from engine.core.errors import BadInputError
from engine.jobs.worker import JobHandle
from training.commands.job_run import run_as_job
from training.run.options import check_file


def track(
    video: Path,
    /,
    *,
    out: Path,
    text: Path | None = None,
    largest: int = 1280,
    pictures: int = 600,
    focal: float | None = None,
    masks: Path | None = None,
    landmark_model: Path | None = None,
    background: bool = False,
    json: bool = False,
) -> int:
    """Track the face in a video: a capture that avatars and speech models train on.

    One person talks and slowly turns the head; one camera, which may move. OUT gets the camera, the
    head with its shape, pose and expression of every frame, pictures with masks, the sound with
    motion for speech models, report.json and preview.mp4 with the mesh over the picture
    (docs/tracking.md). Stopped before its end it is resumed by the same command.

    Args:
        video: a film, as phones record it.
        out: folder of the job and of the capture.
        text: file of what is said (UTF-8); it is recognised by default.
        largest: pixels of the larger side of the pictures that are kept.
        pictures: views that are kept at most, evenly spread; the motion is of all frames.
        focal: focal length in pixels of the video; estimated by default.
        masks: folder with a mask for each frame, in the order of their names; made by default.
        landmark_model: MediaPipe's face_landmarker.task, for versions that have no models inside.
        background: return at once, and track in another process; see 'gaussianspeech jobs'.
        json: print the result as JSON.
    """
    from training.tracking.film import open_film
    from training.tracking.run import TrackSettings, track_video

    check_range("--largest", largest, 160, 8192)
    check_range("--pictures", pictures, 20, 1_000_000)
    if focal is not None:
        check_range("--focal", focal, 50, 100_000)
    check_file(text, "--text")
    check_file(landmark_model, "--landmark-model")
    open_film(video, largest)
    settings = TrackSettings(
        largest=largest,
        pictures=pictures,
        focal=focal,
        text=None if text is None else _text(text),
        landmark_model=landmark_model,
        masks=masks,
    )

    def work(job: JobHandle) -> None:
        with progress_bar("track") as bar:
            track_video(video.resolve(), out.resolve(), settings, job, bar)

    with video.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    config = {
        "kind": "track",
        "video": str(video.resolve()),
        "video_sha256": digest,
        **settings.to_dict(),
    }
    return run_as_job(out, config, work, background=background, json=json)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInputError(f"{path} cannot be read: {error}.", "Save it as UTF-8.") from error
