# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech track``: a capture from a video of a talking head."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import tyro

from engine.commands.console import progress_bar
from engine.core.errors import BadInputError
from engine.core.files import file_digest
from engine.jobs.worker import JobHandle
from training.commands.job_run import run_as_job
from training.run.options import check_file
from training.tracking.settings import TrackSettings, flame_of


def track(
    video: Path,
    /,
    *,
    out: Path,
    head: str = "default",
    settings: Annotated[TrackSettings, tyro.conf.arg(name="")] = TrackSettings(),  # noqa: B008 - frozen.
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
        head: "default", or a FLAME model (.pkl, .npz) in whose parameters the capture is to be.
        settings: how.
        background: return at once, and track in another process; see 'gaussianspeech jobs'.
        json: print the result as JSON.
    """
    described = film_of(video, settings, head)

    def work(job: JobHandle) -> None:
        from training.tracking.run import track_video

        with progress_bar("track") as bar:
            track_video(video.resolve(), out.resolve(), settings, job, bar, head=flame_of(head))

    config = {"kind": "track", **described}
    return run_as_job(out, config, work, background=background, json=json)


def film_of(video: Path, settings: TrackSettings, head: str | None) -> dict[str, Any]:
    """What decides a track, as a job's configuration has it.

    Raises:
        BadInputError: the video cannot be tracked, or the head is no FLAME model; what can be seen
            before work on it begins.
    """
    from engine.heads.flame_file import read_flame
    from training.tracking.film import open_film

    open_film(video, settings.largest)
    if (model := flame_of(head)) is not None:
        check_file(model, "--head")
        read_flame(model)
    try:
        digest = file_digest(video)
    except OSError as error:
        raise BadInputError(f"{video} cannot be read: {error}.", "Check the path.") from error
    named = "default" if model is None else str(model)
    return {
        "video": str(video.resolve()),
        "video_sha256": digest,
        "head": named,
        **settings.to_dict(),
    }
