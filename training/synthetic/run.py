# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a synthetic capture: picture after picture, those already there are kept."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.core.arrays import Float
from engine.core.errors import CancelledError, GaussianSpeechError, MissingDependencyError
from engine.heads import load_head
from engine.heads.head import Head
from engine.jobs.worker import JobHandle
from training.data.capture_light import LIGHT, save_light
from training.data.layout import (
    CANONICAL_HEAD,
    IMAGES,
    MASKS,
    SPLITS,
    Frame,
    head_param_path,
    image_path,
    mask_path,
    transforms_path,
    write_transforms,
)
from training.data.layout_head_param import save_head_param, save_identity
from training.synthetic.cameras import RigCamera, camera_rig
from training.synthetic.plan import Shot, shots, with_close_ups
from training.synthetic.record import write_record
from training.synthetic.recordings import prepare_recordings
from training.synthetic.schedule import TimestepPose, schedule
from training.synthetic.settings import CaptureSettings

if TYPE_CHECKING:
    from training.synthetic.cycles_rig import CyclesRig

Device = Literal["cpu", "gpu"]

PREVIEW = "preview.jpg"
LIGHT_SAMPLES = 64


def make_capture(
    folder: Path,
    made_of: dict[str, Any],
    settings: CaptureSettings,
    audio: Sequence[Path],
    job: JobHandle,
    *,
    threads: int | None = None,
    device: Device = "cpu",
) -> None:
    """Film the default head; what lies in the folder already is kept.

    The studio's light on the head is written before the first picture.

    After each timestep the transforms files list all pictures there are, so that training can
    begin before the capture is complete, and a capture that broke off is one.

    Args:
        folder: of the capture, and of the job.
        made_of: of :func:`training.synthetic.record.ingredients`, kept in ``capture.json``.
        settings: the capture.
        audio: recordings that the person speaks.
        job: gets every picture's progress; its cancel ends the work after the current picture.
        threads: of Cycles; all processors by default.
        device: whether a GPU renders.

    Raises:
        CancelledError: the job was cancelled; all pictures are kept.
        MissingDependencyError: Blender's Python module is not there, or no GPU where one is wanted.
        GaussianSpeechError: the disk is full; all pictures are kept.
    """
    head = load_head(made_of["head"])
    spoken = prepare_recordings(
        folder,
        head,
        audio,
        sample=made_of["sample_voice"],
        progress=job.progress,
    )
    count, turning = settings.timesteps, settings.turning
    poses = schedule(head, spoken, count, settings.seed, turning, faces=settings.faces)
    rig = camera_rig(head, settings)
    around = [camera.around for camera in rig[: settings.cameras]]
    plan = with_close_ups(
        shots(settings.timesteps, around, settings.views_per_timestep, settings.behind),
        [pose.kind for pose in poses],
        [camera.part for camera in rig],
    )
    try:
        _clear_halves(folder)
        write_record(folder, made_of, head, rig, poses)
        if len(head.source.shape):
            save_identity(head, folder / CANONICAL_HEAD)
        for timestep, pose in enumerate(poses):
            save_head_param(pose.param, folder / head_param_path(timestep))

        def cycles_rig() -> CyclesRig:
            if not (folder / LIGHT).is_file():
                job.progress(0.0, "measuring the light")
                save_light(captured_light(head, threads), folder)
            job.progress(0.0, "building the person")
            return new_cycles_rig(made_of["head"], settings.samples, threads, device)

        _CaptureRun(folder, rig, poses, plan, job).run(cycles_rig)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise GaussianSpeechError(
            f"The disk of {folder} is full.",
            "Make room and give the same command again: the pictures taken so far are kept.",
        ) from error


class _CaptureRun:
    def __init__(
        self,
        folder: Path,
        rig: Sequence[RigCamera],
        poses: Sequence[TimestepPose],
        plan: Sequence[Sequence[Shot]],
        job: JobHandle,
    ) -> None:
        self._folder, self._rig, self._poses, self._plan = folder, rig, poses, plan
        self._job = job
        self._total = sum(map(len, plan))
        self._done: list[Shot] = []

    def run(self, cycles_rig: Callable[[], CyclesRig]) -> None:
        """Take the pictures that are missing; the rig is built for the first of them."""
        cycles: CyclesRig | None = None
        for timestep, planned in enumerate(self._plan):
            missing = [shot for shot in planned if not self._is_done(shot)]
            self._done += [shot for shot in planned if shot not in missing]
            if missing:
                cycles = cycles or cycles_rig()
                cycles.pose(self._poses[timestep])
            for shot in missing:
                self._report(timestep)
                if self._job.cancel_requested:
                    self._list()
                    raise CancelledError
                assert cycles is not None
                self._render(cycles, shot)
            if missing:
                self._list()
        self._list()
        self._report(len(self._plan) - 1)

    def _render(self, cycles: CyclesRig, shot: Shot) -> None:
        # Deferred: scipy is only needed where pictures are missing.
        from training.synthetic.image_output import store, store_preview

        seed = shot.timestep * len(self._rig) + shot.camera
        rgba = cycles.shoot(self._rig[shot.camera].camera, seed)
        image, mask = self._paths(shot)
        store(rgba, self._folder / image, self._folder / mask)
        store_preview(rgba, self._folder / PREVIEW)
        self._done.append(shot)
        self._job.update(len(self._done), total=self._total, preview=PREVIEW)

    def _report(self, timestep: int) -> None:
        done = len(self._done)
        message = f"{done} of {self._total} pictures, timestep {timestep + 1}: "
        message += self._poses[timestep].name
        self._job.update(done, total=self._total, message=message)

    def _paths(self, shot: Shot) -> tuple[str, str]:
        return image_path(shot.timestep, shot.camera), mask_path(shot.timestep, shot.camera)

    def _is_done(self, shot: Shot) -> bool:
        return all((self._folder / path).is_file() for path in self._paths(shot))

    def _list(self) -> None:
        """Write the transforms files, once there is something to train and to test on."""
        if len({shot.split == "train" for shot in self._done}) < 2:
            return
        for split in SPLITS:
            frames = [self._frame(shot) for shot in self._done if shot.split == split]
            write_transforms(transforms_path(self._folder, split), frames)

    def _frame(self, shot: Shot) -> Frame:
        image, mask = self._paths(shot)
        camera = self._rig[shot.camera]
        return Frame(
            timestep=shot.timestep,
            camera_index=shot.camera,
            camera_id=camera.id,
            camera=camera.camera,
            image=image,
            mask=mask,
            param=head_param_path(shot.timestep),
            kind="head",
        )


def captured_light(head: Head, threads: int | None) -> Float:
    """The studio's light as a capture holds it: :func:`training.synthetic.light.studio_light`.

    Raises:
        MissingDependencyError: there is no Blender.
    """
    with _blender():
        from training.synthetic.cycles_rig import silenced
        from training.synthetic.light import studio_light
    with silenced():
        return studio_light(head, LIGHT_SAMPLES, threads)


def new_cycles_rig(head: str, samples: int, threads: int | None, device: Device) -> CyclesRig:
    """Cameras before the person of a head (:class:`training.synthetic.cycles_rig.CyclesRig`).

    Raises:
        MissingDependencyError: there is no Blender.
    """
    with _blender():
        from training.synthetic.cycles_rig import CyclesRig
    return CyclesRig(load_head(head), samples, threads=threads, device=device)


@contextmanager
def _blender() -> Iterator[None]:
    """Say what to install where importing what needs Blender fails for its want."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name != "bpy":
            raise
        raise MissingDependencyError(
            "Filming needs Blender as a Python module, which is not installed.",
            "Install it with: pip install 'gaussianspeech[blender]'.",
        ) from error


def _clear_halves(folder: Path) -> None:
    """Remove what a killed run was writing."""
    for name in (IMAGES, MASKS):
        for half in (folder / name).glob(".*.part*"):
            half.unlink(missing_ok=True)
