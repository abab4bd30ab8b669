# SPDX-License-Identifier: GPL-3.0-or-later
"""Which language a text is in, and by which rules its words are read.

Codes are those that Whisper writes (ISO 639-1 as a rule: ``en``, ``de``, ``zh``), or espeak-ng's
own (``pt-br``, ``cmn``).
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from functools import lru_cache

from engine.core.errors import BadInputError
from engine.recognition import espeak

ENGLISH = "en"

_OTHER_CODES = {
    "br": ("fr", "Breton (as French)"),
    "en": ("en-us", "English"),
    "en-gb": ("en", "English (Great Britain)"),
    "fil": ("id", "Filipino (as Indonesian)"),
    "fo": ("is", "Faroese (as Icelandic)"),
    "gl": ("pt", "Galician (as Portuguese)"),
    "ha": ("sw", "Hausa (as Swahili)"),
    "iw": ("he", "Hebrew"),
    "jv": ("id", "Javanese (as Indonesian)"),
    "jw": ("id", "Javanese (as Indonesian)"),
    "kok": ("mr", "Konkani (as Marathi)"),
    "ln": ("sw", "Lingala (as Swahili)"),
    "mg": ("id", "Malagasy (as Indonesian)"),
    "mn": ("kk", "Mongolian (as Kazakh)"),
    "nn": ("nb", "Norwegian Nynorsk"),
    "no": ("nb", "Norwegian"),
    "oc": ("ca", "Occitan (as Catalan)"),
    "ps": ("fa", "Pashto (as Persian)"),
    "sa": ("hi", "Sanskrit (as Hindi)"),
    "sn": ("sw", "Shona (as Swahili)"),
    "so": ("om", "Somali (as Oromo)"),
    "su": ("id", "Sundanese (as Indonesian)"),
    "tg": ("ru", "Tajik (as Russian)"),
    "tl": ("id", "Tagalog (as Indonesian)"),
    "yi": ("he", "Yiddish (as Hebrew)"),
    "yo": ("sw", "Yoruba (as Swahili)"),
    "zh": ("cmn", "Chinese"),
    "bo": ("id", "Tibetan (letter by letter)"),
    "km": ("id", "Khmer (letter by letter)"),
    "lo": ("th", "Lao"),
}
"""Voice and name of codes that espeak-ng names otherwise, and of languages that it lacks: those
are read by the rules of one that writes the same sounds with the same letters."""

_READERS = {
    "CYRILLIC": "ru uk be bg mk sr kk ky tt ba cv mn tg uz nog",
    "GREEK": "el grc",
    "HEBREW": "he iw yi",
    "ARABIC": "ar fa ur sd ps ug",
    "DEVANAGARI": "hi mr ne sa kok",
    "BENGALI": "bn as bpy",
    "GURMUKHI": "pa",
    "GUJARATI": "gu",
    "ORIYA": "or",
    "TAMIL": "ta",
    "TELUGU": "te",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "SINHALA": "si",
    "THAI": "th",
    "LAO": "lo",
    "MYANMAR": "my shn",
    "TIBETAN": "bo",
    "KHMER": "km",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy hyw",
    "ETHIOPIC": "am ti",
    "CHEROKEE": "chr",
    "HANGUL": "ko",
    "KANA": "ja",
    "CJK": "zh ja yue cmn",
}
"""Languages that write in a script other than Latin's; the first where nothing else is known."""

_LATIN_TOO = {"sr", "uz", "ku", "ug", "kk", "tt"}
"""Those of them that are written in Latin letters as well."""


def languages() -> dict[str, str]:
    """Name by code of every language, in the order of the codes."""
    names = {code: voice.name for code, voice in espeak.voices().items()}
    return dict(sorted((names | {code: name for code, (_, name) in _OTHER_CODES.items()}).items()))


def voice_of(language: str) -> str:
    """The voice of espeak-ng that reads a language.

    Args:
        language: a key of :func:`languages`, or such with a country or a script behind it.

    Raises:
        BadInputError: there is no such language.
    """
    code = language.strip().lower().replace("_", "-")
    voices = espeak.voices()
    while code:
        if code in _OTHER_CODES:
            return _OTHER_CODES[code][0]
        if code in voices:
            return code
        code = code.rpartition("-")[0]
    raise BadInputError(
        f"There is no language {language!r}.",
        "Give a code such as en, de, fr, es, ru, ar, hi, zh or ja; 'gaussianspeech languages' "
        "lists all.",
    )


def guess_language(text: str) -> str:
    """The language that a text is likely in, judged by its script; English for Latin letters."""
    scripts = Counter(script for char in text if (script := script_of(char)))
    if scripts["KANA"]:
        return "ja"
    common = max(scripts, key=lambda script: scripts[script], default="LATIN")
    return _READERS.get(common, ENGLISH).split()[0]


def reading_language(word: str, language: str) -> str:
    """The language by whose rules a word is read inside a text of ``language``.

    That is ``language``, unless the word is in letters that it is not written in.
    """
    script = next((script for char in word if (script := script_of(char))), "")
    base = language.partition("-")[0]
    readers = _READERS.get(script, "").split()
    if readers:
        return language if base in readers else readers[0]
    foreign = any(base in readers.split() for readers in _READERS.values()) and script == "LATIN"
    return ENGLISH if foreign and base not in _LATIN_TOO else language


def read_by_name(word: str) -> bool:
    """Whether a word's letters are known to no voice."""
    script = next((script for char in word if (script := script_of(char))), "LATIN")
    return script in _NO_VOICE or (script != "LATIN" and script not in _READERS)


_NO_VOICE = {"CHEROKEE", "KHMER", "MYANMAR", "TIBETAN"}
"""Scripts that espeak-ng has not, or reads without their vowels."""


@lru_cache(maxsize=8192)
def script_of(char: str) -> str:
    """The script of a letter, the first word of its Unicode name; empty for other characters."""
    char = unicodedata.normalize("NFKC", char)[:1]
    if unicodedata.category(char)[0] not in "LM":
        return ""
    name = unicodedata.name(char, "").split(" ")[0]
    return _SAME_SCRIPT.get(name, name)


_SAME_SCRIPT = {
    "HIRAGANA": "KANA",
    "KATAKANA": "KANA",
    "KATAKANA-HIRAGANA": "KANA",
    "IDEOGRAPHIC": "CJK",
    **dict.fromkeys(("COMBINING", "MODIFIER", "VARIATION"), ""),
}
"""First words of names that are not those of a script."""
