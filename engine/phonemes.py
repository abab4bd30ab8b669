# SPDX-License-Identifier: GPL-3.0-or-later
"""The sounds of English (ARPAbet): their classes and the mouth each one asks for.

A sound commands only the articulators it needs, each with a *dominance* (Cohen and Massaro 1993,
"Modeling coarticulation in synthetic visual speech"): /s/ insists on a narrow jaw and leaves the
rounding of the lips to its neighbours, /k/ leaves nearly everything to them. That tongue sounds do
not shape the lips, that sibilants narrow the jaw and that lip-heavy sounds spread furthest are the
rules of JALI (Edwards et al. 2016, section 4).

Targets are weights of the ARKit expression an articulator is named after, for a speaker of average
loudness; amplitudes were set on the default head by looking at renders.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Phone(NamedTuple):
    """A speech sound with its time: ARPAbet label without stress, seconds from the clip's start."""

    label: str
    start: float
    end: float


BILABIALS = frozenset({"P", "B", "M"})
"""Sounds that need the lips shut."""
LABIODENTALS = frozenset({"F", "V"})
"""Sounds that need the lower lip on the upper teeth."""
SIBILANTS = frozenset({"S", "Z", "SH", "ZH", "CH", "JH"})
VOWELS = frozenset(
    {"AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW"}
)
OPEN_VOWELS = frozenset({"AA", "AE", "AH", "AO", "AW", "AY"})
"""Vowels during which a shut mouth is plainly wrong."""
ROUNDED = frozenset({"UW", "OW", "W"})
"""Sounds with strongly rounded lips."""
SPREAD = frozenset({"IY", "EH"})
"""Sounds with spread lips."""
SILENCE = "SIL"
"""Label of silence; noises and fillers of the recogniser count as silence."""

_LABELS = frozenset(
    VOWELS
    | BILABIALS
    | LABIODENTALS
    | SIBILANTS
    | {"W", "R", "L", "Y", "T", "D", "N", "TH", "DH", "K", "G", "NG", "HH", SILENCE}
)


class Command(NamedTuple):
    """What a sound asks of one articulator.

    Attributes:
        target: expression weight, 0 to 1.
        dominance: how firmly it is asked for; 0 leaves the articulator to the neighbours.
    """

    target: float
    dominance: float


_FREE = Command(0.0, 0.0)


class Mouth(NamedTuple):
    """One command for each articulator, in the order of the columns of the blending.

    Attributes:
        jaw: jaw drop (jawOpen).
        funnel: lips rounded and open (mouthFunnel).
        pucker: lips rounded and narrow (mouthPucker).
        stretch: corners drawn sideways (mouthStretch).
        smile: corners drawn up and back (mouthSmile).
        upper: upper lip raised (mouthUpperUp).
        lower: lower lip lowered (mouthLowerDown).
        tongue: tongue tip forward (tongueOut).
    """

    jaw: Command = _FREE
    funnel: Command = _FREE
    pucker: Command = _FREE
    stretch: Command = _FREE
    smile: Command = _FREE
    upper: Command = _FREE
    lower: Command = _FREE
    tongue: Command = _FREE


ARTICULATORS: tuple[str, ...] = Mouth._fields
"""Names of the articulators, the columns of the blending."""


def _vowel(
    jaw: float,
    *,
    funnel: float = 0.0,
    pucker: float = 0.0,
    stretch: float = 0.0,
    smile: float = 0.0,
    upper: float = 0.0,
    lower: float = 0.0,
    firmness: float = 0.45,
) -> Mouth:
    """A vowel commands jaw and lips; ``firmness`` is how much it minds its neighbours' rounding."""
    rounding = 1.5 if pucker > 0.5 else 1.0 if funnel + pucker > 0 else firmness
    return Mouth(
        jaw=Command(jaw, 1.0),
        funnel=Command(funnel, rounding),
        pucker=Command(pucker, rounding),
        stretch=Command(stretch, 0.8),
        smile=Command(smile, 0.8),
        upper=Command(upper, 0.6),
        lower=Command(lower, 0.6),
        tongue=Command(0.0, 0.5),
    )


def _tongue(jaw: float, firmness: float, tongue: float = 0.0, lower: float = 0.1) -> Mouth:
    """A sound made by the tongue: the jaw assists, the lips follow the neighbours."""
    return Mouth(
        jaw=Command(jaw, firmness),
        lower=Command(lower, 0.3),
        tongue=Command(tongue, 1.0 if tongue else 0.4),
    )


_POSTALVEOLAR = Mouth(
    jaw=Command(0.07, 1.6),
    funnel=Command(0.42, 0.9),
    pucker=Command(0.18, 0.9),
    stretch=Command(0.0, 0.5),
    smile=Command(0.0, 0.5),
    upper=Command(0.14, 0.6),
    lower=Command(0.14, 0.6),
    tongue=Command(0.0, 0.5),
)
_SIBILANT = Mouth(
    jaw=Command(0.05, 2.0),
    funnel=Command(0.0, 0.2),
    pucker=Command(0.0, 0.2),
    stretch=Command(0.24, 0.6),
    smile=Command(0.08, 0.4),
    upper=Command(0.24, 0.6),
    lower=Command(0.30, 0.7),
    tongue=Command(0.0, 0.5),
)
_BILABIAL = Mouth(
    jaw=Command(0.06, 0.8),
    upper=Command(0.0, 0.5),
    lower=Command(0.0, 0.5),
    tongue=Command(0.0, 0.8),
)
_LABIODENTAL = Mouth(
    jaw=Command(0.06, 0.9),
    funnel=Command(0.0, 0.3),
    pucker=Command(0.0, 0.3),
    upper=Command(0.10, 0.6),
    lower=Command(0.0, 0.8),
    tongue=Command(0.0, 0.8),
)
_AA = _vowel(0.42, upper=0.14, lower=0.10)
_EH = _vowel(0.27, stretch=0.18, smile=0.12, upper=0.18, lower=0.14, firmness=0.7)
_IY = _vowel(0.12, stretch=0.36, smile=0.24, upper=0.24, lower=0.26, firmness=0.8)
_AO = _vowel(0.36, funnel=0.34, pucker=0.08)
_UW = _vowel(0.08, funnel=0.14, pucker=0.85)
_UH = _vowel(0.16, funnel=0.26, pucker=0.26)

MOUTHS: dict[str, tuple[Mouth, ...]] = {
    "AA": (_AA,),
    "AE": (_vowel(0.40, stretch=0.16, smile=0.12, upper=0.20, lower=0.16),),
    "AH": (_vowel(0.28, upper=0.10, lower=0.10, firmness=0.25),),
    "AO": (_AO,),
    "AW": (_AA, _UH),
    "AY": (_AA, _IY),
    "EH": (_EH,),
    "ER": (_vowel(0.16, funnel=0.24, pucker=0.12, lower=0.10),),
    "EY": (_EH, _IY),
    "IH": (_vowel(0.17, stretch=0.20, smile=0.12, upper=0.16, lower=0.18),),
    "IY": (_IY,),
    "OW": (_vowel(0.28, funnel=0.38, pucker=0.26), _vowel(0.12, funnel=0.18, pucker=0.72)),
    "OY": (_AO, _IY),
    "UH": (_UH,),
    "UW": (_UW,),
    "W": (
        Mouth(
            jaw=Command(0.05, 1.1),
            funnel=Command(0.08, 1.6),
            pucker=Command(0.90, 2.0),
            stretch=Command(0.0, 1.0),
            smile=Command(0.0, 1.0),
            upper=Command(0.0, 0.5),
            lower=Command(0.0, 0.5),
            tongue=Command(0.0, 0.5),
        ),
    ),
    "R": (
        Mouth(
            jaw=Command(0.12, 0.6),
            funnel=Command(0.32, 0.7),
            pucker=Command(0.16, 0.7),
            stretch=Command(0.0, 0.4),
            smile=Command(0.0, 0.4),
            lower=Command(0.10, 0.4),
        ),
    ),
    "Y": (
        Mouth(
            jaw=Command(0.10, 0.6),
            stretch=Command(0.26, 0.6),
            smile=Command(0.14, 0.6),
            lower=Command(0.14, 0.4),
        ),
    ),
    **dict.fromkeys(("SH", "ZH", "CH", "JH"), (_POSTALVEOLAR,)),
    **dict.fromkeys(("S", "Z"), (_SIBILANT,)),
    **dict.fromkeys(BILABIALS, (_BILABIAL,)),
    **dict.fromkeys(LABIODENTALS, (_LABIODENTAL,)),
    "L": (_tongue(0.16, 0.5, tongue=0.05),),
    **dict.fromkeys(("T", "D", "N"), (_tongue(0.09, 0.7, lower=0.14),)),
    "TH": (_tongue(0.12, 0.8, tongue=0.30, lower=0.18),),
    "DH": (_tongue(0.11, 0.7, tongue=0.20, lower=0.16),),
    **dict.fromkeys(("K", "G", "NG"), (_tongue(0.14, 0.3),)),
    "HH": (_tongue(0.16, 0.1),),
}
"""The mouths a sound passes through; diphthongs have two."""

RESTING = Mouth(*(Command(0.0, 0.5) for _ in ARTICULATORS))
"""Silence: every articulator returns to neutral, lips touching."""
PAUSING = Mouth(jaw=Command(0.08, 0.3), lower=Command(0.06, 0.2))
"""A pause too short to shut the mouth for."""


def normalize_label(label: str) -> str:
    """An ARPAbet label without stress mark; silence for anything that is not speech.

    ``"ah0"`` → ``"AH"``; ``"<sil>"``, ``"+NSN+"``, ``"SPN"`` and unknown labels → ``"SIL"``.
    """
    plain = label.strip().upper().rstrip("012")
    return plain if plain in _LABELS else SILENCE


def normalize_segments(phones: Iterable[Phone], duration: float) -> tuple[Phone, ...]:
    """Phones in order that cover ``[0, duration]`` without gap or overlap.

    Holes become silence, neighbouring silences one, overlaps are cut in favour of the later
    phone, and phones without extent inside the clip are dropped.

    Args:
        phones: in any order; labels as any recogniser writes them.
        duration: seconds.
    """
    covered: list[Phone] = []
    for phone in sorted(phones, key=lambda p: (p.start, p.end)):
        start, end = max(0.0, phone.start), min(duration, phone.end)
        if end <= start:
            continue
        label = normalize_label(phone.label)
        if covered and start < covered[-1].end:
            before = covered.pop()
            if start > before.start:
                covered.append(before._replace(end=start))
        _append(covered, SILENCE, covered[-1].end if covered else 0.0, start)
        _append(covered, label, start, end)
    _append(covered, SILENCE, covered[-1].end if covered else 0.0, duration)
    return tuple(covered)


_SEAM = 0.002
"""Seconds; a hole no longer than this is rounding of the phone times, not silence."""


def _append(covered: list[Phone], label: str, start: float, end: float) -> None:
    if end <= start:
        return
    if covered and label == SILENCE and (covered[-1].label == SILENCE or end - start <= _SEAM):
        covered[-1] = covered[-1]._replace(end=end)
    else:
        covered.append(Phone(label, start, end))
