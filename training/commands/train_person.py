# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech train person``: avatar, speech model and both for each other, as one job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro

from engine.core.errors import BadInputError
from engine.jobs.worker import JobHandle
from training.commands.job_run import run_as_job
from training.commands.track import films_of
from training.person.config import PersonSettings
from training.run.options import MACHINE_SETTINGS, check_capture, check_file, give_uv_template
from training.tracking.settings import TrackSettings


def person(
    video: Annotated[tuple[Path, ...], tyro.conf.Positional] = (),
    /,
    *,
    out: Path,
    data: Path | None = None,
    name: str = "",
    head: str | None = None,
    uv_template: Path | None = None,
    licence: str = "",
    settings: Annotated[PersonSettings, tyro.conf.arg(name="")] = PersonSettings(),  # noqa: B008 - frozen.
    track: Annotated[TrackSettings, tyro.conf.arg(name="")] = TrackSettings(),  # noqa: B008 - frozen.
    background: bool = False,
    json: bool = False,
) -> int:
    """Train a person from videos or a capture: avatar, speech model, then both for each other.

    Videos of one person who talks and slowly turns the head are tracked first, as 'track' does it;
    what they do not show of the head is filled from the default avatar (docs/tracking.md). OUT is
    the job's folder and becomes the person's: avatar.safetensors with the head,
    speech_model.safetensors where the capture has recordings, and person.json, for 'animate
    --person', 'render --avatar' and Blender. Stopped before its end it is resumed; what a stage
    has made is there as soon as it is done.

    Args:
        video: a film of one person, as phones record it, several takes, or with --cameras one of
            each camera; in place of --data.
        out: folder of the job and of the person.
        data: folder of the capture (docs/capture.md), with recordings where there are any
            (docs/speech-model.md); in place of a video.
        name: of the person; by default that of the first video or of the capture's folder.
        head: FLAME model (.pkl, .npz) of the capture, or that videos are to be tracked with; or the
            head of a capture where it is not the default one.
        uv_template: FLAME's head_template.obj, whose UV layout the heads of this FLAME model get
            from now on, also in Blender; without it that of the OBJ beside the model, where one
            lies there.
        licence: what the person who was filmed allows, for person.json.
        settings: how.
        track: how videos are tracked.
        background: return at once, and train in another process; see 'gaussianspeech jobs'.
        json: print the result as JSON.
    """
    source = _source(video, data, head, track)
    check_file(head, "--head", "default")
    give_uv_template(uv_template, head)
    where = None if data is None else data.resolve()
    films = tuple(path.absolute() for path in video)
    called = name or (films[0].stem if films else (where or out).name)

    def work(job: JobHandle) -> None:
        from training.person.capture_stages import PersonTraining
        from training.person.run import train

        train(
            PersonTraining(
                where, out.resolve(), called, head, licence, settings, videos=films, track=track
            ),
            job,
        )

    config = {
        "kind": "person",
        "head": head,
        **source,
        "name": name,
        "licence": licence,
        **settings.to_dict(),
    }
    return run_as_job(
        out, config, work, changeable=MACHINE_SETTINGS, background=background, json=json
    )


def _source(
    videos: Sequence[Path], data: Path | None, head: str | None, track: TrackSettings
) -> dict[str, Any]:
    """What the person is made of, as a job's configuration has it.

    Raises:
        BadInputError: neither or both of videos and capture, one that cannot be used, or options
            that are of the other.
    """
    if data is not None and videos:
        raise BadInputError(
            f"{videos[0]} is a video and {data} a capture: a person is made of one of them.",
            "Leave out the video, or --data.",
        )
    if data is not None:
        if track.given:
            raise BadInputError(
                f"{', '.join(track.given)}: of a video; a capture has been tracked already.",
                "Leave it out, or give the video in place of --data.",
            )
        check_capture(data)
        return {"data": str(data.resolve())}
    if not videos:
        raise BadInputError(
            "There is neither a video nor a capture to train the person from.",
            "Give a video of the person, or the folder of a capture with --data.",
        )
    return films_of(videos, track, head)
