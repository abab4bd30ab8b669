# SPDX-License-Identifier: GPL-3.0-or-later
"""The settings of the rule-based articulation."""

from __future__ import annotations

from dataclasses import dataclass, fields

from engine.core.errors import BadInputError

_MOST = 3.0


@dataclass(frozen=True)
class Articulation:
    """How a speaker moves; 1 is an ordinary speaker everywhere.

    Attributes:
        jaw: amplitude of the jaw; 0 speaks with shut teeth. Closures stay closed at any amplitude.
        lips: amplitude of rounding, spreading and lip raising.
        anticipation: how early and how widely sounds colour their neighbours; lower is crisper.
        emphasis: how much loud sounds open the mouth further than soft ones.
        press: force with which the lips meet in p, b and m.
        liveliness: amount of blinks and brow movement; 0 switches them off.
        seed: of the liveliness; the same speech and seed give the same performance.
    """

    jaw: float = 1.0
    lips: float = 1.0
    anticipation: float = 1.0
    emphasis: float = 1.0
    press: float = 1.0
    liveliness: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the ranges.

        Raises:
            BadInputError: an amount outside 0 to 3, or no anticipation at all.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            least = 0.2 if field.name == "anticipation" else 0.0
            if field.name != "seed" and not least <= value <= _MOST:
                raise BadInputError(
                    f"The articulation's {field.name} is {value:g}.",
                    f"Choose a value from {least:g} to {_MOST:g}.",
                )
