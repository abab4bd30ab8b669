# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate``: measures on data with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.extras import SubcommandApp

from engine.commands.console import existing_folder, progress_bar
from engine.motion.model import ids as models
from engine.recognition.ids import DEFAULT
from training.commands.evaluate_avatar import avatar
from training.commands.evaluate_candidates import motion, video
from training.commands.evaluate_paper import paper

app = SubcommandApp()
app.__doc__ = (
    "Measure lip sync, an avatar on unseen pictures, other programs, or the paper's tables."
)
app.command(avatar)
app.command(motion)
app.command(video)
app.command(paper)


@app.command
def speech(
    audio: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    out: Path | None = None,
    head: str = "default",
    speech_model: str = models.DEFAULT,
    fps: float = 25.0,
    transcript: Literal["both", "with", "without"] = "both",
    truth: Path | None = None,
    syncnet: Path | None = None,
    avatar: str | None = None,
    recognizer: str = DEFAULT,
) -> int:
    """Measure lip sync on recordings with phone alignments.

    An alignment is Praat's <name>.TextGrid, with tiers of phones and words, or <name>.phones.json.
    Beside a film's sound, <name>.mouth.json holds the speaker's mouth to compare with; then the
    sounds of its text will do.
    Prints tables; with --out also writes report.json, report.html with plots, and faces.png.
    A learned model is shown beside the rules.

    Args:
        audio: audio files, or folders of them.
        out: folder for the report.
        head: who speaks.
        speech_model: "rules" (as for ``animate``), "starter" (learned), or a trained model's file.
        fps: frames per second.
        transcript: measure with the transcript of the alignment, without it, or both.
        truth: folder of captured motion, <name>.performance.npz or <name>.motion.npz, for LVE, FDD
            and MVE.
        syncnet: TorchScript file of SyncNet (docs/weights.md), for LSE-D and LSE-C.
        avatar: avatar file for the pictures; by default the shipped one where it fits, else the
            mesh.
        recognizer: what recognises the sound alone: "auto", the name or folder of a Whisper model,
            or "phones".
    """
    from engine.heads import load_head
    from training.evaluation.speech import Wanted, evaluate

    if out is not None:
        existing_folder(out)
    with_text = {"both": None, "with": True, "without": False}[transcript]
    wanted = Wanted(speech_model, fps, with_text, truth, syncnet, avatar, recognizer)
    with progress_bar("evaluate") as progress:
        evaluate(audio, out, load_head(head), wanted, progress)
    return 0
