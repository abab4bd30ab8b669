# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.assets.starter --out DIR``: the shipped speech model, from nothing.

Speech is synthesised into ``DIR/clips``, prepared into ``DIR/sequences``, learned in ``DIR/run``
and given the teacher's amplitude and closures; ``DIR/speech_model.safetensors``, with
half-precision weights, is the asset.
``DIR/starter.json`` records the settings, the voices and the versions of everything that decides
the result: the same record gives the same sequences, and on the same kind of machine the same
weights. A broken run continues where it stopped.
"""

from __future__ import annotations

import json
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
import tyro

from engine.commands.console import print_error, print_result, progress_bar
from engine.core.errors import BadInputError, GaussianSpeechError
from engine.core.files import write_text
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads import load_head
from engine.motion.encoders.phonetic import SPECTRUM
from engine.motion.model.architectures import build
from engine.motion.model.checkpoint import load_model, save_model
from engine.motion.model.config import STARTER as SIZES
from engine.motion.model.config import for_head
from engine.motion.model.ids import STARTER
from training.assets.amplitude import amplify, amplitudes
from training.assets.closing import fit_closing
from training.assets.prepare import RECOGNISED, TRANSCRIBED, TRUE, Preparation, prepare
from training.assets.synthesise import Synthesis, synthesise
from training.assets.voices import installed
from training.losses.speech import LossWeights
from training.run.checkpoints import STATE
from training.speech.config import TrainingConfig
from training.speech.sequences import SpeechSequence
from training.speech.trainer import BEST, SpeechTrainer

MODEL_FILE = "speech_model.safetensors"
RECORD = "starter.json"

_SHARES = (0.5, 0.3, 0.2)
"""How often a clip has its true phones, recognised ones, or those of a transcript, as features."""
_LOSSES = LossWeights(bite=0.3, width=0.15, contact=2.0, closure=2.5)
"""Lips round and close, and f and v touch: what a regression is loosest in."""
_CLOSING_CLIPS = 100
"""Clips that the readout of closures is fitted on."""
_NUMBER = re.compile(r"\d+\.\d+(\.\d+)*")
_SPOKEN, _PREPARED = 0.15, 0.5
"""Parts of the time after which all clips are spoken, and prepared."""


@dataclass(frozen=True)
class StarterTraining:
    """What to make the model from.

    Attributes:
        out: folder of all that is made; a broken run in it continues.
        hours: how much speech is synthesised.
        seed: of texts, speakers, recording conditions, weights and crops.
        programs: synthesisers to use where they are installed.
        sequences: folder of sequences that are prepared already; nothing is synthesised then.
        head: id of the head.
        validation: how many of the first sequences are kept for validation.
        start: file of a model to start from, where there is one.
        workers: processes that prepare the clips; their number changes nothing but the time.
        training: settings; its seed is the one above.
    """

    out: Path
    hours: float = 3.3
    seed: int = 0
    programs: tuple[str, ...] = ("flite", "festival", "espeak-ng")
    sequences: Path | None = None
    head: str = "default"
    validation: int = 24
    start: Path | None = None
    workers: int = 1
    training: TrainingConfig = field(
        default_factory=lambda: TrainingConfig(
            steps=4000, variant_probs=_SHARES, validate_every=100, patience=30, losses=_LOSSES
        )
    )


def train_starter(plan: StarterTraining, progress: Progress = no_progress) -> Path:
    """Make the model from synthesis to asset, or continue where that was interrupted.

    Returns:
        The model's file.

    Raises:
        BadInputError: too few sequences, sequences that do not fit, or another run in the folder.
        MissingDependencyError: no synthesiser is installed.
        CancelledError: ``progress`` raised it; the same call continues.
    """
    plan = replace(plan, training=replace(plan.training, seed=plan.seed))
    record = _recorded(plan)
    folder = plan.sequences
    if folder is None:
        folder = plan.out / "sequences"
        clips = plan.out / "clips"
        synthesise(
            Synthesis(clips, plan.hours, plan.seed, plan.programs),
            subprogress(progress, 0.0, _SPOKEN),
        )
        prepare(
            Preparation(clips, folder, plan.head, plan.seed, plan.workers),
            subprogress(progress, _SPOKEN, _PREPARED),
        )
    first = 0.0 if plan.sequences else _PREPARED
    return _learned(plan, folder, record, subprogress(progress, first, 1.0))


def _learned(
    plan: StarterTraining, folder: Path, record: dict[str, Any], progress: Progress
) -> Path:
    head = load_head(plan.head)
    files = sorted(folder.glob("*.npz"))
    if len(files) <= plan.validation:
        raise BadInputError(
            f"{folder} holds {len(files)} sequences.",
            f"More than the {plan.validation} for validation are needed.",
        )
    sequences = [SpeechSequence.load(file) for file in files]
    torch.manual_seed(plan.seed)
    model = build(for_head(SIZES, head))
    if plan.start is not None:
        model = load_model(plan.start, head).model
    run = plan.out / "run"
    trainer = SpeechTrainer(
        model,
        head,
        sequences[plan.validation :],
        sequences[: plan.validation],
        plan.training,
        run,
        name=STARTER,
        val_variant=RECOGNISED,
    )
    if (run / STATE).is_file():
        trainer.resume()
    trainer.run(progress)
    best = load_model(run / BEST, head)
    held = sequences[: plan.validation]
    amplify(best.model, amplitudes(best.model, head.expression_names, held, (TRUE,)))
    taught = sequences[plan.validation :][:_CLOSING_CLIPS]
    fit_closing(best.model.eval(), head, taught, (TRUE, TRANSCRIBED))
    # Clips had no spectra, and people have: what theirs say is learned from their recordings.
    with torch.no_grad():
        best.model.get_parameter("audio.audio.weight")[:, SPECTRUM] = 0.0
    hours = sum(s.frames for s in sequences) / SIZES.motion_rate / 3600
    notes = best.notes | {"hours": round(hours, 2), "made_with": record}
    path = plan.out / MODEL_FILE
    save_model(path, best.model, head, STARTER, notes, half=True)
    return path


def _recorded(plan: StarterTraining) -> dict[str, Any]:
    """Everything that decides the result, as ``starter.json`` keeps it.

    Raises:
        BadInputError: the folder holds a run that was made otherwise.
    """
    settings: dict[str, Any] = {
        "hours": plan.hours,
        "seed": plan.seed,
        "head": plan.head,
        "validation": plan.validation,
        "start": None if plan.start is None else plan.start.name,
        "training": plan.training.to_dict(),
    }
    packages = ("gaussianspeech", "torch", "numpy", "scipy", "pocketsphinx", "soxr")
    record = {
        "settings": settings,
        "voices": [],
        "programs": {},
        "packages": {name: version(name) for name in packages},
        "machine": platform.machine(),
    }
    if plan.sequences is None:
        voices = installed(plan.programs)
        record["voices"] = [f"{voice.program} {voice.name}" for voice in voices]
        record["programs"] = {p: _version(p) for p in sorted({v.program for v in voices})}
    path = plan.out / RECORD
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        for topic in ("settings", "voices"):
            if kept.get(topic) != record[topic]:
                raise BadInputError(
                    f"The run in {plan.out} was made with other {topic}: {path} holds "
                    f"{kept.get(topic)}; now they are {record[topic]}.",
                    "Continue with those, or begin in another folder.",
                )
    write_text(path, json.dumps(record, indent=2))
    return record


def _version(program: str) -> str:
    """The version that a synthesiser prints; of the package for espeak-ng, which is a library."""
    if program == "espeak-ng":
        return version("espeakng-loader")
    found = shutil.which(program)
    assert found is not None
    run = subprocess.run(  # noqa: S603 - one of three known programs.
        [found, "--version"], capture_output=True, text=True, timeout=20, check=False
    )
    found_number = _NUMBER.search(run.stdout + run.stderr)
    return found_number.group() if found_number else "unknown"


def main() -> int:
    """The command."""
    plan = tyro.cli(StarterTraining, description=__doc__)
    try:
        with progress_bar("train starter") as progress:
            path = train_starter(plan, progress)
    except GaussianSpeechError as error:
        return print_error(error)
    print_result({"model": path}, as_json=False)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
