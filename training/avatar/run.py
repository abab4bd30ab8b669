# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar training from a capture's folder to ``avatar.safetensors``, as a job's work."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numba
import numpy as np
import torch

from engine.avatar import load_avatar, save_avatar
from engine.avatar.avatar_file import ASSET, avatar_path
from engine.avatar.gaussian_avatar import GaussianAvatar
from engine.avatar.kernels import warm_up
from engine.core import platforms
from engine.core.arrays import Float
from engine.core.errors import BadInputError, CancelledError, GaussianSpeechError
from engine.heads.identity import Identity
from engine.heads.registry import avatar_in
from engine.jobs.worker import JobHandle
from engine.splatting.backend import Backend
from engine.splatting.registry import choose_backend
from training.avatar.config import UNSEEN, AvatarSettings
from training.avatar.light import light_of
from training.avatar.model import TrainableAvatar
from training.avatar.preview import measured, most_expressive, save_preview
from training.avatar.start import VIEWS, avatar_to_go_on_from, seeded_avatar
from training.avatar.trainer import AvatarTrainer
from training.avatar.tuning import CaptureTuning, RefinedViews
from training.avatar.tuning_video import TunedVideo, refined_pictures
from training.data.flame_tracking import TRACKING, save_tracking
from training.data.multiview import MultiViewCapture
from training.data.recordings import sequence_rate
from training.losses.avatar import AvatarLoss
from training.run.checkpoints import STATE, write_json
from training.run.loop import Intervals, Step, TrainingLoop, Watch, report_to, unwatched
from training.run.processes import Processes, join_processes
from training.run.record import Record
from training.tracking.refined_capture import REFINED

AVATAR = "avatar.safetensors"
CONFIG = "config.json"
PREVIEW = "preview.png"
SCORES = "scores.json"
CAMERAS = "camera_colors.json"
CORRECTED = "test PSNR, colours corrected (dB)"
_DRAWN = ("total", "rgb", "position", "scaling", "global", "patch", "wrinkle", "test PSNR (dB)")
_QUICK_VIEWS = 8
"""Views of the held-out camera that are measured while training."""


def train(
    data: Path,
    settings: AvatarSettings,
    folder: Path,
    job: JobHandle | None,
    *,
    head: str | None = None,
    report: bool = True,
    refining: bool = False,
) -> None:
    """Train, or resume a training that was interrupted.

    Args:
        data: folder of the capture.
        settings: how.
        folder: the job's; gets avatar.safetensors, previews, curves, checkpoints and scores.
        job: gets reports; ``None`` in processes other than the first.
        head: FLAME model of the capture, or its head, where it is not the default one.
        report: whether the report's page is written in the end.
        refining: of a tracked video, whether the head's identity and every picture's pose are
            learned, too. Pictures to test on are trained on with the others, as many as can be
            seen often enough; what was found is left in
            :data:`training.tracking.refined_capture.REFINED`.

    Raises:
        BadInputError: the capture or the settings cannot be used; before training starts.
        CancelledError: the user asked to stop; a checkpoint was saved.
        GaussianSpeechError: out of memory, or a checkpoint cannot be written.
    """
    _report_message(job, "Checking the capture")
    capture = MultiViewCapture.open(data, scale=settings.scale, head=head)
    if refining:
        capture = capture.trained_on_all(refined_pictures(settings))
    initial = _initial(settings, capture)
    _report_message(job, "Looking for the light of the capture")
    light = light_of(capture)
    threads = use_threads(settings.threads)
    backend = choose_backend(settings.backend)
    processes = processes_of(settings.device, backend)
    loss = AvatarLoss(settings.losses, processes.device)
    if job is not None:
        for note in (capture.note, loss.off_note if loss.off else ""):
            if note:
                job.note(note)
        print(
            f"{len(capture.split('train'))} views to train on, {len(capture.split('test'))} of "
            f"camera '{capture.test_camera}' to test on; backend {backend.name}, "
            f"{processes.count} process(es), {threads} thread(s), seed {settings.seed}",
            flush=True,
        )
        terms = {"terms": loss.weights, "terms_off": loss.terms_off}
        about = {"data": str(data), "head": head, **settings.to_dict()}
        write_json(folder / CONFIG, about | terms)
        _report_message(job, "Preparing the rasteriser")
    warm_up(backend, gradients=True)
    with memory_hint(settings):
        record = None if job is None else Record(folder, f"{settings.name}: losses", _DRAWN)
        resumes = processes.agreed(yes=(folder / STATE).exists())
        avatar = _first_avatar(capture, settings, backend, job, initial, resumes=resumes)
        tuning = _tuning(capture, settings, processes, refining=refining)
        trainer = AvatarTrainer(capture, avatar, settings, backend, processes, loss, tuning)
        training = _AvatarTraining(trainer, folder, light)
        intervals = Intervals(
            settings.checkpoint_every, settings.evaluate_every, settings.preview_every
        )
        loop = TrainingLoop(training, folder, settings.to_dict(), intervals, record)
        if resumes:
            loop.resume(processes)
        try:
            loop.run(_watch_of_all(job, processes))
        except (CancelledError, KeyboardInterrupt):
            if job is not None:
                training.export()
            raise
    if job is not None:
        training.save_scores(loop.seconds)
        if report:
            _report(folder, data)
        lacks = f"; without {loss.lacks}" if loss.off else ""
        job.update(job.status.step, message=f"{training.message}{lacks}")


class _AvatarTraining:
    """An avatar in training as the loop sees it."""

    def __init__(self, trainer: AvatarTrainer, folder: Path, light: tuple[Float, str]) -> None:
        self.trainer, self.folder, self._light = trainer, folder, light
        self.total = trainer.settings.steps
        self._test = RefinedViews(trainer.capture.split("test"), trainer.tuning)
        self._shown = sorted({0, most_expressive(self._test)})
        self._scores: dict[str, float] = {}

    @property
    def step(self) -> int:
        return self.trainer.step

    @property
    def finished(self) -> bool:
        return self.step >= self.total

    @property
    def message(self) -> str:
        count = f"{self.trainer.avatar.count:,} Gaussians"
        psnr = self._scores.get("test PSNR (dB)")
        return count if psnr is None else f"{count}, test PSNR {psnr:.2f} dB"

    def advance(self) -> dict[str, float]:
        terms = self.trainer.advance()
        return terms | {"gaussians": float(self.trainer.avatar.count)}

    def validate(self) -> dict[str, float]:
        trainer = self.trainer
        most = len(self._test) if self.finished else _QUICK_VIEWS
        scores = measured(trainer.avatar, self._test, trainer.backend, most)
        self._scores = {
            "test PSNR (dB)": scores.psnr,
            "test SSIM": scores.ssim,
            "gaussians": float(trainer.avatar.count),
        }
        if trainer.tuning.cameras is not None:
            self._scores[CORRECTED] = scores.corrected
        print(
            f"step {trainer.step}: {trainer.avatar.count} Gaussians, PSNR {scores.psnr:.2f} dB, "
            f"SSIM {scores.ssim:.4f} on {scores.views} views",
            flush=True,
        )
        self.export()
        return self._scores

    def preview(self) -> Path:
        path = self.folder / PREVIEW
        shown = [self._test[index] for index in self._shown]
        save_preview(path, self.trainer.avatar, shown, self.trainer.backend)
        return path

    def state(self) -> dict[str, Any]:
        return self.trainer.state() | {"scores": self._scores}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.trainer.restore(state)
        self._scores = dict(state.get("scores", {}))

    def export(self) -> None:
        """Write the avatar as it is now, and what was refined of the capture."""
        trainer = self.trainer
        identity = trainer.capture.identity()
        if (tracking := trainer.tuning.tracking) is not None:
            identity = Identity.of(trainer.capture.head, tracking.expressions())
            fps = sequence_rate(trainer.capture.folder)
            save_tracking(tracking.param(), tracking.timesteps, self.folder / TRACKING, fps)
        if (video := trainer.tuning.video) is not None:
            motion = video.motion()
            expressions = [pose.expression for pose in trainer.capture.poses().values()]
            identity = Identity.of(motion.head, np.stack(expressions))
            motion.save(self.folder / REFINED)
        if (cameras := trainer.tuning.cameras) is not None:
            write_json(self.folder / CAMERAS, cameras.maps())
        provenance = {
            "made by": "gaussianspeech train avatar",
            "capture": trainer.capture.folder.resolve().name,
            "steps": f"{trainer.step} of {self.total}",
            "seed": str(trainer.settings.seed),
            "gaussians": str(trainer.avatar.count),
            "refined": ", ".join(trainer.tuning.names) or "nothing of the capture",
        }
        provenance |= {name: f"{value:.4g}" for name, value in self._scores.items()}
        if trainer.loss.off:
            provenance["losses off"] = trainer.loss.lacks
        light, provenance["light"] = self._light
        avatar = trainer.avatar.avatar(provenance, identity, torch.from_numpy(light))
        save_avatar(avatar, self.folder / AVATAR, half=True)

    def save_scores(self, seconds: float) -> None:
        """Write the scores of the finished avatar on all held-out views."""
        density = [list(entry) for entry in self.trainer.log]
        rest: dict[str, Any] = {
            "views": float(len(self._test)),
            "seconds": seconds,
            "steps": self.step,
            "density": density,
            UNSEEN: 100 * float((~self.trainer.avatar.ever_visible).float().mean()),
        }
        if (tracking := self.trainer.tuning.tracking) is not None:
            rest["refined tracking, mean shift (mm)"] = tracking.shift() * 1000.0
        write_json(self.folder / SCORES, {**self._scores, **rest})


def _watch_of_all(job: JobHandle | None, processes: Processes) -> Watch:
    """What each process does after a step: the first one reports, and all stop together."""
    watch = unwatched if job is None else report_to(job)
    if processes.count == 1:
        return watch

    def together(step: Step) -> None:
        stop: CancelledError | None = None
        try:
            watch(step)
        except CancelledError as error:
            stop = error
        if processes.agreed(yes=stop is not None):
            raise stop or CancelledError

    return together


def _report(folder: Path, data: Path) -> None:
    """The report's page; a training that went well does not fail for its want."""
    from training.evaluation.avatar import write_report

    try:
        write_report(folder, data)
    except (GaussianSpeechError, OSError, ValueError) as error:
        print(f"The report could not be written: {error}", file=sys.stderr, flush=True)


def use_threads(wanted: int) -> int:
    """Let torch and the kernels use so many threads; 0 takes the cores that are free now.

    Processes that ``torchrun`` started on this host share these.

    A step is many short parallel parts, each of which waits for its slowest thread: on a busy
    machine two threads are slower than one, up to ten times.

    Raises:
        BadInputError: ``wanted`` is negative.
    """
    if wanted < 0:
        raise BadInputError(f"--threads is {wanted}.", "Give 0 for the free cores, or how many.")
    cores = platforms.usable_processors()
    busy = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    share = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    count = min(cores, wanted) if wanted else max(1, round((cores - busy) / share))
    torch.set_num_threads(count)
    numba.set_num_threads(min(count, vars(numba.config)["NUMBA_NUM_THREADS"]))
    return count


def processes_of(device: str, backend: Backend) -> Processes:
    """The processes on the device that the settings and the backend ask for."""
    return join_processes(cuda=device == "cuda" or (device == "auto" and backend.name == "gsplat"))


def _first_avatar(
    capture: MultiViewCapture,
    settings: AvatarSettings,
    backend: Backend,
    job: JobHandle | None,
    initial: GaussianAvatar | None,
    *,
    resumes: bool,
) -> TrainableAvatar:
    views = 0 if resumes else VIEWS
    if views:
        _report_message(job, "Taking the first colours from the pictures")
    if initial is None:
        return seeded_avatar(capture, settings, backend, views=views)
    return avatar_to_go_on_from(initial, capture, settings, backend, views=views)


def _tuning(
    capture: MultiViewCapture, settings: AvatarSettings, processes: Processes, *, refining: bool
) -> CaptureTuning:
    tuning = CaptureTuning(capture, settings.tuning, processes.device)
    if refining:
        visits = settings.steps * settings.views * processes.count / len(capture.split("train"))
        tuning.video = TunedVideo(capture, visits, processes.device)
    return tuning


def _initial(settings: AvatarSettings, capture: MultiViewCapture) -> GaussianAvatar | None:
    """The avatar to continue from; that of another person with the same triangles is one too."""
    if settings.initial is None:
        return None
    folder = Path(settings.initial)
    file = avatar_in(folder) if folder.is_dir() else settings.initial
    given = load_avatar(file, capture.head, other_identity=True)
    # That somebody who was filmed is not who ships is nothing to warn of.
    for warning in given.warnings if avatar_path(file) != ASSET else ():
        print(f"note: {warning}", flush=True)
    return given


def _report_message(job: JobHandle | None, message: str) -> None:
    if job is not None:
        job.update(0, message=message)


@contextlib.contextmanager
def memory_hint(settings: AvatarSettings) -> Iterator[None]:
    """Say what to lower when memory runs out.

    Raises:
        GaussianSpeechError: it has run out in the block.
    """
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
