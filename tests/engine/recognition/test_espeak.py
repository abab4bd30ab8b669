# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import espeakng_loader
import pytest

from engine import ipa
from engine.core.errors import MissingDependencyError
from engine.recognition import espeak
from engine.recognition.espeak import pronounce, voices

WORDS = {"de": "schön", "fr": "lune", "ru": "привет", "es": "abogado", "cmn": "你好", "pl": "wpływ"}

SCRIPTS = {
    "en-us": (0x61, 0x7A), "ru": (0x430, 0x44F), "el": (0x3B1, 0x3C9), "ar": (0x621, 0x64A),
    "he": (0x5D0, 0x5EA), "hi": (0x905, 0x939), "bn": (0x985, 0x9B9), "ta": (0xB85, 0xBB9),
    "te": (0xC05, 0xC39), "kn": (0xC85, 0xCB9), "ml": (0xD05, 0xD39), "si": (0xD85, 0xDC6),
    "gu": (0xA85, 0xAB9), "pa": (0xA05, 0xA39), "or": (0xB05, 0xB39), "ka": (0x10D0, 0x10F0),
    "hy": (0x561, 0x586), "am": (0x1200, 0x1357), "ko": (0xAC00, 0xAC80), "ja": (0x3041, 0x3094),
    "cmn": (0x4E00, 0x4F00), "yue": (0x4E00, 0x4F00), "vi": (0x61, 0x7A), "cs": (0x61, 0x17F),
}  # fmt: skip
"""Some letters of scripts that are not Latin's, and of Latin's with signs."""


def unmapped(said):
    """Letters of a transcription that the table of sounds lacks."""
    text = unicodedata.normalize("NFD", said)
    return {c for c in text if unicodedata.category(c) in {"Ll", "Lo", "Lu"}} - set(ipa._sounds())


def test_a_hundred_languages_can_be_pronounced():
    assert len(voices()) > 120
    assert {"de", "en-us", "pt-br", "cmn", "ja", "hi", "ar", "sw", "chr"} <= set(voices())


@pytest.mark.parametrize("word", WORDS.values())
def test_words_become_ipa(word):
    language = next(code for code, said in WORDS.items() if said == word)
    assert pronounce(word, language)


@pytest.mark.parametrize("voice", sorted(voices()))
def test_every_symbol_of_every_language_is_in_the_table(voice):
    numbers = [str(n) for n in (*range(31), 40, 50, 60, 70, 80, 90, 100, 1000, 1984, 1_000_000)]
    letters = [
        chr(code)
        for code in range(SCRIPTS.get(voice, (0, -1))[0], SCRIPTS.get(voice, (0, -1))[1] + 1)
    ]
    syllables = [c + v for c in "bcdfghjklmnpqrstvwxyz" for v in "aeiouyäöüåøæœéèêëąęěőű"]
    text = [*numbers, *letters, *map("".join, itertools.pairwise(letters)), *syllables]
    said = [ipa for word in text for ipa in pronounce(word, voice)]
    assert said
    assert set().union(*map(unmapped, said)) == set()


def test_other_rules_within_a_word_leave_no_mark():
    assert not any(set("()") & set(ipa) for ipa in pronounce("hello", "ru"))


@pytest.mark.parametrize("text", ["", " ", "\0", "\ud800", "...", "\n"])
def test_nothing_to_say_is_nothing(text):
    assert pronounce(text, "en-us") == []


def test_threads_do_not_mix_their_voices():
    alone = {code: pronounce(word, code) for code, word in WORDS.items()}
    with ThreadPoolExecutor(8) as pool:
        jobs = [
            (code, pool.submit(pronounce, WORDS[code], code)) for _ in range(200) for code in WORDS
        ]
    assert all(job.result() == alone[code] for code, job in jobs)


@pytest.mark.parametrize("folder", ["empty", "long"])
def test_data_that_cannot_be_read_are_an_error_that_names_the_package(tmp_path, folder):
    """In a process of its own: espeak-ng would end it, or take what it loaded before."""
    data = tmp_path / "empty"
    data.mkdir()
    if folder == "long":
        data = tmp_path / ("x" * 200)
        data.symlink_to(espeakng_loader.get_data_path(), target_is_directory=True)
    script = (
        "import sys, espeakng_loader\n"
        "espeakng_loader.get_data_path = lambda: sys.argv[1]\n"
        "from engine.core.errors import MissingDependencyError\n"
        "from engine.recognition.espeak import voices\n"
        "try:\n    voices()\n"
        "except MissingDependencyError as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(data)], capture_output=True, text=True, check=True
    )
    assert "espeakng-loader" in done.stdout


def test_a_missing_package_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    with pytest.raises(MissingDependencyError, match="espeakng-loader"):
        espeak._library.__wrapped__()
