# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate avatar``: an avatar beside pictures that it never saw."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from engine.commands.console import existing_folder, progress_bar
from training.run.options import check_file, check_folder


def avatar(
    avatar: Annotated[str, tyro.conf.Positional],
    *,
    data: Path,
    out: Path | None = None,
    scale: float = 1.0,
    views: int = 0,
    backend: str = "auto",
    lpips: Literal["vgg", "alex"] = "vgg",
    weights: Path | None = None,
    head: str | None = None,
    tracking: Path | None = None,
    job: Path | None = None,
    json: bool = False,
) -> int:
    """Measure an avatar on the camera that a capture keeps from training.

    Prints PSNR, SSIM, LPIPS, the PSNR inside the mouth, on wrinkles, eyes, hair and skin, and the
    number of Gaussians. With --out also writes report.json, report.html with test views beside the
    truth, and turntable.mp4.

    Args:
        avatar: avatar file, or "default".
        data: folder of the capture (docs/capture.md).
        out: folder for the report.
        scale: size of the pictures beside the capture's; 1 is as they lie on disk.
        views: at most so many test views, spread over all; 0 takes every one.
        backend: rasteriser: auto, gsplat or cpu.
        lpips: network of LPIPS; its weights are local files, and without them LPIPS is n/a.
        weights: folder of the weight files.
        head: FLAME model of the capture, or its head where it is not the default one.
        tracking: flame_param.npz of the avatar's training: its refined parameters in place of the
            capture's.
        job: folder of the training, for its curves; by default the avatar's own folder.
        json: print the report as JSON.
    """
    from training.evaluation.avatar import Wanted, evaluate

    check_file(tracking, "--tracking")
    check_folder(weights, "--weights")
    if out is not None:
        existing_folder(out)
    wanted = Wanted(scale, views, backend, lpips, weights, head, tracking)
    if job is None and Path(avatar).is_file():
        job = Path(avatar).parent
    with progress_bar("evaluate") as progress:
        report = evaluate(avatar, data, out, wanted, job, progress)
    if json:
        import json as json_format

        print(json_format.dumps(report.as_json()))
    else:
        report.show()
    return 0
