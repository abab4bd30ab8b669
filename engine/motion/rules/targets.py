# SPDX-License-Identifier: GPL-3.0-or-later
"""The viseme targets of the phones: what the lips measure, in millimetres.

The targets are tract variables (Browman and Goldstein 1989): the opening between the inner lips,
the width between the corners, how far the lips protrude, the jaw's share of the opening, the tongue
tip. They are what films of people measure, so they can be compared with people; which expressions
make them is left to :mod:`.lip_shape`. Every phone sets only what it needs, each with a *dominance*
(Cohen and Massaro 1993, "Modeling coarticulation in synthetic visual speech"): /w/ insists on its
narrow opening, /k/ leaves nearly everything to its neighbours. That tongue sounds do not round the
lips and that lip-heavy sounds reach furthest are the rules of JALI (Edwards et al. 2016, section
4).

Openings and widths are chosen so that connected speech has, at the middle of each phone, the means
that ``training/metrics/phone_means.py`` lists of five filmed speakers. Rounding is a small opening:
3 to 5 mm. Sounds of the tongue keep the lips 7 to 10 mm apart over a nearly shut jaw, for the lips
open for the vowels beside them and the tongue does the rest.
"""

from __future__ import annotations

from typing import NamedTuple

from ...phonemes import BILABIALS, LABIODENTALS, SILENCE  # noqa: TID252

NEUTRAL_WIDTH = 45.2
"""Millimetres between the corners of the default head's mouth at rest."""


class Target(NamedTuple):
    """The target of one tract variable in one phone.

    Attributes:
        value: of the variable, in its unit.
        dominance: its weight against the neighbours' targets; 0 leaves the variable to them.
    """

    value: float
    dominance: float


_FREE = Target(0.0, 0.0)


class VisemeTarget(NamedTuple):
    """One target for each tract variable, in the order of the columns of the blending.

    The default head's size counts: its outer eye corners are 90 mm apart.

    Attributes:
        opening: millimetres between the inner lips at the middle.
        jaw: millimetres that the jaw's drop alone would part the lips.
        width: millimetres between the mouth corners beyond :data:`NEUTRAL_WIDTH`.
        protrusion: lips forward and flared, 0 to 1.
        tongue: tongue tip forward, 0 to 1.
    """

    opening: Target = _FREE
    jaw: Target = _FREE
    width: Target = _FREE
    protrusion: Target = _FREE
    tongue: Target = _FREE


TRACT_VARIABLES: tuple[str, ...] = VisemeTarget._fields
"""Names of the variables, the columns of the blending."""


def _vowel(
    opening: float, jaw: float, width: float, protrusion: float = 0.0, lips: float = 1.0
) -> VisemeTarget:
    """A vowel sets jaw and lips; ``lips`` is how much it insists on opening and width."""
    return VisemeTarget(
        opening=Target(opening, lips),
        jaw=Target(jaw, 1.0),
        width=Target(width, lips),
        protrusion=Target(protrusion, lips),
        tongue=Target(0.0, 0.5),
    )


def _tongue(
    opening: float, jaw: float, width: float, dominance: float, tongue: float = 0.0
) -> VisemeTarget:
    """A sound made by the tongue: the lips follow the neighbours, and are not rounded by it."""
    return VisemeTarget(
        opening=Target(opening, dominance),
        jaw=Target(jaw, dominance),
        width=Target(width, 0.5 * dominance),
        tongue=Target(tongue, 1.0 if tongue else 0.4),
    )


_POSTALVEOLAR = VisemeTarget(
    opening=Target(10.5, 1.0),
    jaw=Target(1.9, 1.8),
    width=Target(-5.0, 0.9),
    protrusion=Target(0.42, 0.9),
    tongue=Target(0.0, 0.5),
)
_SIBILANT = VisemeTarget(
    opening=Target(9.2, 1.3),
    jaw=Target(2.0, 2.5),
    width=Target(3.5, 0.6),
    protrusion=Target(0.0, 0.2),
    tongue=Target(0.0, 0.5),
)
# The contacts open no lips; the jaw is half way to the vowel beside, the corners are its own.
_BILABIAL = VisemeTarget(
    opening=Target(2.0, 0.4),
    jaw=Target(2.5, 0.8),
    width=Target(-2.0, 0.5),
    tongue=Target(0.0, 0.8),
)
_LABIODENTAL = VisemeTarget(
    opening=Target(3.0, 0.8),
    jaw=Target(2.2, 0.9),
    protrusion=Target(0.0, 0.3),
    tongue=Target(0.0, 0.8),
)
_AA = _vowel(12.0, 10.0, -1.0)
_EH = _vowel(11.0, 6.5, 3.5)
_IY = _vowel(9.2, 3.0, 5.0)
_AO = _vowel(5.0, 6.0, -6.0, 0.33, lips=1.5)
_UW = _vowel(2.0, 2.6, -6.0, 0.15, lips=1.5)
_UH = _vowel(3.2, 3.5, -6.5, 0.24, lips=1.2)

VISEMES: dict[str, tuple[VisemeTarget, ...]] = {
    "AA": (_AA,),
    "AE": (_vowel(15.5, 9.0, 2.5),),
    "AH": (_vowel(10.0, 5.5, 1.0, lips=0.6),),
    "AO": (_AO,),
    "AW": (_AA._replace(opening=Target(13.5, 1.5)), _UH._replace(width=Target(-4.0, 1.2))),
    "AY": (_AA._replace(opening=Target(12.5, 1.0)), _IY._replace(opening=Target(9.0, 1.0))),
    "EH": (_EH,),
    "ER": (_vowel(8.0, 4.0, -2.0, 0.18),),
    "EY": (_EH, _vowel(11.5, 5.5, 6.5)),
    "IH": (_vowel(9.0, 4.0, 3.5),),
    "IY": (_IY,),
    "OW": (_vowel(5.0, 5.0, -5.0, 0.26, lips=1.5), _vowel(2.8, 3.0, -6.0, 0.16, lips=1.8)),
    "OY": (_AO, _IY),
    "UH": (_UH,),
    "UW": (_UW,),
    # The front rounded vowels of French, German, Mandarin and others: the jaw of the spread vowel
    # with the lips of the rounded one, a little less pursed (Zerling 1992 on French /y ø/).
    "UE": (_vowel(2.8, 2.8, -6.5, 0.20, lips=1.5),),
    "OE": (_vowel(4.0, 4.5, -5.5, 0.30, lips=1.5),),
    "W": (
        VisemeTarget(
            opening=Target(1.5, 2.5),
            jaw=Target(2.0, 1.1),
            width=Target(-8.0, 2.0),
            protrusion=Target(0.11, 1.6),
            tongue=Target(0.0, 0.5),
        ),
    ),
    "R": (
        VisemeTarget(
            opening=Target(6.0, 0.9),
            jaw=Target(3.5, 0.6),
            width=Target(-4.0, 0.9),
            protrusion=Target(0.22, 0.9),
        ),
    ),
    "Y": (VisemeTarget(opening=Target(8.0, 0.7), jaw=Target(3.0, 0.6), width=Target(4.0, 0.6)),),
    **dict.fromkeys(("SH", "ZH", "CH", "JH"), (_POSTALVEOLAR,)),
    **dict.fromkeys(("S", "Z"), (_SIBILANT,)),
    **dict.fromkeys(sorted(BILABIALS), (_BILABIAL,)),
    **dict.fromkeys(sorted(LABIODENTALS), (_LABIODENTAL,)),
    # Lips that nearly close without a contact, as in Spanish "lobo".
    "BH": (_BILABIAL._replace(opening=Target(1.2, 2.5), width=Target(-1.0, 0.6)),),
    "L": (_tongue(8.4, 4.5, 1.0, 0.5, tongue=0.05),),
    **dict.fromkeys(("T", "D", "N"), (_tongue(10.0, 3.5, 2.0, 0.7),)),
    "TH": (_tongue(10.2, 4.0, 1.5, 0.8, tongue=0.30),),
    "DH": (_tongue(8.5, 4.0, 1.5, 0.7, tongue=0.20),),
    **dict.fromkeys(("K", "G", "NG"), (_tongue(11.0, 5.0, 1.5, 0.3),)),
    "HH": (_tongue(15.0, 8.0, 1.5, 0.5),),
    # Half open, on the way from one sound to the next; long silences come to rest over this.
    SILENCE: (
        VisemeTarget(opening=Target(8.0, 0.5), jaw=Target(4.0, 0.5), width=Target(1.0, 0.3)),
    ),
}
"""The viseme targets a phone passes through; diphthongs have two."""
