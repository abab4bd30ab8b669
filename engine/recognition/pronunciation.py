# SPDX-License-Identifier: GPL-3.0-or-later
"""How an unknown word sounds: letter-to-sound rules for English, in ARPAbet.

The dictionary knows 130,000 words; the rules are for names and inventions. They look for the
longest spelling that fits at each place, left to right, as the rule sets of Elovitz et al. (1976,
NRL report 7948) do; the rules themselves were written for this project. What matters most to a
face is right nearly always: p, b, m, f, v, w and rounded vowels.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from pocketsphinx import get_model_path

Phones = tuple[str, ...]

_VOWEL = "[aeiouy]"
_CONSONANT = "[bcdfghjklmnpqrstvwxz]"

# Each rule: what stands before | the letters | what follows → the phones. ^ and $ are the word's
# ends, V a vowel letter, C a consonant letter. The first rule that fits a place wins, so longer
# spellings stand before shorter ones.
_RULES = """
|augh|t → AO
|ough|t → AO
|ough| → OW
|eigh| → EY
|igh| → AY
|tch| → CH
|sch| → SH
|dge| → JH
|cqu| → K W
|que|$ → K
|ture| → CH ER
|tion| → SH AH N
|sion| → ZH AH N
|cious| → SH AH S
|tious| → SH AH S
|cial| → SH AH L
|tial| → SH AH L
|ious|$ → IY AH S
|ous|$ → AH S
|age|$ → IH JH
|ed|$ → D
|es|$ → Z
^|kn| → N
^|gn| → N
^|pn| → N
^|wr| → R
^|ps| → S
^|pt| → T
^|mn| → N
^|wh|o → HH
^|x| → Z
^|y|V → Y
^|mc| → M AH K
|mb|$ → M
|mbs|$ → M Z
|mn|$ → M
|gh|$ →
|gh| → G
|ph| → F
|th| → TH
|sh| → SH
|ch|r → K
|ch| → CH
|ck| → K
|cc|[eiy] → K S
|sc|[eiy] → S
|wsk| → F S K
|ng|$ → NG
|ngs|$ → NG Z
|ng|[aou] → NG G
|ng|C → NG
|nk| → NG K
|qu| → K W
|q| → K
|wh| → W
|rh| → R
|zh| → ZH
|kh| → K
|dh| → D
|bh| → B
|tz| → T S
|zz| → Z
|eau| → OW
|oar| → AO R
|oor| → AO R
|our| → AO R
|ear| → IH R
|eer| → IH R
|air| → EH R
|are|$ → EH R
|ire|$ → AY ER
|ore|$ → AO R
|ure|$ → Y UH R
|ai| → EY
|ay| → EY
|au| → AO
|aw| → AO
|ea| → IY
|ee| → IY
|ei| → EY
|ey|$ → IY
|ey| → EY
|eu| → UW
|ew| → UW
|ie|$ → IY
|ies|$ → IY Z
|ie| → IY
|oa| → OW
|oe|$ → OW
|oi| → OY
|oy| → OY
|oo|k → UH
|oo| → UW
|ou| → AW
|ow|$ → OW
|ow| → AW
|ue|$ → UW
|ui| → UW
|ar| → AA R
|er| → ER
|ir| → ER
|or| → AO R
|ur| → ER
|al|[kl] → AO L
|al|$ → AH L
|a|CeC?$ → EY
|e|CeC?$ → IY
|i|CeC?$ → AY
|o|CeC?$ → OW
|u|CeC?$ → UW
|y|CeC?$ → AY
C|le|$ → AH L
C|e|$ →
^C*|e|$ → IY
|e|$ → IY
|a|$ → AH
|i|$ → IY
|o|$ → OW
|u|$ → UW
^C+|y|$ → AY
|y|$ → IY
|a|CV → EY
|o|CV → OW
|u|CV → UW
|a| → AE
|e| → EH
|i| → IH
|o| → AA
|u| → AH
|y|V → Y
|y| → IH
|c|[eiy] → S
|c| → K
|g|[ei] → JH
|g| → G
V|s|V → Z
|s|$ → S
|x| → K S
|b| → B
|d| → D
|f| → F
|h|$ →
|h| → HH
|j| → JH
|k| → K
|l| → L
|m| → M
|n| → N
|p| → P
|r| → R
|s| → S
|t| → T
|v| → V
|w|V → W
|w| →
|z| → Z
"""

_LETTER_SOUNDS = """
a EY|b B IY|c S IY|d D IY|e IY|f EH F|g JH IY|h EY CH|i AY|j JH EY|k K EY|l EH L|m EH M|n EH N|o OW
p P IY|q K Y UW|r AA R|s EH S|t T IY|u Y UW|v V IY|w D AH B AH L Y UW|x EH K S|y W AY|z Z IY
"""


@cache
def _letter_names() -> dict[str, Phones]:
    entries = (entry.split() for entry in re.split(r"[|\n]", _LETTER_SOUNDS.strip()))
    return {letter: tuple(phones) for letter, *phones in entries}


def pronunciations(word: str) -> tuple[Phones, ...]:
    """How a word may be said: as the dictionary has it, or by rule where it has not.

    Args:
        word: from :func:`engine.recognition.transcript.spoken_words`.

    Returns:
        One or more sequences of ARPAbet phones; empty only where there is no letter.
    """
    lower = word.lower()
    found = tuple(tuple(line.split()) for line in _dictionary().get(lower, ()))
    if word.isupper() and len(word) > 1:
        # "US" may be the pronoun or the country.
        return (*found, spelled(word))
    if not found and lower.endswith("'s"):
        found = tuple((*phones, "Z") for phones in pronunciations(lower[:-2]))
    if found:
        return found
    ruled = by_rule(word)
    return (ruled,) if ruled else ()


@cache
def _dictionary() -> dict[str, list[str]]:
    """The 130,000 words of the CMU dictionary that PocketSphinx brings."""
    words: dict[str, list[str]] = {}
    for line in Path(get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines():
        name, _, phones = line.partition(" ")
        words.setdefault(name.partition("(")[0], []).append(phones)
    return words


def spelled(letters: str) -> Phones:
    """An abbreviation read letter by letter: "BBC" → B IY B IY S IY."""
    return tuple(phone for letter in letters.lower() for phone in _letter_names().get(letter, ()))


def by_rule(word: str) -> Phones:
    """The likely pronunciation of a word that no dictionary has.

    Args:
        word: letters a to z and apostrophes.

    Returns:
        ARPAbet phones without stress; empty only where there is no letter.
    """
    if word.isupper() and len(word) > 1:
        return spelled(word)
    word = word.lower()
    ending: Phones = ()
    if word.endswith("'s"):
        word, ending = word[:-2], ("Z",)
    word = re.sub(r"[^a-z]", "", word)
    # A doubled consonant letter is one sound.
    phones: list[str] = []
    place = 0
    while place < len(word):
        length, sound = _match(word, place)
        phones += [phone for phone in sound if not (phones and phones[-1] == phone)]
        place += length
    return (*phones, *ending)


def _match(word: str, place: int) -> tuple[int, Phones]:
    # Rules look a few letters back; scripts without spaces make words of thousands.
    context = word[max(0, place - _LOOK_BACK) : place]
    for before, letters, after, phones in _compiled():
        if (
            word.startswith(letters, place)
            and before.search(context)
            and after.match(word, place + len(letters))
        ):
            return len(letters), phones
    return 1, ()


_LOOK_BACK = 24


@cache
def _compiled() -> tuple[tuple[re.Pattern[str], str, re.Pattern[str], Phones], ...]:
    rules = []
    for line in _RULES.strip().splitlines():
        context, _, phones = line.partition("→")
        before, letters, after = context.strip().split("|")
        rules.append((_context(f"(?:{before})$"), letters, _context(after), tuple(phones.split())))
    return tuple(rules)


def _context(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern.replace("V", _VOWEL).replace("C", _CONSONANT))
