# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech train speech``: a person's own speech model from recordings with motion."""

from __future__ import annotations

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from engine.commands.console import print_result
from engine.core.errors import BadInputError, CancelledError
from engine.jobs.command import ENVIRONMENT
from engine.jobs.folder import default_folder, free_name
from engine.jobs.worker import JobHandle
from engine.motion.model.ids import STARTER
from training.commands.job_run import run_as_job
from training.run.options import check_file

if TYPE_CHECKING:
    from training.speech.personal import Outcome

_IDS = ("default", STARTER, "none")


def speech(
    *,
    data: Path,
    out: Path | None = None,
    name: str = "speech",
    head: str = "default",
    tracking: Path | None = None,
    start: Annotated[str, tyro.conf.arg(name="from")] = STARTER,
    preset: str | None = None,
    encoder: Literal["phonetic", "wav2vec2"] | None = None,
    encoder_source: str | None = None,
    steps: int = 1500,
    batch: int = 16,
    frames: int = 160,
    learning_rate: float = 5e-4,
    validate_every: int = 100,
    patience: int = 8,
    seed: int = 0,
    device: Literal["auto", "cpu", "cuda"] = "auto",
    precision: Literal["auto", "float32", "bfloat16"] = "auto",
    alignment_mask: bool = True,
    finetune_audio: bool = True,
    wrinkle_features: bool = True,
    wrinkles: Literal["auto", "mesh"] = "auto",
    background: bool = False,
    json: bool = False,
) -> int:
    """Train a person's speech model; OUT is the job's folder and gets speech_model.safetensors.

    The result is a speech model for 'animate --speech-model' and for Blender.

    Args:
        data: folder of recordings with motion (docs/speech-model.md), or a multi-view capture.
        out: folder of the job; one that stopped before its end is resumed. By default a new one
            among 'jobs'.
        name: what the model is called.
        head: "default", the FLAME file (.pkl, .npz), an avatar of the person, or the mesh that was
            captured.
        tracking: flame_param.npz of an avatar training on the capture: its refined parameters in
            place of the capture's.
        start: "starter", the file of a speech model, or "none" for a new model of a preset.
        preset: of a new model (--from none): "personal", the default there; "paper", as the paper
            has it; "starter", small and without any weights; "without_alignment_mask",
            "without_audio_finetuning" and "without_wrinkle_features" of Table 4; "autoregressive";
            or what the paper compares with: "faceformer", "codetalker", "imitator".
        encoder: of a new model (--from none), in place of the preset's; "phonetic" needs no
            weights.
        encoder_source: folder or hub id of wav2vec 2.0 for a new model (--from none).
        steps: steps of the optimiser at most.
        batch: clips in a step.
        frames: frames of each.
        learning_rate: highest.
        validate_every: steps between validations, which are checkpoints too.
        patience: validations without a lower LVE after which training stops.
        seed: of weights, crops and dropout.
        device: where to train.
        precision: auto is bfloat16 on CUDA.
        alignment_mask: each frame attends to the audio of its own time alone (Table 4).
        finetune_audio: train wav2vec 2.0 too, but for its convolutions (Table 4).
        wrinkle_features: predict wrinkles on the way to motion (Table 4).
        wrinkles: what they are measured on: the pictures of a capture that has any, or always the
            mesh.
        background: return at once, and train in another process; see 'gaussianspeech jobs'.
        json: print the result as JSON.
    """
    from training.run.loop import report_to
    from training.speech.config import TrainingConfig
    from training.speech.personal import PersonalTraining, train_personal

    _check_files(data, head, start)
    _check_new(start, preset, encoder, encoder_source)
    check_file(tracking, "--tracking")
    folder = _folder(out, name)
    plan = PersonalTraining(
        data=data.resolve(),
        out=folder,
        head=_absolute(head),
        tracking=None if tracking is None else tracking.resolve(),
        start=_absolute(start),
        preset=preset or PersonalTraining.preset,
        encoder=encoder or "",
        encoder_source=_absolute(encoder_source or ""),
        name=name,
        alignment_mask=alignment_mask,
        finetune_audio=finetune_audio,
        wrinkle_features=wrinkle_features,
        wrinkles=wrinkles,
        training=TrainingConfig(
            steps=steps,
            batch=batch,
            frames=frames,
            learning_rate=learning_rate,
            warm_up=min(50, steps),
            validate_every=validate_every,
            patience=patience,
            seed=seed,
            device=device,
            precision=precision,
        ),
    )

    def work(job: JobHandle) -> None:
        def report(_fraction: float, message: str) -> None:
            if job.cancel_requested:
                raise CancelledError
            job.update(job.status.step, total=steps, message=message)

        outcome = train_personal(plan, report, report_to(job))
        said = f"validation LVE {outcome.after:.3f} mm"
        if outcome.test is not None:
            said += f", test LVE {outcome.test.errors.lve * 1000:.3f} mm"
        job.update(job.status.step, message=said)
        if not json:
            print_result(
                {
                    "model": outcome.model,
                    "validation LVE before (mm)": round(outcome.before, 4),
                    "validation LVE after (mm)": round(outcome.after, 4),
                    **_test_figures(outcome),
                    "largest residual of the basis (mm)": round(outcome.residual, 4),
                    "seed": outcome.seed,
                },
                as_json=False,
            )

    config = {"kind": "speech", **plan.to_dict()}
    return run_as_job(folder, config, work, background=background, json=json)


def _test_figures(outcome: Outcome) -> dict[str, float | str]:
    """Figures of the test part; a word where there is none."""
    if outcome.test is None:
        return {"test part": "none: it takes three recordings, or a split.json that names some"}
    figures = outcome.test.figures().items()
    return {name: round(value, 4) for name, value in figures if math.isfinite(value)}


def _check_files(data: Path, head: str, start: str) -> None:
    """See that what the options name is there.

    Raises:
        BadInputError: it is not.
    """
    if not data.is_dir():
        raise BadInputError(f"There is no folder {data}.", "Check the path given with --data.")
    if start not in _IDS and not Path(start).is_file():
        raise BadInputError(
            f"There is no speech model {start}.", "Give --from a file, 'starter' or 'none'."
        )
    if head not in _IDS and not Path(head).is_file():
        raise BadInputError(f"There is no head file {head}.", "Check the path given with --head.")


def _check_new(
    start: str, preset: str | None, encoder: str | None, encoder_source: str | None
) -> None:
    """See that what only a new model has is not asked of one that there is.

    Raises:
        BadInputError: it is; names the option.
    """
    given = [
        ("--preset", preset),
        ("--encoder", encoder),
        ("--encoder-source", encoder_source),
    ]
    names = [name for name, value in given if value is not None]
    if start != "none" and names:
        raise BadInputError(
            f"{' and '.join(names)} say what a new model is like; --from {start} brings its own "
            "size and encoder.",
            f"Add --from none, or leave out {' and '.join(names)}.",
        )


def _folder(out: Path | None, name: str) -> Path:
    """The job's folder: as asked for, that of the job this process works on, or a new one."""
    if out is not None:
        return out
    if started_for := os.environ.get(ENVIRONMENT):
        return Path(started_for)
    root = default_folder()
    return root / free_name(root, f"{time.strftime('%Y%m%d-%H%M%S')}-{name}")


def _absolute(word: str) -> str:
    """A file as whoever resumes the job finds it; ids stay as they are."""
    path = Path(word)
    return str(path.resolve()) if path.exists() and word not in {"", *_IDS} else word
