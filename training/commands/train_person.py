# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech train person``: avatar, speech model and both for each other, as one job."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import tyro

from engine.jobs.worker import JobHandle
from training.commands.job_run import run_as_job
from training.person.config import PersonSettings
from training.run.options import MACHINE_SETTINGS, check_capture, check_file, give_uv_template


def person(
    *,
    data: Path,
    out: Path,
    name: str = "",
    head: str | None = None,
    uv_template: Path | None = None,
    licence: str = "",
    settings: Annotated[PersonSettings, tyro.conf.arg(name="")] = PersonSettings(),  # noqa: B008 - frozen.
    background: bool = False,
    json: bool = False,
) -> int:
    """Train a person from a capture: avatar, then speech model, then both for each other.

    OUT is the job's folder and becomes the person's: avatar.safetensors with the head,
    speech_model.safetensors where the capture has recordings, and person.json, for 'animate
    --person', 'render --avatar' and Blender. Stopped before its end it is resumed; what a stage
    has made is there as soon as it is done.

    Args:
        data: folder of the capture (docs/capture.md), with recordings where there are any
            (docs/speech-model.md).
        out: folder of the job and of the person.
        name: of the person; by default that of the capture's folder.
        head: FLAME model of the capture (.pkl, .npz), or its head where it is not the default one.
        uv_template: FLAME's head_template.obj, whose UV layout the heads of this FLAME model get
            from now on, also in Blender; without it that of the OBJ beside the model, where one
            lies there.
        licence: what the person who was filmed allows, for person.json.
        settings: how.
        background: return at once, and train in another process; see 'gaussianspeech jobs'.
        json: print the result as JSON.
    """
    check_capture(data)
    check_file(head, "--head", "default")
    give_uv_template(uv_template, head)
    where = data.resolve()

    def work(job: JobHandle) -> None:
        from training.person.run import PersonTraining, train

        train(
            PersonTraining(where, out.resolve(), name or where.name, head, licence, settings), job
        )

    config = {
        "kind": "person",
        "data": str(where),
        "name": name,
        "head": head,
        "licence": licence,
        **settings.to_dict(),
    }
    return run_as_job(
        out, config, work, changeable=MACHINE_SETTINGS, background=background, json=json
    )
