# SPDX-License-Identifier: GPL-3.0-or-later
"""Report pages: one HTML file that needs nothing beside it, from sections of blocks."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

_DPI = 100
_QUALITY = 90


@dataclass(frozen=True)
class Note:
    """A sentence in small print."""

    kind: ClassVar[str] = "note"
    text: str


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        values: text of the cells.
        kind: ``group`` (a heading within), ``total``, ``compared`` or nothing in particular.
    """

    values: Sequence[str]
    kind: str = ""


@dataclass(frozen=True)
class Table:
    """A table; the first column is text."""

    kind: ClassVar[str] = "table"
    head: Sequence[str]
    rows: Sequence[Row]

    @classmethod
    def of(cls, head: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
        """A table of plain rows."""
        return cls(head, [Row(values) for values in rows])


@dataclass(frozen=True)
class Terms:
    """Terms with their meanings."""

    kind: ClassVar[str] = "terms"
    terms: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Video:
    """A film with its caption."""

    kind: ClassVar[str] = "video"
    source: str
    caption: str

    @classmethod
    def of(cls, mp4: bytes, caption: str) -> Video:
        """A film from the bytes of its file."""
        return cls(_data("video/mp4", mp4), caption)


@dataclass(frozen=True)
class Picture:
    """A picture with its caption."""

    kind: ClassVar[str] = "picture"
    source: str
    caption: str

    @classmethod
    def of(cls, picture: Figure | Image.Image | NDArray[np.uint8], caption: str) -> Picture:
        """A plot as PNG, or a photograph as JPEG."""
        buffer = io.BytesIO()
        if isinstance(picture, Figure):
            picture.savefig(buffer, format="png", dpi=_DPI)
            return cls(_data("image/png", buffer.getvalue()), caption)
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        image.save(buffer, "JPEG", quality=_QUALITY)
        return cls(_data("image/jpeg", buffer.getvalue()), caption)


Block = Note | Table | Terms | Video | Picture


@dataclass(frozen=True)
class Section:
    """Blocks under a heading; the first section of a page has none."""

    title: str
    blocks: Sequence[Block]


def page(title: str, sections: Sequence[Section]) -> str:
    """The page as HTML text; all text is escaped."""
    environment = Environment(
        loader=PackageLoader("training.evaluation.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.jinja")
    return template.render(title=title, sections=sections)


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
