# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from engine.core.errors import BadInputError
from engine.recognition.espeak import voices
from engine.recognition.language import guess_language, languages, reading_language, voice_of

WHISPER = """
en zh de es ru ko fr ja pt tr pl ca nl ar sv it id hi fi vi he uk el ms cs ro da hu ta no th ur
hr bg lt la mi ml cy sk te fa lv bn sr az sl kn et mk br eu is hy ne mn bs kk sq sw gl mr pa si
km sn yo so af oc ka be tg sd gu am yi lo uz fo ht ps tk nn mt sa lb my bo tl mg as tt haw ln ha
ba jw su yue
"""


def test_every_language_of_whisper_has_a_voice():
    assert {voice_of(code) for code in WHISPER.split()} <= set(voices())
    assert set(WHISPER.split()) <= set(languages())


def test_every_language_that_is_listed_has_a_voice():
    for code, name in languages().items():
        assert voice_of(code) in voices()
        assert name


@pytest.mark.parametrize(
    ("written", "voice"),
    [
        ("de-DE", "de"),
        ("pt_BR", "pt-br"),
        ("zh-Hans-CN", "cmn"),
        (" EN ", "en-us"),
        ("en-gb", "en"),
    ],
)
def test_codes_may_name_a_country(written, voice):
    assert voice_of(written) == voice


@pytest.mark.parametrize("code", ["xx", "", "klingonish", "-", "d e"])
def test_a_language_that_nobody_speaks_is_refused(code):
    with pytest.raises(BadInputError, match=r"languages|language") as refused:
        voice_of(code)
    assert "gaussianspeech languages" in refused.value.hint


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello", "en"), ("", "en"), ("1984!", "en"), ("привет", "ru"), ("γειά σου", "el"),
        ("שלום", "he"), ("مرحبا", "ar"), ("नमस्ते", "hi"), ("สวัสดี", "th"), ("ລາວ", "lo"),
        ("안녕", "ko"), ("你好", "zh"), ("今日は", "ja"), ("ｶﾅ", "ja"), ("ბარი", "ka"),
        ("Բարեւ", "hy"), ("ሰላም", "am"), ("မြန်မာ", "my"), ("ខ្មែរ", "km"),
        ("I said привет to you", "en"),
    ],
)  # fmt: skip
def test_a_text_tells_its_language_by_its_letters(text, language):
    assert guess_language(text) == language


@pytest.mark.parametrize(
    ("word", "language", "reader"),
    [
        ("hello", "ru", "en"), ("привет", "en", "ru"), ("мама", "uk", "uk"), ("hello", "de", "de"),
        ("你好", "ja", "ja"), ("你好", "ko", "zh"), ("hello", "sr", "sr"), ("1984", "ru", "ru"),
    ],
)  # fmt: skip
def test_a_word_in_other_letters_is_read_in_another_language(word, language, reader):
    assert reading_language(word, language) == reader
