# SPDX-License-Identifier: GPL-3.0-or-later
"""Which tiers of a TextGrid are phones and words, and what their labels mean.

Tiers are found by name as aligners write them (``phones``, ``Anna - phones``, ``MAU``; ``words``,
``ORT-MAU``), else by what their labels are. Phones are ARPAbet throughout a tier, or IPA.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

# Inside Blender the package round these has a name of Blender's choosing.
from ..core.errors import BadInputError  # noqa: TID252
from ..ipa import ipa_labels  # noqa: TID252
from ..phonemes import SILENCE, Phone, Word, normalize_label  # noqa: TID252
from .text_grid import Interval, Tier

_PHONE_TIERS = frozenset({"phone", "phones", "phoneme", "phonemes", "segment", "segments", "mau"})
_WORD_TIERS = frozenset({"word", "words", "ort", "orthography"})
_OTHER_TIERS = frozenset({"kan"})
"""WebMAUS's canonical pronunciations."""
_NO_SPEECH = re.compile(r"|sil|sp|spn|nsn|[<\[{(].*|[+].*[+]|[_.#*-]+", re.IGNORECASE)
"""Labels of silence and noise: ``sil``, ``sp``, ``<eps>``, ``[noise]``, ``+BREATH+``, ``<p:>``."""
_NOISE = frozenset({"spn", "nsn"})
"""Labels of sound that has no phones: unknown words, coughs."""
_UNKNOWN_WORD = "<unk>"
_OF_SPEAKER = re.compile(r"(?:^|\s*[-_/:]\s*)[^\W_]+$")
"""The end of a word tier's name after the speaker's: ``Anna - words``."""
_ROUNDING = 1e-6
_REMEDY = "Give a tier named 'phones' with labels of ARPAbet or IPA."
_GLIDE = re.compile("(?<=[aeoəɑɔʌɛ])[jw]$")
"""The end of a diphthong as the Montreal Forced Aligner writes it: ``aj``, ``ow``."""
_IPA_KINDS = frozenset({"Ll", "Lo", "Lm", "Mn", "Sk"})
_SOUNDS_A_PHONE = 1.3
_MOST_SOUNDS = 3
"""Sounds of one IPA label: an affricate with a glide."""


def is_word(label: str) -> bool:
    """Whether a label in a tier of words is one, not a silence or a noise."""
    return label == _UNKNOWN_WORD or not _NO_SPEECH.fullmatch(label)


def timed_sounds(interval: Interval) -> list[Phone]:
    """The sounds of a label by itself, which share its time; none where nobody knows it.

    Args:
        interval: its label ARPAbet's in any case, with or without stress, IPA, or a mark of silence
            (none, ``SIL``, ``sp``, ``+NSN+``, ``[noise]``).
    """
    label = interval.text
    if not is_word(label):
        return [Phone(SILENCE, interval.start, interval.end)]
    if not (_is_arpabet(label) or _ipa(label)):
        return []
    return _sounds(interval, arpabet=_is_arpabet(label))


def words_of(tiers: Sequence[Tier]) -> tuple[Word, ...]:
    """The words, in order; none where no tier has them."""
    found = _named(tiers, _WORD_TIERS)
    if not found:
        phones = _phone_tiers(tiers)
        most = max((len(tier.intervals) for tier in phones), default=0)
        others = [t for t in tiers if t not in phones and not _tokens(t) & _OTHER_TIERS]
        of_words = [tier for tier in others if 0 < len(_spoken(tier)) <= most and _one_each(tier)]
        found = sorted(of_words, key=lambda tier: -len(_spoken(tier)))[:1]
    return tuple(Word(*interval) for interval in _together(found))


def texts_of(tiers: Sequence[Tier]) -> dict[str, tuple[Interval, ...]]:
    """What is said when, by who says it: the name of a tier, or that before ``- words``.

    Of a speaker with a tier of sentences and one of words it is the sentences. A tier of words
    without a speaker's name is under no name; tiers of phones are left out.
    """
    words = _named(tiers, _WORD_TIERS)
    phones = [id(tier) for tier in _phone_tiers(tiers)]
    others = [t for t in tiers if id(t) not in phones and not _tokens(t) & _OTHER_TIERS]
    found: dict[str, tuple[Interval, ...]] = {}
    for tier in sorted(others, key=words.__contains__):
        speaker = _OF_SPEAKER.sub("", tier.name).strip() if tier in words else tier.name.strip()
        if said := _spoken(tier):
            found.setdefault(speaker, tuple(said))
    return found


def has_phones(tiers: Sequence[Tier]) -> bool:
    """Whether a tier has phones, known or not."""
    return bool(_together(_phone_tiers(tiers)))


def phones_of(tiers: Sequence[Tier], path: Path) -> tuple[Phone, ...]:
    """The phones, in order, ``SIL`` where nobody speaks; gaps where there is sound without phones.

    Args:
        tiers: of one file; several tiers of phones are those of speakers in turn.
        path: the file, for messages.

    Raises:
        BadInputError: no tier of phones, labels that nobody knows, or speakers at once.
    """
    found = _phone_tiers(tiers)
    spoken = _together(found)
    if not spoken:
        names = ", ".join(repr(tier.name) for tier in tiers) or "none"
        raise BadInputError(f"{path} has no phones; its tiers are {names}.", _REMEDY)
    arpabet = all(_is_arpabet(phone.text) for phone in spoken)
    unknown = dict.fromkeys(p.text for p in spoken if not (arpabet or _ipa(p.text)))
    if unknown:
        shown = ", ".join(repr(label) for label in list(unknown)[:5])
        raise BadInputError(
            f"{path} has phones that are neither ARPAbet nor IPA: {shown}.", _REMEDY
        )
    for before, after in pairwise(spoken):
        if after.start < before.end - _ROUNDING:
            raise BadInputError(
                f"Two speakers of {path} speak at once at {after.start:g} s.",
                "Give each speaker a recording and a TextGrid.",
            )
    every = [interval for tier in found for interval in tier.intervals]
    noises = [interval for interval in every if interval.text.casefold() in _NOISE]
    return _with_silences(spoken, noises, max(i.end for i in every), arpabet=arpabet)


def _with_silences(
    spoken: Sequence[Interval], noises: Sequence[Interval], last: float, *, arpabet: bool
) -> tuple[Phone, ...]:
    """The phones with silence wherever there is neither a phone nor a noise until ``last``."""
    phones: list[Phone] = []
    end = 0.0
    for interval in sorted([*spoken, *noises], key=lambda interval: interval.start):
        if interval.start > end + _ROUNDING:
            phones.append(Phone(SILENCE, end, interval.start))
        if interval.text.casefold() not in _NOISE:
            phones += _sounds(interval, arpabet=arpabet)
        end = max(end, interval.end)
    if last > end + _ROUNDING:
        phones.append(Phone(SILENCE, end, last))
    return tuple(phones)


def _phone_tiers(tiers: Sequence[Tier]) -> list[Tier]:
    named = _named(tiers, _PHONE_TIERS)
    if named:
        return named
    words = _named(tiers, _WORD_TIERS)
    of_phones = [tier for tier in tiers if tier not in words and _looks_like_phones(tier)]
    return sorted(of_phones, key=lambda tier: -len(tier.intervals))[:1]


def _looks_like_phones(tier: Tier) -> bool:
    labels = [phone.text for phone in _spoken(tier)]
    if not labels or all(map(_is_arpabet, labels)):
        return bool(labels)
    sounds = [_ipa(label) for label in labels]
    # Short words in IPA, or in the letters that it has, are several sounds each.
    return all(sounds) and sum(map(len, sounds)) <= _SOUNDS_A_PHONE * len(labels)


def _one_each(tier: Tier) -> bool:
    """Whether no interval holds several words."""
    return not any(" " in interval.text for interval in _spoken(tier))


def _sounds(interval: Interval, *, arpabet: bool) -> list[Phone]:
    """The sounds of a label, which share its time; most have one."""
    labels = (normalize_label(interval.text),) if arpabet else _ipa(interval.text)
    edges = np.linspace(interval.start, interval.end, len(labels) + 1).round(6).tolist()
    return [Phone(*sound) for sound in zip(labels, edges[:-1], edges[1:], strict=True)]


def _is_arpabet(label: str) -> bool:
    return normalize_label(label) != SILENCE


def _ipa(label: str) -> tuple[str, ...]:
    """The sounds of an IPA label; none where it is not one."""
    if any(unicodedata.category(char) not in _IPA_KINDS for char in label):
        return ()
    labels = ipa_labels(_GLIDE.sub(lambda glide: {"j": "ɪ", "w": "ʊ"}[glide[0]], label))
    # What moves nothing, a glottal stop, leaves the lips to its neighbours as HH does.
    return (labels or ("HH",)) if len(labels) <= _MOST_SOUNDS else ()


def _named(tiers: Sequence[Tier], names: Collection[str]) -> list[Tier]:
    """The tiers whose name has one of the words, and no earlier kind's."""
    words_first = _WORD_TIERS if names is _PHONE_TIERS else frozenset[str]()
    return [
        tier
        for tier in tiers
        if _tokens(tier) & frozenset(names) and not _tokens(tier) & (words_first | _OTHER_TIERS)
    ]


def _tokens(tier: Tier) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W\d_]+", tier.name.casefold()))


def _spoken(tier: Tier) -> list[Interval]:
    return [interval for interval in tier.intervals if is_word(interval.text)]


def _together(tiers: Sequence[Tier]) -> list[Interval]:
    spoken = [interval for tier in tiers for interval in _spoken(tier)]
    return sorted(spoken, key=lambda interval: interval.start)
