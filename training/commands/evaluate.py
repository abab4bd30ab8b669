# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate``: measures on data with known truth."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.extras import SubcommandApp

from engine.commands.console import existing_folder, progress_bar
from engine.core.errors import BadInputError
from engine.core.progress import Progress, subprogress
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
    audio: Annotated[tuple[Path, ...], tyro.conf.Positional] = (),
    *,
    video: tuple[Path, ...] = (),
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
    """Measure lip sync on recordings with phone alignments, or on videos of people.

    An alignment is Praat's <name>.TextGrid, with tiers of phones and words, or <name>.phones.json.
    Beside a film's sound, <name>.mouth.json holds the speaker's mouth to compare with; then the
    sounds of its text will do.
    Prints tables; with --out also writes report.json, report.html with plots, and faces.png.
    Any other model is shown beside the rules.

    Args:
        audio: audio files, or folders of them.
        video: videos of a talking head: opening and width of the mouth are compared with those of
            its landmarks. <name>.txt beside one may say what is said.
        out: folder for the report; measured mouths and their sounds stay in its folder "films".
        head: who speaks.
        speech_model: "corrected" (as for ``animate``), "rules", "starter" (learned), or a trained
            model's file.
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

    if not audio and not video:
        raise BadInputError("Nothing to measure was given.", "Give audio files, or --video CLIP.")
    if out is not None:
        existing_folder(out)
    with_text = {"both": None, "with": True, "without": False}[transcript]
    wanted = Wanted(speech_model, fps, with_text, truth, syncnet, avatar, recognizer)
    with progress_bar("evaluate") as progress, _films_folder(out) as folder:
        half = 0.5 if video else 0.0
        films = measured_films(video, folder, subprogress(progress, 0.0, half))
        rest = subprogress(progress, half, 1.0)
        evaluate((*audio, *films), out, load_head(head), wanted, rest)
    return 0


@contextlib.contextmanager
def _films_folder(out: Path | None) -> Iterator[Path]:
    """Folder of measured mouths: in the report's, else one that is removed in the end."""
    if out is not None:
        yield out / "films"
        return
    with tempfile.TemporaryDirectory(prefix="gaussianspeech-") as folder:
        yield Path(folder)


def measured_films(videos: Sequence[Path], folder: Path, progress: Progress) -> list[Path]:
    """The sounds of videos, with their speakers' mouths beside them.

    Raises:
        BadInputError: a video that cannot be used, or two of one name.
        MissingDependencyError: the detector of landmarks is not installed.
    """
    from training.data.transcripts import transcript_beside
    from training.tracking.film_mouth import measure_mouth
    from training.tracking.mediapipe_faces import open_detector

    names = [clip.stem for clip in videos]
    if twice := [name for name in names if names.count(name) > 1]:
        raise BadInputError(f"Two videos are called {twice[0]}.", "Rename one of them.")
    sounds = []
    for number, clip in enumerate(videos):
        part = subprogress(progress, number / len(videos), (number + 1) / len(videos))
        text = transcript_beside(clip) or ""
        with contextlib.closing(open_detector()) as detector:
            sounds.append(measure_mouth(clip, folder, detector, text, part))
    return sounds
