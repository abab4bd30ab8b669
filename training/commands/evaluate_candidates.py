# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate motion`` and ``evaluate video``: what other programs made."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from engine.commands.console import existing_folder, progress_bar
from engine.core.errors import BadInputError
from training.run.options import check_file, check_folder


def motion(
    *,
    truth: Path,
    candidate: tuple[str, ...],
    head: str = "default",
    fps: float | None = None,
    audio: Path | None = None,
    out: Path | None = None,
) -> int:
    """Measure motion that any program made against the captured one.

    Files are performances, an npz of vertices or of FLAME's parameters (GaussianAvatars, VHAP,
    DiffPoseTalk), an npy of ARTalk, ARKit curves (.csv of Live Link Face, .json), or an npy of
    (T, 3V) vertices as VOCASET has them and FaceFormer and CodeTalker write them.
    Prints LVE, with squared distances too, mean vertex error, FDD, and how the opening of the mouth
    follows the captured one; with --out also writes motion.json.

    Args:
        truth: file of the captured motion, a folder of such, or of recordings: of these the test
            part, where split.json names one.
        candidate: NAME=FILE, or NAME=FOLDER with a file for each of the truth's; several after each
            other.
        head: "default", or the file of the head or FLAME model whose motion it is.
        fps: frames per second of files that do not say theirs.
        audio: the sound, or a folder of sounds by name, for the closures of p, b and m.
        out: folder for the report.
    """
    from training.data.captured_motion import CapturedHead
    from training.evaluation.motion import Wanted, evaluate

    if out is not None:
        existing_folder(out)
    named = _some(named_files(candidate))
    with progress_bar("evaluate") as progress:
        evaluate(truth, named, CapturedHead.load(head), Wanted(fps, audio), out, progress)
    return 0


def video(
    *,
    truth: Path,
    candidate: tuple[str, ...],
    fps: float | None = None,
    audio: Path | None = None,
    face: tuple[int, int, int] | None = None,
    frames: int = 0,
    lpips: Literal["vgg", "alex"] = "vgg",
    weights: Path | None = None,
    syncnet: Path | None = None,
    out: Path | None = None,
) -> int:
    """Measure videos that any program made against a held-out camera.

    Prints PSNR, SSIM and LPIPS, and with SyncNet and the sound LSE-D and LSE-C. Pictures must have
    the size, the length and the background of the truth.

    Args:
        truth: video of the camera, or a folder of its pictures.
        candidate: NAME=VIDEO, or NAME=FOLDER of pictures; several after each other.
        fps: frames per second of folders of pictures, and of videos that do not say theirs.
        audio: the sound, for LSE-D and LSE-C.
        face: left, top and side in pixels of the square round the face that SyncNet sees; the
            largest square in the middle by default.
        frames: at most so many frames, spread over all; 0 takes every one.
        lpips: network of LPIPS; without its weights LPIPS is n/a.
        weights: folder of the weight files.
        syncnet: TorchScript file of SyncNet (docs/weights.md).
        out: folder for video.json.
    """
    from training.evaluation.video import Wanted, evaluate

    check_folder(weights, "--weights")
    check_file(syncnet, "--syncnet")
    if out is not None:
        existing_folder(out)
    named = _some(named_files(candidate))
    wanted = Wanted(fps, audio, face, frames, lpips, weights, syncnet)
    with progress_bar("evaluate") as progress:
        evaluate(truth, named, wanted, out, progress)
    return 0


def _some(named: dict[str, Path]) -> dict[str, Path]:
    if not named:
        raise BadInputError(
            "There is nothing to compare with the truth.", "Give --candidate NAME=PATH."
        )
    return named


def named_files(given: tuple[str, ...]) -> dict[str, Path]:
    """``NAME=PATH`` by name.

    Raises:
        BadInputError: one of no such form, two of one name, or a path that is not there.
    """
    named: dict[str, Path] = {}
    for word in given:
        name, equals, path = word.partition("=")
        if not name or not equals or not path or name in named:
            raise BadInputError(
                f"--candidate {word} is not NAME=PATH with a name of its own.",
                "Give it such as --candidate faceformer=result.npy.",
            )
        if not Path(path).exists():
            raise BadInputError(f"There is no {path}.", f"Check the path of {name}.")
        named[name] = Path(path)
    return named
