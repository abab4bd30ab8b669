# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the mouth at each phone, ours beside filmed people's."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from engine.phonemes import SILENCE
from training.metrics.phone_means import PhoneMean

HEADINGS = (
    "phone", "n", "opening\nmm", "people's", "filmed", "width\nmm", "people's", "filmed",
)  # fmt: skip
_SIDE_BY_SIDE = 3


def phone_cells(mean: PhoneMean) -> tuple[str, ...]:
    """A row as text, in the order of :data:`HEADINGS`."""
    return (
        "pause" if mean.label == SILENCE else mean.label,
        str(mean.phones),
        f"{mean.opening:.1f}",
        _known(mean.people_opening, 1),
        _known(mean.filmed_opening, 1),
        f"{mean.width:.0f}",
        _known(mean.people_width, 0),
        _known(mean.filmed_width, 0),
    )


def phone_table(means: Sequence[PhoneMean], title: str) -> Table:
    """All phones, in several columns beside each other."""
    table = Table(
        title=Text(title),
        caption="At the middle of each phone, where the outer eye corners are 90 mm apart; "
        "people: five filmed speakers; filmed: the speakers of the clips' own films; –: not "
        "measured, as UE, OE and BH, which English lacks.",
    )
    for _ in range(_SIDE_BY_SIDE):
        for column, heading in enumerate(HEADINGS):
            table.add_column(heading, justify="right" if column else "left", no_wrap=True)
    rows = -(-len(means) // _SIDE_BY_SIDE)
    for row in range(rows):
        beside = [means[i] for i in range(row, len(means), rows)]
        table.add_row(*(cell for mean in beside for cell in phone_cells(mean)))
    return table


def _known(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
