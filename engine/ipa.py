# SPDX-License-Identifier: GPL-3.0-or-later
"""The sounds of every language, from the International Phonetic Alphabet to the labels in use here.

Labels say how a sound looks: ARPAbet's, and three for sounds that English lacks
(:data:`engine.phonemes.FOREIGN`). What a sound is like in English, for the acoustic model knows no
other language, may be something else: Polish *ś* looks like S, with the lips spread, and sounds
like SH.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache, lru_cache
from typing import NamedTuple


class Sound(NamedTuple):
    """A speech sound.

    Attributes:
        label: how the mouth makes it, for the eye.
        acoustic: the English phones (ARPAbet) that it may sound like, the nearest first.
    """

    label: str
    acoustic: tuple[str, ...]


# IPA and what espeak-ng writes for it | labels, each with =acoustic/acoustic where it sounds like
# something else | why. Length, stress, tone, breath, nasality, palatalisation, ejection and
# voicelessness do not show on the lips: their marks are passed over.
_TABLE = """
p ph ʘ   | P | bilabial stop or click: the lips shut, however it is released
b ɓ ʙ    | B | voiced, implosive or trilled: the lips shut as for p
m ᵐ      | M | bilabial nasal, alone or before a stop: the lips shut
f        | F | labiodental fricative: the lower lip on the upper teeth
v        | V | the same, voiced
ʋ        | V=V/W | labiodental approximant: the lip goes to the teeth, loosely
ɱ        | V=M/N | labiodental nasal: lip on teeth, and the sound of a nasal
β        | BH=V/B/W | bilabial approximant: the lips nearly shut, not on the teeth, not closed
ɸ Φ      | BH=F/HH | the same without voice
w ʍ      | W | labial-velar approximant: the tightest rounding
θ        | TH | dental fricative: the tongue between the teeth
ð        | DH | the same, voiced
t th ʈ ǀ ǃ | T | dental to retroflex stop or click: tongue tip up, lips free
d ɖ ɗ    | D | the same, voiced or implosive
n ɳ ⁿ    | N | the same through the nose
ɲ        | N=N/Y | palatal nasal: the lips free as for n
ɾ ɽ      | D=D/R/T | tap: the tongue tip alone, without the rounding of English r
r        | D=R/D/L | trill: the same
ɹ ɻ      | R | approximant r: the lips rounded a little, as in English
l ɫ ɭ ɬ ɮ ʟ | L | laterals: tongue tip, lips free
ʎ        | L=L/Y | palatal lateral: the same
s        | S | alveolar sibilant: teeth close, lips spread
z        | Z | the same, voiced
ʃ ʂ s. S | SH | postalveolar or retroflex sibilant: lips pushed forward
ʒ ʐ z. Z | ZH | the same, voiced
ɕ        | S=SH/S | alveolo-palatal: sounds like SH, made with spread lips
ʑ        | Z=ZH/Z | the same, voiced
r̝        | Z=ZH/Z | Czech ř: a trill with the teeth close
ts ʦ tsh | T S | affricate: its two halves
dz ʣ     | D Z | the same, voiced
tʃ ʧ ts. ts.h ʈʂ tS | CH | postalveolar affricate: lips pushed forward throughout
dʒ ʤ dz. ɖʐ dZ | JH | the same, voiced
tɕ ʨ tɕh | T S=SH/S | alveolo-palatal affricate: the lips spread
dʑ ʥ     | D Z=ZH/Z | the same, voiced
c ch     | K=K/CH/T | palatal stop: the lips free; sounds between K and CH
ɟ        | G=G/JH/D | the same, voiced
k kh q K ǁ ǂ | K | velar and uvular stops, clicks with the side of the tongue: lips free
ɡ g ɢ ɠ ʛ | G | the same, voiced or implosive
ŋ ɴ ᵑ N nɡ | NG | velar and uvular nasals: lips free
x χ ħ X  | HH=HH/K | fricative at the back: lips free, as for h
ç        | HH=SH/HH/Y | palatal fricative: lips free
h ɦ      | HH | glottal fricative: the shape of the next vowel
ɣ ʁ ʀ ʕ ɰ | G=HH/G/R | voiced fricative or trill at the back: lips free, unlike English r
j ʝ      | Y | palatal approximant: as a short i
ʔ        |  | glottal stop: nothing moves
i        | IY | close front vowel: lips spread
ɪ ᵻ      | IH | near-close: spread less
ɨ i. ɘ   | IH=IH/UH | central or apical: little opening, lips neither spread nor round
ɯ        | IH=UH/IH/UW | close back unrounded: the same to the eye, to the ear near UH
ɯᵝ       | UH=UW/UH | Japanese u: a small opening, hardly pushed forward
e        | EH=EY/EH/IH | close-mid front: lips spread, without the glide of English EY
ɛ ε      | EH | open-mid front
æ        | AE | near-open front
a        | AA=AA/AE/AH | open: a wide opening, lips neutral
ɑ A      | AA | open back unrounded
ɐ ʌ ə ɜ  | AH | central and half-open unrounded: half open, lips neutral
ɤ        | AH=AH/UH | back unrounded: the same
ɒ        | AO=AO/AA | open back rounded
ɔ        | AO | open-mid back rounded
o̞ o-     | AO=OW/AO | mid back, rounded weakly
o        | OW=OW/AO | close-mid back rounded: a small opening
u        | UW | close back rounded: the smallest
ʉ        | UW=UW/IY | close central rounded: the same to the eye
ʊ        | UH | near-close back rounded
y ʏ      | UE=UW/IY/IH | close front rounded: lips as for u, tongue as for i
ɥ        | UE=W/Y/UW | the same as a consonant
ø œ ɶ    | OE=ER/EH/UH | mid front rounded: lips as for o, tongue as for e
ɵ        | OE=UH/ER/AH | mid central rounded: the same to the eye
ə-       | OE=AH/ER/UH | French e muet: the same
ɚ ɝ ɜː əɹ | ER | r-coloured, and English *bird*: rounded a little
aɪ ai ɑɪ ʌɪ æi | AY | diphthong: open, then spread
aʊ au ɑʊ ɑu æʊ | AW | open, then round
eɪ ei ɛɪ | EY | half open, then spread
oʊ ou əʊ ʌʊ | OW | round, then rounder
ɔɪ ɔi oɪ oi ɔø ɔʏ | OY | round, then spread
"""

_TONE = re.compile(r"(?<=[^\s_ˈˌ])ɜ(?=[\s_]|$)")
"""espeak-ng's way to write the third tone, behind a vowel."""


_PASSED_OVER = re.compile("[\u0300-\u031c\u031f-\u036f]")
"""Combining marks but those of r̝ and o̞: they may stand inside a diphthong."""


@lru_cache(maxsize=65536)
def ipa_sounds(ipa: str) -> tuple[Sound, ...]:
    """The sounds of a transcription.

    Args:
        ipa: in IPA, as espeak-ng writes it; ``_`` and spaces part sounds that would be one
            without them. Marks and symbols that say nothing of the mouth are passed over.

    Returns:
        In order; none where nothing moves.
    """
    text = _TONE.sub("", _PASSED_OVER.sub("", unicodedata.normalize("NFD", ipa)))
    table = _sounds()
    found: list[Sound] = []
    place = 0
    while place < len(text):
        length = next((n for n in _LENGTHS if text[place : place + n] in table), 0)
        found += table[text[place : place + length]]
        place += length or 1
    return tuple(found)


def ipa_labels(ipa: str) -> tuple[str, ...]:
    """The labels of a transcription: how its sounds look, see :func:`ipa_sounds`."""
    return tuple(sound.label for sound in ipa_sounds(ipa))


_LENGTHS = (4, 3, 2, 1)
"""Characters of a symbol, the longest first."""


@cache
def _sounds() -> dict[str, tuple[Sound, ...]]:
    table: dict[str, tuple[Sound, ...]] = {"": ()}
    for row in _TABLE.strip().splitlines():
        symbols, labels, _why = row.split("|")
        sounds = tuple(map(_sound, labels.split()))
        table |= dict.fromkeys(unicodedata.normalize("NFD", symbols).split(), sounds)
    return table


def _sound(entry: str) -> Sound:
    label, _, acoustic = entry.partition("=")
    return Sound(label, tuple(acoustic.split("/")) if acoustic else (label,))
