# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the report on lip sync, and its contact sheet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from training.evaluation.report.html import Block, Note, Picture, Row, Section, Table, Terms, page
from training.evaluation.report.phone_table import HEADINGS, phone_cells
from training.evaluation.report.speech import (
    MODES,
    SpeechReport,
    cells,
    columns,
    headings,
)
from training.evaluation.report.speech_frames import FacePictures, examples
from training.evaluation.report.speech_plots import (
    LONGEST,
    classes_figure,
    measures_figure,
    motion_figure,
)

if TYPE_CHECKING:
    from engine.core.progress import Progress
    from engine.heads.head import Head
    from engine.motion.performance import Performance
    from training.data.speech import AlignedSpeech

PLOTTED = 6
"""Clips that get a plot of their own."""
_TILE = 240
_MARGIN = 34

_MEANINGS = (
    ("p b m closed", "the gap falls under 5 % of the mean gap over all vowels within 40 ms"),
    ("p b m before lip contact", "those that the learned model closes by itself"),
    ("open vowels shut", "their gap at the middle is under the same threshold"),
    ("f v touch", "lower lip within 1.5 mm of the upper teeth, lips not closed, within 40 ms"),
    ("rounding", "mouth width in IY and EH minus that in UW, OW, W, UE and OE"),
    ("lag", "peak of the correlation of gap and people's mean openings; positive where it is late"),
    ("silence", "distance of the lips from their average place in silences"),
    ("jitter", "mean size of the second difference of the lip vertices"),
    ("LVE, LVE²", "mean over frames of the largest lip vertex distance, and of its square"),
    ("FDD", "upper-face dynamics, truth minus prediction; positive where it moves too little"),
    ("MVE, upper", "mean vertex distance over all vertices, and over the upper face"),
    ("opening r, width r", "correlation with the filmed mouth, at the best lag within 240 ms"),
    ("off by", "mean absolute difference from it, where the outer eye corners are 90 mm apart"),
    ("LSE-D, LSE-C", "SyncNet: smallest mean distance over offsets, and its lead on their median"),
)


def contact_sheet(
    clips: Sequence[AlignedSpeech],
    performances: Mapping[str, Sequence[Performance]],
    pictures: FacePictures,
    model: str,
    progress: Progress,
) -> Image.Image:
    """Faces at p b m, f v, w u, a and rest: a row a model, the one evaluated first.

    Args:
        clips: with their true sounds.
        performances: of all clips, by model.
        pictures: takes them.
        model: what is evaluated.
        progress: called with the share done.
    """
    examples_shown = examples([clip.phones for clip in clips])
    models = sorted(performances, key=lambda name: name != model)
    size = (_MARGIN + _TILE * len(examples_shown), _MARGIN + _TILE * len(models))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, example in enumerate(examples_shown):
        x = _MARGIN + column * _TILE
        name = clips[example.clip].path.stem
        draw.text((x + 4, 2), f"{example.sounds}: {example.phone.label}", fill="black", font=font)
        draw.text((x + 4, 17), f"{name} {example.time:.2f} s", fill="#666666", font=font)
        for row, spoken in enumerate(models):
            progress((column + row / len(models)) / len(examples_shown), "Taking pictures")
            frame = pictures.still(performances[spoken][example.clip], example.time, _TILE)
            sheet.paste(Image.fromarray(frame), (x, _MARGIN + row * _TILE))
    for row, spoken in enumerate(models):
        label = Image.new("RGB", (_TILE, _MARGIN), "white")
        ImageDraw.Draw(label).text((8, 10), spoken, fill="black", font=font)
        sheet.paste(label.rotate(90, expand=True), (0, _MARGIN + row * _TILE))
    return sheet


def speech_page(
    report: SpeechReport,
    clips: Sequence[AlignedSpeech],
    performances: Mapping[str, Mapping[str, Sequence[Performance]]],
    head: Head,
    sheet: Image.Image,
) -> str:
    """The page as HTML text, pictures included.

    Args:
        report: all measures.
        clips: with their true sounds.
        performances: of all clips, by mode and model.
        head: who speaks.
        sheet: the contact sheet.
    """
    shown = shown_mode(performances)
    about = (
        f"{len(clips)} clips, {sum(c.speech.duration for c in clips):.0f} s, {report.fps:g} frames "
        f"per second. Plots and pictures: {MODES[shown]}. True sounds: articulation alone."
    )
    classes = classes_figure(clips, performances[shown], report.model, head)
    motion: list[Block] = []
    for index, clip in enumerate(clips[:PLOTTED]):
        spoken = {name: made[index] for name, made in performances[shown].items()}
        figure = motion_figure(clip, spoken, report.model, head)
        motion.append(Picture.of(figure, f"{clip.path.stem}: {clip.transcript}"))
    sections = [
        Section("", [Note(about), _table(report)]),
        Section(
            "Measures",
            [
                Picture.of(measures_figure(report), "All clips, by what drove the mouth."),
                Picture.of(classes, "Means over the middle half of each sound."),
                Table(HEADINGS, [Row(phone_cells(mean)) for mean in report.phones]),
            ],
        ),
        Section("Faces", [Picture.of(sheet, "The middle of the longest sounds of each kind.")]),
        Section("Motion", [*motion, Note(_legend(clips))]),
        Section("What is measured", [Terms(_MEANINGS)]),
    ]
    return page(f"Lip sync of {report.model} on head {report.head}", sections)


def shown_mode(performances: Mapping[str, object]) -> str:
    """What plots and pictures show, as an animator works: with a transcript, where that was run."""
    return next(
        m for m in ("with_transcript", "without_transcript", "aligned") if m in performances
    )


def _legend(clips: Sequence[AlignedSpeech]) -> str:
    legend = (
        "Red p b m, orange f v, purple rounded, green open vowels, grey silence and voiced level; "
        "dotted: closed below."
    )
    if len(clips) > PLOTTED or any(c.speech.duration > LONGEST for c in clips):
        legend += f" The first {LONGEST:g} s of the first {PLOTTED} clips."
    return legend


def _table(report: SpeechReport) -> Table:
    extra = columns(report.clips)
    rows = []
    for (mode, model), total in report.every_total().items():
        own = model == report.model
        if own:
            rows.append(Row((MODES[mode], *[""] * len(headings(extra))), "group"))
            rows += [
                Row((result.name, *cells(result, extra)))
                for result in report.clips
                if (result.mode, result.model) == (mode, model)
            ]
        kind = "total" if own else "compared"
        rows.append(Row((f"total, {model}", *cells(total, extra)), kind))
    return Table(("clip", *headings(extra)), rows)
