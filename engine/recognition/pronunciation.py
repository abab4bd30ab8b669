# SPDX-License-Identifier: GPL-3.0-or-later
"""How words sound: by the CMU dictionary in English, by espeak-ng in every language."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from pathlib import Path

from pocketsphinx import get_model_path

from engine.ipa import Sound, ipa_sounds
from engine.phonemes import VOWELS
from engine.recognition import espeak, thai
from engine.recognition.language import (
    ENGLISH,
    read_by_name,
    reading_language,
    script_of,
    voice_of,
)
from engine.recognition.letters import latin_by_name, readable
from engine.recognition.unspaced import kana

Pronunciation = tuple[Sound, ...]

_LONGEST_ABBREVIATION = 5
_VOWELS_LEFT_OUT = {"ar", "he"}
"""Voices of scripts that write consonants and long vowels."""
_LATIN = "id"
"""Voice of Indonesian, which reads Latin letters as they are written."""
_ANY_VOWEL = Sound("AH", ("AH", "AA", "EH", "IH"))
_DRAWN_OUT = re.compile(r"(.)\1{2,}")
"""A letter three times and more: nooo, hmmmm."""
_NUMERAL = re.compile(r"[ivx]+")
_INTERJECTIONS = {
    "aww": "AO",
    "brr": "B ER",
    "eww": "IY UW",
    "grr": "G ER",
    "mmm": "M",
    "pff": "P F",
    "pst": "P S T",
    "umm": "AH M",
}
"""Sounds that are no words; espeak-ng spells most of them, letter by letter."""
_DIGITS_READ_SINGLY = 3
"""Digits from which a number may be read one by one: 555, room 101."""


@lru_cache(maxsize=16384)
def pronunciations(word: str, language: str = ENGLISH) -> tuple[Pronunciation, ...]:
    """How a word may be said.

    A word in letters that the language is not written in is read as one of another language.

    Args:
        word: from :func:`engine.recognition.transcript.spoken_words`: letters, a number, a symbol.
        language: of the text around it, a key of :func:`engine.recognition.language.languages`.

    Returns:
        One or more sequences of sounds; empty only where nothing can be said.

    Raises:
        BadInputError: there is no such language.
        MissingDependencyError: espeak-ng is not installed.
    """
    language = reading_language(word, language)
    return tuple(dict.fromkeys(filter(None, _readings(word, language))))


def pronunciations_in_context(
    words: Sequence[str], language: str
) -> list[tuple[Pronunciation, ...]]:
    """How each of several words may be said, as among its neighbours and as alone.

    Neighbours change sounds: Spanish *un puente* is *um puente*, the *b* of *lobo bebe* no closure,
    French *les amis* has a z. English words are those of the dictionary, whatever is beside them.

    Args:
        words: from :func:`engine.recognition.transcript.spoken_words`, as they follow each other.
        language: as in :func:`pronunciations`, which says what is raised.
    """
    options = [pronunciations(word, language) for word in words]
    voice = voice_of(language)
    if voice.startswith(ENGLISH) or voice in _OTHERWISE_READ:
        return options
    for start in range(0, len(words), _TOGETHER):
        block = words[start : start + _TOGETHER]
        if all(_read_by(language, word) for word in block):
            said = (readable(word, voice) for word in block)
            together = [ipa_sounds(ipa) for ipa in espeak.pronounce(" ".join(said), voice)]
            # Where espeak-ng joins words, nobody knows which sound is whose.
            if len(together) == len(block):
                for i, sounds in enumerate(together, start):
                    options[i] = tuple(dict.fromkeys(filter(None, (sounds, *options[i]))))
    return options


def beginning(letters: str, language: str) -> Pronunciation:
    """The consonants with which a broken-off word begins: *w* and *th* in w-what, th—.

    Args:
        letters: the part that is written, at least one.
        language: as in :func:`pronunciations`, which says what is raised.

    Returns:
        Empty where the letters are more than consonants.
    """
    letters = letters.lower()
    language = reading_language(letters, language)
    script = script_of(letters[:1])
    if script not in _A or len(letters) > _LONGEST_BEGINNING:
        return ()
    sounds = _said(letters + _A[script], voice_of(language))
    vowels = [sound.label in VOWELS for sound in sounds]
    return sounds[:-1] if vowels and vowels[-1] and not any(vowels[:-1]) else ()


_A = {"LATIN": "a", "CYRILLIC": "а", "GREEK": "α"}
"""A vowel in scripts whose consonants have none of their own."""
_LONGEST_BEGINNING = 3


def _read_by(language: str, word: str) -> bool:
    """Whether a word is letters that espeak-ng's voice of the language reads."""
    own = reading_language(word, language) == language
    return own and not word[:1].isdecimal() and script_of(word[:1]) != "" and not read_by_name(word)


_OTHERWISE_READ = {"ja", "th"}
"""Voices that read other letters than those of the text, or none."""
_TOGETHER = 6
"""Words that are given to espeak-ng at once."""


def _readings(word: str, language: str) -> Iterator[Pronunciation]:
    voice = voice_of(language)
    if not read_by_name(word):
        word = readable(word, voice)
    known = list(_dictionary_entries(word.lower())) if voice.startswith(ENGLISH) else []
    yield from known
    if word[:1].isdecimal():
        yield from (_said(reading, voice) for reading in _number_readings(word))
    elif read_by_name(word):
        yield _said(latin_by_name(word), _LATIN)
    elif voice == "th":
        yield ipa_sounds("_".join(ipa for _, ipa in thai.syllables(word)))
    elif voice == "ja":
        yield from (_said(reading, voice) for reading in kana(word))
    elif len(word) == 1 and word.isalpha():
        yield from () if known else (_in_context(word, voice), _said(word, voice))
    elif word.isupper() and len(word) <= _LONGEST_ABBREVIATION:
        # "US" may be the pronoun or the country.
        yield from () if known else (_said(word, voice),)
        yield tuple(sound for letter in word for sound in _said(letter, voice))
    elif not known:
        yield _said(word, voice)
        if voice in _VOWELS_LEFT_OUT:
            yield _with_vowels(word, voice)


def _said(text: str, voice: str) -> Pronunciation:
    return ipa_sounds("_".join(espeak.pronounce(text, voice)))


def _in_context(letter: str, voice: str) -> Pronunciation:
    """A word of one letter before another word, for alone it is the letter's name: Russian *в*."""
    one = espeak.pronounce("1", voice)
    both = espeak.pronounce(f"{letter} 1", voice)
    return ipa_sounds("_".join(both[: -len(one)])) if both[-len(one) :] == one else ()


def _number_readings(number: str) -> Iterator[str]:
    """A number as a whole, and digit by digit or in pairs: 1984, 555."""
    yield number
    if number.isdecimal() and len(number) >= _DIGITS_READ_SINGLY:
        yield " ".join(number)
        if len(number) == 4:
            yield f"{number[:2]} {number[2:]}"


def _with_vowels(word: str, voice: str) -> Pronunciation:
    """A word with the vowels that its script leaves out: short ones of any colour.

    One stands between every two consonants; a glottal stop only carries one.
    """
    sounds = ipa_sounds("_".join(espeak.pronounce(word, voice)).replace("ʔ", "a"))
    full: list[Sound] = []
    for sound, following in itertools.zip_longest(sounds, sounds[1:]):
        full.append(sound)
        if following and not {sound.label, following.label} & VOWELS:
            full.append(_ANY_VOWEL)
    return tuple(full)


def _dictionary_entries(word: str) -> Iterator[Pronunciation]:
    known = _dictionary()
    found = known.get(word, ())
    if not found and word.endswith("'s"):
        yield from ((*sounds, *_arpabet("Z")) for sounds in _dictionary_entries(word[:-2]))
    elif not found and not _NUMERAL.fullmatch(word):
        shorter = dict.fromkeys(_DRAWN_OUT.sub(kept, word) for kept in (r"\1\1", r"\1"))
        found = [line for short in shorter if len(short) > 1 for line in known.get(short, ())]
    yield from (_arpabet(line) for line in found)


def _arpabet(phones: str) -> Pronunciation:
    return tuple(Sound(phone, (phone,)) for phone in phones.split())


@cache
def _dictionary() -> dict[str, list[str]]:
    """The 130,000 words of the CMU dictionary that PocketSphinx brings, and interjections."""
    words: dict[str, list[str]] = {}
    for line in Path(get_model_path("en-us/cmudict-en-us.dict")).read_text("utf-8").splitlines():
        name, _, phones = line.partition(" ")
        words.setdefault(name.partition("(")[0], []).append(phones)
    for name, phones in _INTERJECTIONS.items():
        words.setdefault(name, []).append(phones)
    return words
