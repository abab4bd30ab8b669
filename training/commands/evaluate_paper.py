# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate paper``: the paper's tables on a capture."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from engine.commands.console import print_result, progress_bar
from engine.core.errors import BadInputError
from training.commands.evaluate_candidates import named_files
from training.paper.plan import FULL, QUICK, TABLES, PaperPlan, Size
from training.run.options import check_file, check_folder


def paper(
    *,
    data: Path,
    out: Path,
    head: str = "default",
    tables: tuple[int, ...] = TABLES,
    seeds: int = 1,
    quick: bool = False,
    encoder: Literal["wav2vec2", "phonetic"] | None = None,
    encoder_source: str = "",
    speech_steps: int | None = None,
    batch: int | None = None,
    frames: int | None = None,
    dimension: int | None = None,
    avatar_steps: int | None = None,
    scale: float | None = None,
    views: int | None = None,
    rounds: int | None = None,
    candidate: tuple[str, ...] = (),
    truth: Path | None = None,
    backend: Literal["auto", "gsplat", "cpu"] = "auto",
    device: Literal["auto", "cpu", "cuda"] = "auto",
    threads: int = 0,
    weights: Path | None = None,
    json: bool = False,
) -> int:
    """Train and measure what the paper's Tables 2, 3 and 4 list, on any capture with a test part.

    OUT gets paper.md and paper.json (mean and spread over the seeds, the paper's figures beside
    them), curves, pictures, a video of each row, all trainings, and what was not run and why. The
    same command continues where it broke off; more seeds and tables can be added.

    Args:
        data: folder of a capture or of recordings (docs/speech-model.md). Without pictures there
            is no Table 2, and the others have their motion alone; Table 2 by itself takes a capture
            without recordings.
        out: folder of the report.
        head: "default", or the FLAME model or head of the capture.
        tables: which of 2, 3 and 4.
        seeds: how often everything is trained, each time from another seed.
        quick: small models and few steps, to see that it works: minutes on two cores.
        encoder: of the sound; "wav2vec2", the paper's, needs its weights; --quick takes "phonetic".
        encoder_source: folder or hub id of wav2vec 2.0.
        speech_steps: of each speech model.
        batch: clips in one of its steps.
        frames: frames of each clip.
        dimension: hidden size of the speech models; 0 is that of their presets.
        avatar_steps: of each avatar.
        scale: of the pictures beside the capture's.
        views: test views that avatars are measured on; 0 takes every one.
        rounds: of the joint training.
        candidate: NAME=VIDEO of another system for Table 3; several after each other.
        truth: video or folder of pictures of the held-out camera, for these.
        backend: rasteriser: auto, gsplat or cpu.
        device: where speech models are trained.
        threads: of the CPU; 0 takes the cores that are free.
        weights: folder of the weight files of LPIPS.
        json: print the result as JSON.
    """
    if not data.is_dir():
        raise BadInputError(f"There is no folder {data}.", "Check the path given with --data.")
    check_file(head, "--head", "default")
    check_folder(weights, "--weights")
    given: dict[str, Any] = {
        "speech_steps": speech_steps,
        "batch": batch,
        "frames": frames,
        "dimension": dimension,
        "avatar_steps": avatar_steps,
        "scale": scale,
        "views": views,
        "rounds": rounds,
    }
    size: Size = replace(
        QUICK if quick else FULL, **{k: v for k, v in given.items() if v is not None}
    )
    plan = PaperPlan(
        data=data,
        out=out,
        head=head,
        tables=tables,
        seeds=seeds,
        size=size,
        encoder=encoder or ("phonetic" if quick else "wav2vec2"),
        encoder_source=encoder_source,
        candidates=named_files(candidate),
        truth=truth,
        backend=backend,
        device=device,
        threads=threads,
        weights=weights,
    )
    from training.paper.run import evaluate

    with progress_bar("evaluate paper") as progress:
        made = evaluate(plan, progress)
    print_result({"tables": made, "folder": made.parent}, as_json=json)
    return 0
