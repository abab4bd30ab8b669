# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech train joint``: a speech model and an avatar, refined for each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import tyro

from engine.jobs.worker import JobHandle
from engine.motion.model.ids import STARTER
from training.commands.job_run import run_as_job
from training.joint.config import JointSettings
from training.run.options import MACHINE_SETTINGS, check_capture, check_file


def joint(
    *,
    data: Path,
    avatar: str,
    out: Path,
    speech_model: str = STARTER,
    head: str | None = None,
    tracking: Path | None = None,
    settings: Annotated[JointSettings, tyro.conf.arg(name="")] = JointSettings(),  # noqa: B008 - frozen.
    background: bool = False,
    json: bool = False,
) -> int:
    """Refine a speech model on a capture's motion and an avatar's colours on what it predicts.

    OUT is the job's folder and gets speech_model.safetensors, avatar.safetensors and scores.json,
    which compares held-out views under predicted faces with and without refined colours.

    Args:
        data: folder of a capture with speech (docs/joint-training.md).
        avatar: "default" or the file of an avatar of the capture's head, trained with the colour
            network.
        out: folder of the job; one that stopped before its end is resumed.
        speech_model: "starter" or the file of a speech model for this head.
        head: file of the capture's head, where the capture does not tell: the FLAME model, or an
            avatar of the person.
        tracking: flame_param.npz of the avatar's training: its refined parameters in place of the
            capture's.
        settings: how.
        background: return at once, and train in another process; see 'gaussianspeech jobs'.
        json: print the result as JSON.
    """
    check_capture(data)
    check_file(avatar, "--avatar", "default")
    check_file(speech_model, "--speech-model", STARTER)
    check_file(head, "--head", "default")
    check_file(tracking, "--tracking")
    check_file(settings.losses.wrinkle_detector, "--wrinkle-detector")
    known = speech_model == STARTER
    model = speech_model if known else str(Path(speech_model).resolve())
    shown = avatar if avatar == "default" else str(Path(avatar).resolve())
    where = data.resolve()
    refined = None if tracking is None else tracking.resolve()

    def work(job: JobHandle) -> None:
        from training.joint.run import TUNED, UNTUNED, train

        made = train(where, shown, model, settings, out, job, head=head, tracking=refined)
        rows = {row.what: row for row in made}
        reached = rows[TUNED if settings.color else UNTUNED]
        job.update(job.status.step, message=f"{reached.what}: {reached.psnr:.2f} dB")

    config = {
        "kind": "joint",
        "data": str(where),
        "avatar": shown,
        "speech_model": model,
        "tracking": None if refined is None else str(refined),
        **replace(settings).to_dict(),
    }
    return run_as_job(
        out, config, work, changeable=MACHINE_SETTINGS, background=background, json=json
    )
