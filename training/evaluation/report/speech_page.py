# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on lip sync as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from training.evaluation.report.speech import (
    MODES,
    REFERENCE_NOTE,
    REFERENCES,
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
_DPI = 100
_MARGIN = 34

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1d2125;background:#fff;margin:2rem auto;
max-width:76rem;padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;font-size:.82rem;font-variant-numeric:tabular-nums}
th,td{padding:.22rem .55rem;text-align:right;border-bottom:1px solid #e3e5e8;white-space:pre-line}
td{white-space:nowrap}th:first-child,td:first-child{text-align:left}th{vertical-align:bottom}
tr.mode td{font-weight:600;background:#f3f4f6}tr.total td{font-weight:600}tr.other td{color:#9a4d13}
img{max-width:100%;height:auto}figure{margin:1rem 0}figcaption,.note{color:#555c63;font-size:.85rem}
.wide{overflow-x:auto}dt{font-weight:600}dd{margin:0 0 .4rem 1rem}
"""

_MEANINGS = (
    ("p b m closed", "the gap falls under 5 % of the mean gap over all vowels within 40 ms"),
    ("open vowels shut", "their gap at the middle is under the same threshold"),
    ("f v touch", "lower lip within 1.5 mm of the upper teeth, lips not closed, within 40 ms"),
    ("rounding", "mouth width in IY and EH minus that in UW, OW and W"),
    ("lag", "peak of the correlation of gap and voiced level; positive where the mouth is late"),
    ("silence", "distance of the lips from their average place in silences"),
    ("jitter", "mean size of the second difference of the lip vertices"),
    ("LVE, LVE²", "mean over frames of the largest lip vertex distance, and of its square"),
    ("FDD", "upper-face dynamics, truth minus prediction; positive where it moves too little"),
    ("MVE, upper", "mean vertex distance over all vertices, and over the upper face"),
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
        progress: told how far it is.
    """
    moments = examples([clip.phones for clip in clips])
    models = sorted(performances, key=lambda name: name != model)
    size = (_MARGIN + _TILE * len(moments), _MARGIN + _TILE * len(models))
    sheet = Image.new("RGB", size, "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for column, moment in enumerate(moments):
        x = _MARGIN + column * _TILE
        name = clips[moment.clip].path.stem
        draw.text((x + 4, 2), f"{moment.sounds}: {moment.phone.label}", fill="black", font=font)
        draw.text((x + 4, 17), f"{name} {moment.time:.2f} s", fill="#666666", font=font)
        for row, spoken in enumerate(models):
            progress((column + row / len(models)) / len(moments), "Taking pictures")
            frame = pictures.still(performances[spoken][moment.clip], moment.time, _TILE)
            sheet.paste(Image.fromarray(frame), (x, _MARGIN + row * _TILE))
    for row, spoken in enumerate(models):
        label = Image.new("RGB", (_TILE, _MARGIN), "white")
        ImageDraw.Draw(label).text((8, 10), spoken, fill="black", font=font)
        sheet.paste(label.rotate(90, expand=True), (0, _MARGIN + row * _TILE))
    return sheet


def page(
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
    title = f"Lip sync of {report.model} on head {report.head}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        _note(
            f"{len(clips)} clips, {sum(c.speech.duration for c in clips):.0f} s, "
            f"{report.fps:g} frames per second. Plots and pictures: {MODES[shown]}."
        ),
        _table(report),
        _note(REFERENCE_NOTE),
        "<h2>Measures</h2>",
        _figure(_plotted(measures_figure(report)), "All clips, by what drove the mouth."),
        _figure(
            _plotted(classes_figure(clips, performances[shown], report.model, head)),
            "Means over the middle half of each sound.",
        ),
        "<h2>Faces</h2>",
        _figure(_encoded(sheet), "The middle of the longest sounds of each kind."),
        "<h2>Motion</h2>",
    ]
    for index, clip in enumerate(clips[:PLOTTED]):
        spoken = {name: made[index] for name, made in performances[shown].items()}
        figure = motion_figure(clip, spoken, report.model, head)
        parts.append(_figure(_plotted(figure), f"{clip.path.stem}: {clip.transcript}"))
    note = (
        "Red p b m, orange f v, purple rounded, green open vowels, grey silence and voiced level; "
        "dotted: closed below."
    )
    if len(clips) > PLOTTED or any(c.speech.duration > LONGEST for c in clips):
        note += f" The first {LONGEST:g} s of the first {PLOTTED} clips."
    parts.append(_note(note))
    terms = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in _MEANINGS)
    parts.append(f"<h2>What is measured</h2><dl>{terms}</dl>")
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        + "\n".join(parts)
        + "</body></html>\n"
    )


def shown_mode(performances: Mapping[str, object]) -> str:
    """What plots and pictures show: the way an animator works, with a transcript, where it ran."""
    return next(
        m for m in ("with_transcript", "without_transcript", "aligned") if m in performances
    )


def _table(report: SpeechReport) -> str:
    extra = columns(report.clips)
    head = "".join(f"<th>{escape(title)}</th>" for title in ("clip", *headings(extra)))
    rows = []
    for (mode, model), total in report.every_total().items():
        own = model == report.model
        if own:
            rows.append(_row("mode", (MODES[mode], *[""] * len(headings(extra)))))
            rows += [
                _row("", (result.name, *cells(result, extra)))
                for result in report.clips
                if (result.mode, result.model) == (mode, model)
            ]
        rows.append(_row("total" if own else "other", (f"total, {model}", *cells(total, extra))))
    for reference in REFERENCES:
        closed, shut = reference["closed"], reference["falsely_closed"]
        counts = (f"{closed}/{reference['bilabials']}", f"{shut}/{reference['open_vowels']}")
        rows.append(_row("other", (reference["name"], *counts)))
    body = f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody>"
    return f'<div class="wide"><table>{body}</table></div>'


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _row(kind: str, values: Sequence[str]) -> str:
    inner = "".join(f"<td>{escape(value)}</td>" for value in values)
    return f'<tr class="{kind}">{inner}</tr>'


def _figure(picture: str, caption: str) -> str:
    return (
        f'<figure><div class="wide"><img alt="{escape(caption)}" src="{picture}"></div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _plotted(figure: Figure) -> str:
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=_DPI)
    return "data:image/png;base64," + base64.b64encode(drawn.getvalue()).decode()


def _encoded(picture: Image.Image) -> str:
    drawn = io.BytesIO()
    picture.save(drawn, "JPEG", quality=90)
    return "data:image/jpeg;base64," + base64.b64encode(drawn.getvalue()).decode()
