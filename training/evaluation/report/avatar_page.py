# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of the report on an avatar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.figure import Figure

from training.evaluation.report.avatar import AvatarReport, decibel_text
from training.evaluation.report.avatar_pictures import ERROR_TOP, REGION_COLOURS, Frame
from training.evaluation.report.html import Note, Picture, Section, Table, Video, page
from training.metrics.image_scores import REGION_NAMES


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


def avatar_page(report: AvatarReport, pictures: AvatarPictures) -> str:
    """The page as HTML text, pictures and video included."""
    colours = ", ".join(f"{name} {colour}" for name, (colour, _) in REGION_COLOURS.items())
    difference = (
        f"Truth, avatar, mean difference of the channels (black 0, light {ERROR_TOP:g} of full "
        "scale)."
    )
    sections = [
        Section(
            "",
            [
                *(Note(note) for note in report.notes()),
                Table.of(("", report.camera), report.rows()),
            ],
        ),
        Section(
            "From all sides",
            [
                Video.of(pictures.turntable, "The neutral avatar, as far round as cameras stand."),
                Picture.of(pictures.strip, "−70°, −35°, front, 35°, 70°."),
            ],
        ),
        Section(
            "Test views",
            [Note(difference), *(Picture.of(frame, text) for text, frame in pictures.views)],
        ),
        Section("Regions", [Picture.of(pictures.regions, f"{colours}.".capitalize())]),
    ]
    if pictures.curves is not None:
        plots = Picture.of(pictures.curves, "Weighted terms by step.")
        sections.append(Section("Training", [plots]))
    if pictures.settings:
        rows = [(name, str(value)) for name, value in pictures.settings]
        sections.append(Section("Settings", [Table.of(("setting", "value"), rows)]))
    sections.append(Section("View by view", [_views(report)]))
    return page(f"Avatar on {report.capture}", sections)


def _views(report: AvatarReport) -> Table:
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
    return Table.of(head, rows)
