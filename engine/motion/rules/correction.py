# SPDX-License-Identifier: GPL-3.0-or-later
"""What the lips of filmed people do that the rules do not say: a linear model over the rules.

Opening and width of the lips are those of the rules and a correction each,

    d(t) = c + Σ_k (a_k[p(t + k·τ)] + b_k · y(t + k·τ)),   k = −6 … 6, τ = 40 ms,

with p the sound that is spoken, y opening and width by the rules with their contacts, in mm, the
kernels a and b straight between these times, and all learned from films of people
(:mod:`training.assets.lip_correction`): a quarter of a second of sounds before and after moves the
lips, where the rules look to the neighbours. The jaw takes its share of the opening. Contacts leave
nothing of it, so p, b, m, f and v are those of the rules.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double
from engine.core.errors import BadInputError
from engine.core.files import write_text
from engine.motion.rules.contacts import Contacts
from engine.motion.rules.targets import TRACT_VARIABLES, VISEMES
from engine.phonemes import BETWEEN, FOREIGN, Phone

STEP_RATE = 100.0
"""Steps of the correction per second, whatever the frame rate."""
OFFSETS = np.arange(-24, 25, 4)
"""Steps from the one that is corrected to those that it is corrected by."""
SOUNDS: tuple[str, ...] = tuple(sorted(set(VISEMES) - FOREIGN))
"""The sounds that have kernels of their own."""
OUTPUTS = ("opening", "width")
"""The tract variables that are corrected."""
INPUTS: tuple[str, ...] = (*SOUNDS, *OUTPUTS)
"""What they are corrected by."""
_LABELS = (*SOUNDS, *BETWEEN)
_SLACK = 1e-9
"""Seconds by which a sound may begin after a step and still count there, for rounding."""
_ON_TEETH = 3.0
"""Millimetres between the lips while f and v have the lower one at the teeth."""
_MOST = 4.0
"""Millimetres that a correction approaches, however much speaks for it."""
_LEAST_OPENING = 2.5
"""Millimetres that no correction takes the opening under: narrower is a contact's affair."""
_LEAST_JAW = 1.0
"""Millimetres that no correction takes the jaw's share under."""
_JAW = 0.5
"""The jaw's share of a correction: over the targets the jaw gains 0.41 mm a millimetre of opening,
and has 0.73 of it on average."""
_FILE = Path(__file__).parents[2] / "assets" / "lip_correction.json"


@dataclass(frozen=True, eq=False)
class LipCorrection:
    """The numbers of the model above.

    Attributes:
        constant: (2,) c, mm, as :data:`OUTPUTS`.
        kernels: (2, 13, 42) a, mm, and b, as :data:`OUTPUTS`, :data:`OFFSETS` and :data:`INPUTS`.
    """

    constant: Double
    kernels: Double

    def __call__(self, phones: Sequence[Phone], lips: Double) -> Double:
        """The correction at steps of 10 ms.

        Args:
            phones: from :func:`engine.motion.rules.contacts.phones_in_silence`.
            lips: (N, 2) mm, from :func:`lips_with_contacts`.

        Returns:
            (N, 2) mm, within ±4, as :data:`OUTPUTS`.
        """
        steps = len(lips)
        spoken = spoken_sounds(phones, steps)
        total = np.zeros((steps, len(OUTPUTS)))
        for k, offset in enumerate(OFFSETS):
            at = reached(steps, int(offset))
            table = sound_columns() @ self.kernels[:, k, : len(SOUNDS)].T
            total += table[spoken[at]] + lips[at] @ self.kernels[:, k, len(SOUNDS) :].T
        total = self.constant + between_offsets(total)
        limited: Double = _MOST * np.tanh(total / _MOST)
        return limited

    def save(self, path: Path) -> None:
        """Write the numbers as JSON, each kernel by the names of what it is from and for."""
        content: dict[str, dict[str, object]] = {}
        for name, constant, kernels in zip(OUTPUTS, self.constant, self.kernels, strict=True):
            by = {source: np.round(kernels[:, i], 4).tolist() for i, source in enumerate(INPUTS)}
            content[name] = {"constant": round(float(constant), 4), **by}
        write_text(path, json.dumps(content, indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> LipCorrection:
        """Read what :meth:`save` wrote.

        Raises:
            BadInputError: the file is missing or damaged.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            kernels = [[content[name][source] for source in INPUTS] for name in OUTPUTS]
            constant = np.array([content[name]["constant"] for name in OUTPUTS], np.float64)
            found = np.array(kernels, np.float64).reshape(len(OUTPUTS), len(INPUTS), len(OFFSETS))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BadInputError(f"{path} is damaged.", "Install the program again.") from error
        return cls(constant, found.transpose(0, 2, 1))


@cache
def lip_correction() -> LipCorrection:
    """The correction that ships.

    Raises:
        BadInputError: its file is damaged.
    """
    return LipCorrection.load(_FILE)


def lips_with_contacts(tract: Double, contacts: Contacts) -> Double:
    """(T, 2) mm of opening and width, by the tract variables (T, 5) and the contacts."""
    opening, width = (tract[:, TRACT_VARIABLES.index(name)] for name in OUTPUTS)
    opening = opening * (1.0 - contacts.labiodental) + _ON_TEETH * contacts.labiodental
    opening = opening * (1.0 - contacts.closure)
    lips: Double = np.stack([opening, width], axis=1) * contacts.activity[:, None]
    return lips


def corrected(tract: Double, correction: Double, contacts: Contacts, fps: float) -> Double:
    """The tract variables with corrected lips; in a contact they are as they were.

    Args:
        tract: (T, 5), columns as :data:`TRACT_VARIABLES`, at T frames.
        correction: (N, 2) mm at steps of 10 ms.
        contacts: at the T frames.
        fps: frames per second.
    """
    times, steps = np.arange(len(tract)) / fps, np.arange(len(correction)) / STEP_RATE
    free = (1.0 - contacts.closure) * (1.0 - contacts.labiodental)
    opener, wider = (free * np.interp(times, steps, column) for column in correction.T)
    result = tract.copy()
    opening, jaw, width = (
        result[:, TRACT_VARIABLES.index(name)] for name in ("opening", "jaw", "width")
    )
    opened = np.maximum(opening + opener, np.minimum(opening, _LEAST_OPENING))
    dropped = jaw + _JAW * (opened - opening)
    jaw[:] = np.maximum(dropped, np.minimum(jaw, _LEAST_JAW))
    opening[:] = opened
    width += wider
    return result


def spoken_sounds(phones: Sequence[Phone], steps: int) -> NDArray[np.intp]:
    """(N,) the row in :func:`sound_columns` of what is spoken, at steps of 10 ms."""
    rows = {label: row for row, label in enumerate(_LABELS)}
    labels = np.array([rows[phone.label] for phone in phones], np.intp)
    starts = np.array([phone.start for phone in phones])
    at = np.searchsorted(starts, np.arange(steps) / STEP_RATE + _SLACK, side="right") - 1
    return np.asarray(labels[np.maximum(at, 0)], np.intp)


@cache
def sound_columns() -> Double:
    """(43, 40) how much of each of :data:`SOUNDS` there is in any sound."""
    parts = [BETWEEN.get(label, (label,)) for label in _LABELS]
    return np.array([[(name in of) / len(of) for name in SOUNDS] for of in parts], np.float64)


def between_offsets(values: Double) -> Double:
    """(N, C) values at steps of 10 ms, by which kernels run straight from offset to offset."""
    reach = int(OFFSETS[1] - OFFSETS[0])
    weights = reach - np.abs(np.arange(1 - reach, reach))
    wide = np.pad(values, ((reach - 1, reach - 1), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, len(weights), axis=0)
    smooth: Double = windows @ (weights / weights.sum())
    return smooth


def reached(steps: int, offset: int) -> NDArray[np.intp]:
    """(N,) the steps that lie ``offset`` after each; the first or the last beyond the ends."""
    return np.clip(np.arange(steps) + offset, 0, steps - 1)
