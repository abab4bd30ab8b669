# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech capture``: a synthetic multi-view capture, rendered by Blender's Cycles."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from engine.core.checks import check_range
from engine.jobs.worker import JobHandle
from training.commands.job_run import run_as_job

_HEAD = "default"


def capture(
    *,
    out: Path,
    head: str = _HEAD,
    scale: float = 1.0,
    cameras: int = 16,
    behind: int = 0,
    timesteps: int = 72,
    views_per_timestep: int | None = None,
    samples: int = 64,
    turning: float = 0.3,
    audio: tuple[Path, ...] = (),
    sample_voice: bool = True,
    faces: bool = True,
    close_ups: bool = False,
    seed: int = 0,
    threads: int | None = None,
    device: Literal["cpu", "gpu"] = "cpu",
    background: bool = False,
    json: bool = False,
) -> int:
    """Film the default head with many cameras: a capture to train avatars on (docs/capture.md).

    Given again with the same options, a capture that stopped before its end is resumed.

    Args:
        out: folder of the capture, and of its job.
        head: who is filmed: "default", or another person of its identity space, "default#7".
        scale: of the pictures; 1 is 1100×1604 pixels.
        cameras: round the front of the head, 2 to 16.
        behind: cameras at its sides and behind it besides, 0 to 6, for avatars that turn round.
        timesteps: their number: faces, gazes, head poses and frames of speech in turn.
        views_per_timestep: cameras that film each timestep, by turns; all by default.
        samples: of Cycles, a pixel; the pictures are denoised.
        audio: recordings that the person speaks, besides the sample voice; beside one <name>.txt
            may hold its transcript, <name>.performance.npz the motion, and split.json say which
            are to test on.
        sample_voice: whether the person speaks the shipped sample voice.
        faces: whether faces are made between the frames of speech.
        close_ups: film mouth and forehead from near besides, where they move, to train on.
        turning: how far the head turns, nods and tilts: 1 is up to 18° to a side, 0 holds it still.
        seed: of head poses and mixed faces.
        threads: of Cycles; all processors by default.
        device: "gpu" renders on the first kind that Blender finds: OptiX, CUDA, HIP, Metal, oneAPI.
        background: return at once, and film in another process; see 'gaussianspeech jobs'.
        json: print the result as JSON.
    """
    from engine.core.errors import BadInputError
    from engine.heads import load_head
    from training.run.options import THREADS
    from training.synthetic.record import check_resumable, ingredients
    from training.synthetic.settings import CaptureSettings

    settings = CaptureSettings(
        scale=scale,
        cameras=cameras,
        behind=behind,
        timesteps=timesteps,
        views_per_timestep=cameras if views_per_timestep is None else views_per_timestep,
        samples=samples,
        turning=turning,
        seed=seed,
        faces=faces,
        close_ups=close_ups,
    )
    if threads is not None:
        check_range("--threads", threads, 1, THREADS[1])
    if head.partition("#")[0] != _HEAD:
        raise BadInputError(
            f"--head {head}: the synthetic person is one of the default head's.",
            f"Give {_HEAD}, or an identity such as {_HEAD}#7.",
        )
    load_head(head)
    made_of = check_resumable(out, ingredients(head, settings, audio, sample=sample_voice))

    def work(job: JobHandle) -> None:
        from training.synthetic.run import make_capture

        make_capture(out, made_of, settings, audio, job, threads=threads, device=device)

    config = {"kind": "capture", **made_of}
    return run_as_job(out, config, work, background=background, json=json)
