# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech train avatar``: a Gaussian avatar from a multi-view capture."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, cast

import tyro

from engine.jobs.worker import JobHandle
from training.avatar.config import PRESET_WORDS, PRESETS, AvatarSettings
from training.commands.job_run import run_as_job
from training.run.options import MACHINE_SETTINGS, check_capture, check_file, give_uv_template

_Preset = tyro.extras.subcommand_type_from_defaults(PRESETS, PRESET_WORDS)


@tyro.conf.configure(tyro.conf.CascadeSubcommandArgs, tyro.conf.OmitSubcommandPrefixes)
def avatar(
    *,
    data: Path,
    out: Path,
    head: str | None = None,
    uv_template: Path | None = None,
    settings: Annotated[_Preset, tyro.conf.arg(name="")] = PRESETS["default"],  # type: ignore[valid-type]
    background: bool = False,
    json: bool = False,
) -> int:
    """Train an avatar from a capture; OUT is the job's folder and gets avatar.safetensors.

    Args:
        data: folder of the capture (docs/capture.md).
        out: folder of the job; one that stopped before its end is resumed.
        head: FLAME model of the capture (.pkl, .npz), or its head where it is not the default one.
        uv_template: FLAME's head_template.obj, whose UV layout the heads of this FLAME model get
            from now on, also in Blender; without it that of the OBJ beside the model, where one
            lies there.
        settings: preset, and what differs from it.
        background: return at once, and train in another process; see 'gaussianspeech jobs'.
        json: print the result as JSON.
    """
    chosen = cast("AvatarSettings", settings)
    check_capture(data)
    check_file(head, "--head", "default")
    give_uv_template(uv_template, head)
    if chosen.initial is None or not Path(chosen.initial).is_dir():
        check_file(chosen.initial, "--initial", "default")
    check_file(chosen.losses.wrinkle_detector, "--wrinkle-detector")

    def work(job: JobHandle | None) -> None:
        from training.avatar.run import train

        train(data, chosen, out, job, head=head)

    if int(os.environ.get("RANK", "0")) > 0 and not background:
        # One of the other processes of torchrun: the first one keeps the job.
        work(None)
        return 0
    config = {"kind": "avatar", "data": str(data.resolve()), "head": head, **chosen.to_dict()}
    return run_as_job(
        out,
        config,
        work,
        changeable=MACHINE_SETTINGS,
        background=background,
        json=json,
        many=True,
    )
