# SPDX-License-Identifier: GPL-3.0-or-later
"""The phones of English (ARPAbet): their articulatory classes and their viseme targets.

A phone sets targets only for the articulators it needs, each with a *dominance* (Cohen and Massaro
1993, "Modeling coarticulation in synthetic visual speech"): /s/ dominates the jaw and leaves the
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


class Word(NamedTuple):
    """A word with its time: as it is written, seconds from the clip's start."""

    text: str
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


class ArticulatorTarget(NamedTuple):
    """The target of one articulator in one phone.

    Attributes:
        target: expression weight, 0 to 1.
        dominance: its weight against the neighbours' targets; 0 leaves the articulator to them.
    """

    target: float
    dominance: float


_FREE = ArticulatorTarget(0.0, 0.0)


class VisemeTarget(NamedTuple):
    """One target for each articulator, in the order of the columns of the blending.

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

    jaw: ArticulatorTarget = _FREE
    funnel: ArticulatorTarget = _FREE
    pucker: ArticulatorTarget = _FREE
    stretch: ArticulatorTarget = _FREE
    smile: ArticulatorTarget = _FREE
    upper: ArticulatorTarget = _FREE
    lower: ArticulatorTarget = _FREE
    tongue: ArticulatorTarget = _FREE


ARTICULATORS: tuple[str, ...] = VisemeTarget._fields
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
    dominance: float = 0.45,
) -> VisemeTarget:
    """A vowel sets jaw and lips; ``dominance`` is that of its lips where they are unrounded."""
    rounding = 1.5 if pucker > 0.5 else 1.0 if funnel + pucker > 0 else dominance
    return VisemeTarget(
        jaw=ArticulatorTarget(jaw, 1.0),
        funnel=ArticulatorTarget(funnel, rounding),
        pucker=ArticulatorTarget(pucker, rounding),
        stretch=ArticulatorTarget(stretch, 0.8),
        smile=ArticulatorTarget(smile, 0.8),
        upper=ArticulatorTarget(upper, 0.6),
        lower=ArticulatorTarget(lower, 0.6),
        tongue=ArticulatorTarget(0.0, 0.5),
    )


def _tongue(jaw: float, dominance: float, tongue: float = 0.0, lower: float = 0.1) -> VisemeTarget:
    """A sound made by the tongue: the jaw assists, the lips follow the neighbours."""
    return VisemeTarget(
        jaw=ArticulatorTarget(jaw, dominance),
        lower=ArticulatorTarget(lower, 0.3),
        tongue=ArticulatorTarget(tongue, 1.0 if tongue else 0.4),
    )


_POSTALVEOLAR = VisemeTarget(
    jaw=ArticulatorTarget(0.07, 1.6),
    funnel=ArticulatorTarget(0.42, 0.9),
    pucker=ArticulatorTarget(0.18, 0.9),
    stretch=ArticulatorTarget(0.0, 0.5),
    smile=ArticulatorTarget(0.0, 0.5),
    upper=ArticulatorTarget(0.14, 0.6),
    lower=ArticulatorTarget(0.14, 0.6),
    tongue=ArticulatorTarget(0.0, 0.5),
)
_SIBILANT = VisemeTarget(
    jaw=ArticulatorTarget(0.05, 2.0),
    funnel=ArticulatorTarget(0.0, 0.2),
    pucker=ArticulatorTarget(0.0, 0.2),
    stretch=ArticulatorTarget(0.24, 0.6),
    smile=ArticulatorTarget(0.08, 0.4),
    upper=ArticulatorTarget(0.24, 0.6),
    lower=ArticulatorTarget(0.30, 0.7),
    tongue=ArticulatorTarget(0.0, 0.5),
)
_BILABIAL = VisemeTarget(
    jaw=ArticulatorTarget(0.06, 0.8),
    upper=ArticulatorTarget(0.0, 0.5),
    lower=ArticulatorTarget(0.0, 0.5),
    tongue=ArticulatorTarget(0.0, 0.8),
)
_LABIODENTAL = VisemeTarget(
    jaw=ArticulatorTarget(0.06, 0.9),
    funnel=ArticulatorTarget(0.0, 0.3),
    pucker=ArticulatorTarget(0.0, 0.3),
    upper=ArticulatorTarget(0.10, 0.6),
    lower=ArticulatorTarget(0.0, 0.8),
    tongue=ArticulatorTarget(0.0, 0.8),
)
_AA = _vowel(0.42, upper=0.14, lower=0.10)
_EH = _vowel(0.27, stretch=0.18, smile=0.12, upper=0.18, lower=0.14, dominance=0.7)
_IY = _vowel(0.12, stretch=0.36, smile=0.24, upper=0.24, lower=0.26, dominance=0.8)
_AO = _vowel(0.36, funnel=0.34, pucker=0.08)
_UW = _vowel(0.08, funnel=0.14, pucker=0.85)
_UH = _vowel(0.16, funnel=0.26, pucker=0.26)

VISEMES: dict[str, tuple[VisemeTarget, ...]] = {
    "AA": (_AA,),
    "AE": (_vowel(0.40, stretch=0.16, smile=0.12, upper=0.20, lower=0.16),),
    "AH": (_vowel(0.28, upper=0.10, lower=0.10, dominance=0.25),),
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
        VisemeTarget(
            jaw=ArticulatorTarget(0.05, 1.1),
            funnel=ArticulatorTarget(0.08, 1.6),
            pucker=ArticulatorTarget(0.90, 2.0),
            stretch=ArticulatorTarget(0.0, 1.0),
            smile=ArticulatorTarget(0.0, 1.0),
            upper=ArticulatorTarget(0.0, 0.5),
            lower=ArticulatorTarget(0.0, 0.5),
            tongue=ArticulatorTarget(0.0, 0.5),
        ),
    ),
    "R": (
        VisemeTarget(
            jaw=ArticulatorTarget(0.12, 0.6),
            funnel=ArticulatorTarget(0.32, 0.7),
            pucker=ArticulatorTarget(0.16, 0.7),
            stretch=ArticulatorTarget(0.0, 0.4),
            smile=ArticulatorTarget(0.0, 0.4),
            lower=ArticulatorTarget(0.10, 0.4),
        ),
    ),
    "Y": (
        VisemeTarget(
            jaw=ArticulatorTarget(0.10, 0.6),
            stretch=ArticulatorTarget(0.26, 0.6),
            smile=ArticulatorTarget(0.14, 0.6),
            lower=ArticulatorTarget(0.14, 0.4),
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
"""The viseme targets a phone passes through; diphthongs have two."""

RESTING = VisemeTarget(*(ArticulatorTarget(0.0, 0.5) for _ in ARTICULATORS))
"""Silence: every articulator returns to neutral, lips touching."""
PAUSING = VisemeTarget(jaw=ArticulatorTarget(0.08, 0.3), lower=ArticulatorTarget(0.06, 0.2))
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
            # What is left of a silence may be no more than rounding.
            _append(covered, before.label, before.start, start)
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
