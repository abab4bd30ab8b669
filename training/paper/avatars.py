# SPDX-License-Identifier: GPL-3.0-or-later
"""Table 2: avatars with and without each part of the training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from PIL import Image

from engine.avatar import load_avatar
from engine.core.errors import CancelledError
from engine.core.files import atomic_write
from engine.jobs import folder as jobs
from engine.jobs.worker import JobHandle
from engine.splatting.registry import choose_backend
from training.avatar.config import PRESETS, AvatarSettings
from training.avatar.run import AVATAR, SCORES, train
from training.data.multiview import MultiViewCapture
from training.evaluation.avatar import Wanted, evaluate, rendered
from training.evaluation.report.avatar import AvatarReport
from training.evaluation.report.avatar_pictures import comparison
from training.losses.avatar import AvatarLoss
from training.paper.plan import PaperPlan
from training.paper.published import GAUSSIANS, LPIPS, PSNR, SSIM
from training.paper.rows import Result, folder_of
from training.run.record import training_seconds

BASELINE, FULL, NO_PERCEPTUAL = "baseline", "full", "w/o perceptual"
_PICTURES = 2
"""Test views that are shown beside the truth."""
_LOG = "log.txt"


def table_2(steps: int, seed: int, scale: float) -> dict[str, AvatarSettings]:
    """The settings of the rows of Table 2.

    Args:
        steps: of each training.
        seed: of each.
        scale: of the pictures beside the capture's.
    """
    full = replace(PRESETS["default"], steps=steps, seed=seed, scale=scale)
    return {
        BASELINE: replace(PRESETS["baseline"], steps=steps, seed=seed, scale=scale),
        NO_PERCEPTUAL: replace(full, losses=replace(full.losses, face=0.0, patch=0.0)),
        "w/o wrinkle": replace(full, losses=replace(full.losses, wrinkle=0.0)),
        "w/o mouth subdivision": replace(full, subdivide_teeth=False),
        "w/o colour MLP": replace(full, color="sh"),
        FULL: full,
    }


def perceptual_losses_missing() -> str:
    """Why the row without perceptual losses is the same run as the full one; empty if it is not."""
    off = AvatarLoss(PRESETS["default"].losses).off
    if not {"global", "patch"} <= set(off):
        return ""
    message, remedy = off["patch"]
    return f"without its networks' weights it is the same training as 'full': {message} {remedy}"


def avatar_file(plan: PaperPlan, key: str, seed: int) -> Path:
    """Where the avatar of a row lies."""
    return folder_of(plan.out, "avatars", key, seed) / AVATAR


def capture_head(plan: PaperPlan) -> str | None:
    """The head as captures take it: ``None`` for what the capture says itself."""
    return None if plan.head == "default" else plan.head


def train_row(plan: PaperPlan, key: str, seed: int) -> Result:
    """Train the avatar of a row, or continue a training that broke off, and measure it.

    Raises:
        BadInputError: the capture cannot be used.
        CancelledError: its job was cancelled; it can be resumed.
    """
    folder, size = folder_of(plan.out, "avatars", key, seed), plan.size
    settings = table_2(size.avatar_steps, seed, size.scale)[key]
    often = max(1, size.avatar_steps // 10)
    settings = replace(
        settings,
        backend=plan.backend,
        device=plan.device,
        threads=plan.threads,
        preview_every=size.avatar_steps,
        checkpoint_every=min(often, settings.checkpoint_every),
        evaluate_every=min(often, settings.evaluate_every),
        name=key,
    )
    if not (folder / SCORES).is_file():
        with worker(folder) as job:
            train(plan.data, settings, folder, job, head=capture_head(plan), report=False)
    if not (folder / SCORES).is_file():
        raise CancelledError
    report = evaluate(
        folder / AVATAR,
        plan.data,
        None,
        Wanted(size.scale, size.views, plan.backend, "vgg", plan.weights, capture_head(plan)),
    )
    _save_pictures(plan, folder)
    return Result(_figures(report), 0, training_seconds(folder), _notes(report))


@contextlib.contextmanager
def worker(folder: Path) -> Iterator[JobHandle]:
    """This process as the worker of a training's folder; what it prints lies in ``log.txt``."""
    jobs.adopt_job(folder, None)
    with (
        (folder / _LOG).open("a", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        JobHandle(folder) as job,
    ):
        yield job


def _figures(report: AvatarReport) -> dict[str, float]:
    scores = report.scores
    found = {PSNR: scores.psnr, SSIM: scores.ssim, LPIPS: scores.lpips}
    found |= {f"{name} (dB)": value for name, value in scores.regions.items()}
    found[GAUSSIANS] = float(report.gaussians)
    return {name: value for name, value in found.items() if value is not None}


def _notes(report: AvatarReport) -> list[str]:
    return [note for note in report.notes() if "camera '" in note]


def _save_pictures(plan: PaperPlan, folder: Path) -> None:
    """Test views with truth, avatar and difference beside each other."""
    capture = MultiViewCapture.open(plan.data, scale=plan.size.scale, head=capture_head(plan))
    avatar, backend = load_avatar(folder / AVATAR, capture.head), choose_backend(plan.backend)
    views = capture.split("test")
    for number in range(min(_PICTURES, len(views))):
        view = views[number * (len(views) - 1) // max(1, _PICTURES - 1)]
        sheet = comparison(rendered(avatar, view, backend), view.image)
        with atomic_write(folder / f"view-{number}.png") as temporary:
            Image.fromarray(sheet).save(temporary, "PNG")
