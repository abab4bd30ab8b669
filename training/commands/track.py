# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech track``: a capture from a video of a talking head."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from engine.core.errors import BadInputError
from engine.core.files import file_digest
from engine.jobs.worker import JobHandle
from training.commands.job_run import run_as_job
from training.run.options import check_file
from training.tracking.settings import TrackSettings, flame_of


def track(
    video: Annotated[tuple[Path, ...], tyro.conf.Positional],
    /,
    *,
    out: Path,
    head: str = "default",
    settings: Annotated[TrackSettings, tyro.conf.arg(name="")] = TrackSettings(),  # noqa: B008 - frozen.
    background: bool = False,
    json: bool = False,
) -> int:
    """Track the face in videos: a capture that avatars and speech models train on.

    One person talks and slowly turns the head; one camera, which may move, with one video or
    several takes, or several cameras that stand still, with their calibration (--cameras). OUT gets
    the cameras, the head with its shape, pose and expression of every frame, pictures with masks,
    the sound with motion for speech models, report.json and preview.mp4 with the mesh over the
    picture (docs/tracking.md). Stopped before its end it is resumed by the same command.

    Args:
        video: a film, as phones record it; several of one camera, one after another; or with
            --cameras one of each camera at the same time.
        out: folder of the job and of the capture.
        head: "default", or a FLAME model (.pkl, .npz) in whose parameters the capture is to be.
        settings: how.
        background: return at once, and track in another process; see 'gaussianspeech jobs'.
        json: print the result as JSON.
    """
    described = films_of(video, settings, head)

    def work(job: JobHandle) -> None:
        from training.tracking.run import track_videos

        videos = [path.absolute() for path in video]
        track_videos(videos, out.resolve(), settings, job, head=flame_of(head))

    config = {"kind": "track", **described}
    return run_as_job(out, config, work, background=background, json=json)


def films_of(videos: Sequence[Path], settings: TrackSettings, head: str | None) -> dict[str, Any]:
    """What decides a track, as a job's configuration has it.

    Raises:
        BadInputError: a video cannot be tracked, its camera is not known, it has no masks where
            some are given, or the head is no FLAME model; what can be seen before work begins.
    """
    from engine.heads.flame_file import read_flame
    from training.tracking.film import open_film

    settings.check_videos(videos)
    films = [open_film(video, settings.largest) for video in videos]
    if settings.cameras is not None:
        from training.tracking.rig import read_rig

        read_rig(settings.cameras, films)
    else:
        from training.tracking.takes import alike

        alike(films)
    if settings.masks is not None:
        from training.tracking.given_masks import check_masks

        for film, folder in zip(films, settings.mask_folders(videos), strict=True):
            check_masks(folder, film.width, film.height)
    if (model := flame_of(head)) is not None:
        check_file(model, "--head")
        read_flame(model)
    paths, digests = [str(video.resolve()) for video in videos], [*map(_digest, videos)]
    for number, digest in enumerate(digests):
        first = digests.index(digest)
        if first < number:
            same = "are the same video"
            if paths[first] == paths[number]:
                same = f"both lead to the same video, {paths[number]}"
            raise BadInputError(
                f"{videos[first]} and {videos[number]} {same}.", "Give each video once."
            )
    named = "default" if model is None else str(model)
    return {
        "video": paths[0] if len(paths) == 1 else paths,
        "video_sha256": digests[0] if len(paths) == 1 else digests,
        "head": named,
        **settings.to_dict(),
    }


def _digest(video: Path) -> str:
    try:
        return file_digest(video)
    except OSError as error:
        raise BadInputError(f"{video} cannot be read: {error}.", "Check the path.") from error
