# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on an avatar as one HTML page that needs nothing beside it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from matplotlib.figure import Figure

from training.evaluation.report.avatar import AvatarReport, decibel_text
from training.evaluation.report.avatar_pictures import ERROR_TOP, REGION_COLOURS, Frame, jpeg
from training.metrics.image_scores import REGION_NAMES

_STYLE = """
body{font:15px/1.45 system-ui,sans-serif;color:#1d2125;background:#fff;margin:2rem auto;
max-width:76rem;padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;font-size:.85rem;font-variant-numeric:tabular-nums}
th,td{padding:.22rem .7rem;text-align:right;border-bottom:1px solid #e3e5e8;white-space:nowrap}
th:first-child,td:first-child{text-align:left}
img,video{max-width:100%;height:auto;border-radius:4px}figure{margin:1rem 0}
figcaption,.note{color:#555c63;font-size:.85rem}.wide{overflow-x:auto}
"""
_DPI = 100


@dataclass(frozen=True, eq=False)
class AvatarPictures:
    """What the page shows.

    Attributes:
        views: caption and (H, 3·W, 3) truth, avatar and error map of some test views.
        regions: what the regions of the table are, in a test view.
        strip: the avatar from several sides.
        turntable: bytes of the video.
        curves: of the training; ``None`` without.
        settings: of the training, names and values.
    """

    views: Sequence[tuple[str, Frame]]
    regions: Frame
    strip: Frame
    turntable: bytes
    curves: Figure | None = None
    settings: Sequence[tuple[str, Any]] = field(default=())


def page(report: AvatarReport, pictures: AvatarPictures) -> str:
    """The page as HTML text, pictures and video included."""
    title = f"Avatar on {report.capture}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        *(f'<p class="note">{escape(note)}</p>' for note in report.notes()),
        _table(("", report.camera), report.rows()),
        "<h2>From all sides</h2>",
        (
            f'<figure><video controls loop autoplay muted playsinline src="'
            f'{_data("video/mp4", pictures.turntable)}"></video>'
            "<figcaption>The neutral avatar, as far round as cameras stand.</figcaption></figure>"
        ),
        _picture(pictures.strip, "−70°, −35°, front, 35°, 70°."),
        "<h2>Test views</h2>",
        (
            f'<p class="note">Truth, avatar, mean difference of the channels (black 0, light '
            f"{ERROR_TOP:g} of full scale).</p>"
        ),
        *(_picture(frame, caption) for caption, frame in pictures.views),
    ]
    colours = ", ".join(f"{name} {colour}" for name, (colour, _) in REGION_COLOURS.items())
    parts += ["<h2>Regions</h2>", _picture(pictures.regions, f"{colours}.".capitalize())]
    if pictures.curves is not None:
        parts += ["<h2>Training</h2>", _figure(pictures.curves, "Weighted terms by step.")]
    if pictures.settings:
        rows = [(name, str(value)) for name, value in pictures.settings]
        parts += ["<h2>Settings</h2>", _table(("setting", "value"), rows)]
    parts += ["<h2>View by view</h2>", _views(report)]
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>{body}</body></html>\n"
    )


def _views(report: AvatarReport) -> str:
    head = ("time step", "PSNR", "SSIM", f"LPIPS ({report.lpips_net})", *REGION_NAMES)
    rows = [
        (
            str(view.timestep),
            decibel_text(view.psnr),
            f"{view.ssim:.4f}",
            "n/a" if view.lpips is None else f"{view.lpips:.4f}",
            *(decibel_text(view.regions[name].psnr) for name in REGION_NAMES),
        )
        for view in report.views
    ]
    return _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(value)}</td>' for value in row)}</tr>" for row in rows
    )
    return f'<div class="wide"><table><tr>{titles}</tr>{body}</table></div>'


def _picture(frame: Frame, caption: str) -> str:
    return _image(_data("image/jpeg", jpeg(frame)), caption)


def _figure(figure: Figure, caption: str) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return _image(_data("image/png", buffer.getvalue()), caption)


def _image(source: str, caption: str) -> str:
    text = escape(caption)
    return (
        f'<figure><div class="wide"><img alt="{text}" src="{source}"></div>'
        f"<figcaption>{text}</figcaption></figure>"
    )


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
