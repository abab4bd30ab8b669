# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar training from a capture's folder to ``avatar.safetensors``, as a job's work."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numba
import torch
from lightning_fabric import Fabric

from engine.avatar import load_avatar, save_avatar
from engine.avatar.kernels import warm_up
from engine.core.errors import BadInputError, CancelledError, GaussianSpeechError
from engine.jobs.worker import JobHandle
from engine.splatting.backend import Backend
from engine.splatting.registry import choose_backend
from training.avatar.config import AvatarSettings
from training.avatar.model import TrainableAvatar
from training.avatar.preview import liveliest, measured, save_preview
from training.avatar.start import VIEWS, avatar_to_go_on_from, seeded_avatar
from training.avatar.trainer import AvatarTrainer
from training.data.multiview import MultiViewCapture, View
from training.losses.avatar import AvatarLoss
from training.run.recording import (
    AVATAR,
    CONFIG,
    PREVIEW,
    SCORES,
    STATE,
    Record,
    load_checkpoint,
    save_checkpoint,
    write_json,
)

_QUICK_VIEWS = 8
"""Views of the held-out camera that are measured while training."""


def train(
    data: Path,
    settings: AvatarSettings,
    folder: Path,
    job: JobHandle | None,
    *,
    head: str | None = None,
) -> None:
    """Train, or go on with a training that was broken off.

    Args:
        data: folder of the capture.
        settings: how.
        folder: the job's; gets avatar.safetensors, previews, curves, checkpoints and scores.
        job: told how far it is; ``None`` in processes other than the first.
        head: FLAME model of the capture, or its head, where it is not the default one.

    Raises:
        BadInputError: the capture or the settings cannot be used; before training starts.
        CancelledError: the user asked to stop; a checkpoint was saved.
        GaussianSpeechError: out of memory, or a checkpoint cannot be written.
    """
    _tell(job, 0, "Checking the capture")
    capture = MultiViewCapture.open(data, scale=settings.scale, head=head)
    threads = use_threads(settings.threads)
    backend = choose_backend(settings.backend)
    fabric = process_fabric(settings.device, backend)
    notes: list[str] = []
    loss = AvatarLoss(settings.losses, fabric.device, notes.append)
    if job is not None:
        for note in notes:
            print(note, flush=True)
        print(
            f"{len(capture.split('train'))} views to train on, {len(capture.split('test'))} of "
            f"camera '{capture.test_camera}' to test on; backend {backend.name}, "
            f"{fabric.world_size} process(es), {threads} thread(s), seed {settings.seed}",
            flush=True,
        )
        write_json(folder / CONFIG, {"data": str(data), "head": head, **settings.to_dict()})
        _tell(job, 0, "Preparing the rasteriser")
    warm_up(backend, gradients=True)
    with memory_hint(settings):
        checkpoint = folder / "checkpoints" / STATE
        going_on = checkpoint.exists()
        avatar = _first_avatar(capture, settings, backend, job, going_on=going_on)
        trainer = AvatarTrainer(capture, avatar, settings, backend, fabric, loss)
        run = _Run(trainer, folder, job)
        if going_on:
            run.restore(checkpoint)
        run.to_the_end()


class _Run:
    """The loop round the steps: telling, saving, measuring, cancelling."""

    def __init__(self, trainer: AvatarTrainer, folder: Path, job: JobHandle | None) -> None:
        self.trainer, self.folder, self.job = trainer, folder, job
        self.settings = trainer.settings
        self.record = None
        if job is not None:
            self.record = Record(folder, f"{self.settings.name}: losses and test PSNR")
        test = trainer.capture.split("test")
        self._shown: list[View] = [test[index] for index in sorted({0, liveliest(test)})]
        self._psnr = 0.0
        self._seconds = 0.0
        self._since = time.monotonic()

    def restore(self, checkpoint: Path) -> None:
        state = load_checkpoint(checkpoint, self.settings.to_dict())
        self.trainer.restore(state)
        self._seconds = float(state["seconds"])
        self._psnr = float(state["psnr"])
        if self.record is not None:
            self.record.restore(state["record"])

    def to_the_end(self) -> None:
        settings, trainer = self.settings, self.trainer
        self._since = time.monotonic()
        try:
            while trainer.step < settings.steps:
                terms = trainer.advance()
                self._after(trainer.step, terms)
                self._stop_if_asked()
        except (CancelledError, KeyboardInterrupt):
            self._save()
            self._export()
            raise
        finally:
            if self.record is not None:
                self.record.close()
        self._finish()

    def _after(self, step: int, terms: dict[str, float]) -> None:
        """What follows a step, in the first process."""
        settings = self.settings
        last = step == settings.steps
        if step % settings.checkpoint_every == 0 or last:
            self._save()
        if self.job is None or self.record is None:
            return
        self.record.add(step, terms, self.trainer.avatar.count)
        if step % settings.evaluate_every == 0 and not last:
            self._measure(_QUICK_VIEWS)
            self._export()
        preview = None
        if step % settings.preview_every == 0 or last:
            preview = self.folder / PREVIEW
            save_preview(preview, self.trainer.avatar, self._shown, self.trainer.backend)
        self.job.update(
            step,
            total=settings.steps,
            loss=terms["total"],
            preview=preview,
            message=self._message(),
        )

    def _message(self) -> str:
        measured_at = f", test PSNR {self._psnr:.2f} dB" if self._psnr else ""
        return f"{self.trainer.avatar.count:,} Gaussians{measured_at}"

    def _measure(self, most: int) -> dict[str, float]:
        trainer = self.trainer
        scores = measured(trainer.avatar, trainer.capture.split("test"), trainer.backend, most)
        self._psnr = scores.psnr
        values = {
            "test PSNR (dB)": scores.psnr,
            "test SSIM": scores.ssim,
            "seconds": self._elapsed(),
            "gaussians": float(trainer.avatar.count),
        }
        if self.record is not None:
            self.record.measure(trainer.step, values)
        print(
            f"step {trainer.step}: {trainer.avatar.count} Gaussians, PSNR {scores.psnr:.2f} dB, "
            f"SSIM {scores.ssim:.4f} on {scores.views} views, {self._elapsed():.0f} s",
            flush=True,
        )
        return values | {"views": float(scores.views)}

    def _elapsed(self) -> float:
        return self._seconds + time.monotonic() - self._since

    def _stop_if_asked(self) -> None:
        asked = self.job is not None and self.job.cancel_requested
        if self.trainer.fabric.world_size > 1:
            asked = bool(self.trainer.fabric.broadcast(asked))
        if asked:
            raise CancelledError

    def _save(self) -> None:
        state = self.trainer.state()
        if self.job is None or self.record is None:
            return
        state |= {
            "settings": self.settings.to_dict(),
            "record": self.record.state(),
            "seconds": self._elapsed(),
            "psnr": self._psnr,
        }
        save_checkpoint(self.job.checkpoints / STATE, state)

    def _export(self, scores: dict[str, float] | None = None) -> None:
        if self.job is None:
            return
        settings, trainer = self.settings, self.trainer
        told = {
            "made by": "gaussianspeech train avatar",
            "capture": trainer.capture.folder.resolve().name,
            "steps": f"{trainer.step} of {settings.steps}",
            "seed": str(settings.seed),
            "gaussians": str(trainer.avatar.count),
        }
        told |= {name: f"{value:.4g}" for name, value in (scores or {}).items()}
        save_avatar(trainer.avatar.avatar(told), self.folder / AVATAR, half=True)

    def _finish(self) -> None:
        if self.job is None:
            return
        scores = self._measure(len(self.trainer.capture.split("test")))
        self._export(scores)
        write_json(
            self.folder / SCORES,
            {
                **scores,
                "steps": self.trainer.step,
                "density": [list(entry) for entry in self.trainer.log],
            },
        )
        self.job.update(self.trainer.step, message=self._message())
        _report(self.folder, self.trainer.capture.folder)


def _report(folder: Path, data: Path) -> None:
    """The report's page; a training that went well does not fail for its want."""
    from training.evaluation.report.avatar import write_report

    try:
        write_report(folder, data)
    except (GaussianSpeechError, OSError, ValueError) as error:
        print(f"The report could not be written: {error}", file=sys.stderr, flush=True)


def use_threads(wanted: int) -> int:
    """Let torch and the kernels use so many threads; 0 takes the cores that are free now.

    A step is many short parallel parts, each of which waits for its slowest thread: on a busy
    machine two threads are slower than one, up to ten times.

    Raises:
        BadInputError: ``wanted`` is negative.
    """
    if wanted < 0:
        raise BadInputError(f"--threads is {wanted}.", "Give 0 for the free cores, or how many.")
    cores = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    count = min(cores, wanted) if wanted else max(1, round(cores - busy))
    torch.set_num_threads(count)
    numba.set_num_threads(min(count, vars(numba.config)["NUMBA_NUM_THREADS"]))
    return count


def process_fabric(device: str, backend: Backend) -> Fabric:
    """One process, or as many as ``torchrun`` started."""
    kind = "cuda" if device == "cuda" or (device == "auto" and backend.name == "gsplat") else "cpu"
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    if processes == 1:
        fabric = Fabric(accelerator=kind, devices=1)
    else:
        local = int(os.environ.get("LOCAL_WORLD_SIZE", str(processes)))
        fabric = Fabric(
            accelerator=kind, devices=local, num_nodes=processes // local, strategy="ddp"
        )
    fabric.launch()
    return fabric


def _first_avatar(
    capture: MultiViewCapture,
    settings: AvatarSettings,
    backend: Backend,
    job: JobHandle | None,
    *,
    going_on: bool,
) -> TrainableAvatar:
    views = 0 if going_on else VIEWS
    if views:
        _tell(job, 0, "Taking the first colours from the pictures")
    if settings.initial is None:
        return seeded_avatar(capture, settings, backend, views=views)
    given = load_avatar(settings.initial, capture.head)
    return avatar_to_go_on_from(given, capture, settings, backend, views=views)


def _tell(job: JobHandle | None, step: int, message: str) -> None:
    if job is not None:
        job.update(step, message=message)


@contextlib.contextmanager
def memory_hint(settings: AvatarSettings) -> Iterator[None]:
    """Say what to lower when memory runs out."""
    try:
        yield
    except (MemoryError, torch.cuda.OutOfMemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not (
            isinstance(error, torch.cuda.OutOfMemoryError) or "can't allocate memory" in str(error)
        ):
            raise
        lower = ["--scale " + f"{settings.scale / 2:g}"]
        if settings.views > 1:
            lower.append(f"--views {settings.views // 2}")
        if settings.memory > 0.5:
            lower.append(f"--memory {settings.memory / 2:g}")
        raise GaussianSpeechError(
            "The training ran out of memory.",
            f"Lower what it holds: {', '.join(lower)}, or --budget.",
        ) from error
