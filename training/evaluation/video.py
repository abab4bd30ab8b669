# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate video``: videos that any program made, beside a held-out camera."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.audio.loading import load_speech
from engine.core.errors import BadInputError, MissingDependencyError
from engine.core.files import write_text
from engine.core.progress import Progress, no_progress
from training.data.film_frames import Film, Frame
from training.metrics.image import psnr, ssim
from training.metrics.image_lpips import Lpips, Net
from training.run.options import COUNT_OR_NONE, check_ranges

if TYPE_CHECKING:
    from training.metrics.sync_error import SyncError

REPORT_NAME = "video.json"
_LONGER = 2
"""Frames by which a video may be longer or shorter: encoders drop and repeat at the ends."""
_CORNER = 0.04
"""Part of the shorter side of the squares in the corners by which backgrounds are compared."""
_OTHER = 12.0
"""Mean difference of those squares, of 255, from which the backgrounds are two."""
_LIVELY = 25.0
"""Standard deviation in a corner above which it shows something, and no background."""
_WIDTH = 110
_HIGHEST = 60.0
"""Decibels of frames that are the same to 8 bits, as VMAF's tools count them: of infinity there is
no mean."""
_TRUTH = "truth"


@dataclass(frozen=True)
class Wanted:
    """What to measure with.

    Attributes:
        fps: frames per second of folders, and of videos that do not say theirs.
        audio: the sound, for LSE.
        face: left, top and side of the square that SyncNet sees, pixels; the largest in the middle.
        frames: at most so many, spread over all; 0 takes every one.
        net: network of LPIPS.
        weights: folder of the weight files.
        syncnet: file of SyncNet.
    """

    fps: float | None = None
    audio: Path | None = None
    face: tuple[int, int, int] | None = None
    frames: int = 0
    net: Net = "vgg"
    weights: Path | None = None
    syncnet: Path | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the setting.
        """
        check_ranges(self, {"frames": COUNT_OR_NONE})
        if self.fps is not None:
            check_ranges(self, {"fps": (1.0, 1000.0)})
        if self.syncnet is not None and self.audio is None:
            raise BadInputError("LSE needs the sound.", "Give it with --audio.")


@dataclass(frozen=True)
class VideoScores:
    """Means over frames.

    Attributes:
        name: of the candidate; the truth itself has one too where LSE is measured.
        frames: how many were compared.
        psnr: decibels, of a frame at most 60.
        ssim: 1 for equal pictures.
        lpips: ``None`` without weights.
        lse_d, lse_c: ``None`` without SyncNet or the sound.
    """

    name: str
    frames: int
    psnr: float | None
    ssim: float | None
    lpips: float | None
    lse_d: float | None
    lse_c: float | None


def evaluate(
    truth: Path,
    candidates: Mapping[str, Path],
    wanted: Wanted | None = None,
    out: Path | None = None,
    progress: Progress = no_progress,
) -> list[VideoScores]:
    """Measure candidates against the truth, print a table and write ``video.json``.

    Args:
        truth: video of the held-out camera, or folder of its pictures.
        candidates: videos or folders by name.
        wanted: what to measure with.
        out: folder for the report.
        progress: called with the share done.

    Raises:
        BadInputError: a video that cannot be read, or whose size, length, rate or background is not
            that of the truth.
        MissingDependencyError: SyncNet was asked for and cannot be had.
    """
    wanted = wanted or Wanted()
    if _TRUTH in candidates and wanted.syncnet is not None:
        raise BadInputError(
            f"A candidate is called {_TRUTH!r}, as what the camera filmed is.", "Rename it."
        )
    true = Film.open(truth, wanted.fps)
    films = {name: Film.open(path, wanted.fps) for name, path in candidates.items()}
    for film in films.values():
        _check(film, true)
    lpips, missing = None, ""
    try:
        lpips = Lpips(wanted.net, wanted.weights)
    except MissingDependencyError as error:
        missing = str(error)
    synchrony = {name: _sync_error(film, wanted) for name, film in {_TRUTH: true, **films}.items()}
    scores = []
    for number, (name, film) in enumerate(films.items()):
        progress(number / len(films), f"Measuring {name}")
        scores.append(_scored(name, film, true, lpips, wanted.frames, synchrony[name]))
    if (spoken := synchrony[_TRUTH]) is not None:
        real = VideoScores(_TRUTH, true.frames, None, None, None, *spoken[:2])
        scores.append(real)
    _show(scores, wanted, missing)
    if out is not None:
        content = {"lpips network": wanted.net, "scores": [asdict(score) for score in scores]}
        write_text(out / REPORT_NAME, json.dumps(content, indent=1) + "\n")
    return scores


def _check(film: Film, true: Film) -> None:
    """See that a candidate shows what the truth shows.

    Raises:
        BadInputError: another size, length, rate or background.
    """
    if film.size != true.size:
        raise BadInputError(
            f"{film.path} is {film.size[0]}×{film.size[1]} pixels, the truth "
            f"{true.size[0]}×{true.size[1]}.",
            "Render at the truth's size, or scale and crop the truth as the candidate is.",
        )
    if film.fps and true.fps and abs(film.fps - true.fps) > 0.01 * true.fps:
        raise BadInputError(
            f"{film.path} has {film.fps:g} frames per second, the truth {true.fps:g}.",
            "Bring both to one rate first.",
        )
    if abs(film.frames - true.frames) > _LONGER:
        raise BadInputError(
            f"{film.path} has {film.frames} frames, the truth {true.frames}.",
            "Cut both to the same part of the clip.",
        )
    ours, theirs = next(film.pictures()), next(true.pictures())
    apart = [
        float(np.abs(a.mean((0, 1)) - b.mean((0, 1))).mean())
        for a, b in zip(_corners(ours), _corners(theirs), strict=True)
        if max(a.std((0, 1)).max(), b.std((0, 1)).max()) < _LIVELY
    ]
    if apart and min(apart) > _OTHER:
        raise BadInputError(
            f"The background of {film.path} differs by {min(apart):.0f} of 255 from the truth's.",
            "Put both on the same background: scores would measure that alone.",
        )


def _corners(picture: Frame) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """The squares in the two upper corners, where no person is."""
    side = max(2, round(_CORNER * min(picture.shape[:2])))
    yield picture[:side, :side].astype(np.float32)
    yield picture[:side, -side:].astype(np.float32)


def _scored(
    name: str,
    film: Film,
    true: Film,
    lpips: Lpips | None,
    most: int,
    synchrony: SyncError | None,
) -> VideoScores:
    frames = min(film.frames, true.frames)
    wanted = min(frames, most) if most > 0 else frames
    chosen = set(np.linspace(0, frames - 1, wanted).round().astype(int).tolist())
    figures: list[tuple[float, float, float]] = []
    for i, (a, b) in enumerate(zip(film.pictures(), true.pictures(), strict=False)):
        if i not in chosen:
            continue
        ours, theirs = (torch.from_numpy(x.astype(np.float32) / 255) for x in (a, b))
        distance = math.nan if lpips is None else lpips(ours, theirs)
        figures.append((min(psnr(ours, theirs), _HIGHEST), ssim(ours, theirs), distance))
    decibels, alike, distance = np.mean(figures, axis=0).tolist()
    return VideoScores(
        name,
        len(figures),
        decibels,
        alike,
        None if lpips is None else distance,
        None if synchrony is None else synchrony.distance,
        None if synchrony is None else synchrony.confidence,
    )


def _sync_error(film: Film, wanted: Wanted) -> SyncError | None:
    """LSE-D and LSE-C of a film; ``None`` where SyncNet or the sound is not given."""
    if wanted.syncnet is None:
        return None
    from training.metrics.syncnet import load_syncnet, measure

    network = load_syncnet(wanted.syncnet)
    assert wanted.audio is not None
    if film.fps is None:
        raise BadInputError(f"The frame rate of {film.path} is not known.", "Give it with --fps.")
    return measure(network, _faces(film, wanted.face), load_speech(wanted.audio).samples)


def _faces(film: Film, face: tuple[int, int, int] | None) -> Iterator[Frame]:
    """(224, 224, 3) pictures of the face at 25 frames per second, each the nearest in time."""
    from training.metrics.syncnet import FPS, SIZE

    assert film.fps is not None
    width, height = film.size
    side = min(width, height)
    left, top, side = face or ((width - side) // 2, (height - side) // 2, side)
    if left < 0 or top < 0 or side < 1 or left + side > width or top + side > height:
        raise BadInputError(
            f"The face {left} {top} {side} lies outside a picture of {width}×{height} pixels.",
            "Give left, top and side of a square inside.",
        )
    made = 0
    for i, picture in enumerate(film.pictures()):
        square = picture[top : top + side, left : left + side]
        scaled = np.asarray(Image.fromarray(square).resize((SIZE, SIZE), Image.Resampling.LANCZOS))
        while round(made / FPS * film.fps) <= i:
            yield scaled
            made += 1


def _show(scores: Sequence[VideoScores], wanted: Wanted, missing: str) -> None:
    table = Table(title="Videos beside the held-out camera")
    for column in ("candidate", "frames", "PSNR dB", "SSIM", f"LPIPS ({wanted.net})"):
        table.add_column(column)
    table.add_column("LSE-D")
    table.add_column("LSE-C")

    def text(value: float | None, digits: int) -> str:
        return "n/a" if value is None else f"{value:.{digits}f}"

    for s in scores:
        numbers = (text(s.psnr, 2), text(s.ssim, 4), text(s.lpips, 4))
        table.add_row(Text(s.name), str(s.frames), *numbers, text(s.lse_d, 3), text(s.lse_c, 3))
    console = Console(width=_WIDTH)
    console.print(table)
    if missing:
        console.print(f"No LPIPS: {missing}", highlight=False, markup=False)
