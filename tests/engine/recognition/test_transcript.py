# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.recognition.pronunciation import pronunciations
from engine.recognition.transcript import spoken_words, written_words
from tests.conftest import REPOSITORY
from tests.counted_work import calls_of
from tests.waiting import PATIENCE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", "Hello world"),
        ("It's O'Neill’s dog.", "It's O'Neill's dog"),
        ("I have 3 cats", "I have 3 cats"),
        ("1,234 men", "1,234 men"),
        ("The 3rd of May at 10:30.", "The 3rd of May at 10:30"),
        ("3.5% of $20", "3.5 % of 20 $"),
        ("you & me @ home", "you & me @ home"),
        ("Müller, café, naïve, straße, Łódź", "Müller café naïve straße Łódź"),
        ("the BBC", "the BBC"),
        ("(laughs) Really? [door slams] <i>Yes</i>", "Really Yes"),
        ("*sighs* I know.", "I know"),
        ("Well. *clears throat* *coughs*\tYes! *laughs*", "Well Yes"),
        ("One\n*pauses*\nTwo… *sighs* three", "One Two three"),
        ('"Fine." (beat) *turns away* No.', "Fine No"),
        ("I *really* mean it. *Never* again!", "I really mean it Never again"),
        ("**really** *never* done * that", "really never done that"),
        ("*sighs", "sighs"),
        ("♪ la la ♪ [♪]", "la la"),
        ("well-known", "well known"),
        ("{beat} Really? {a\nlong one}", "Really"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", "Full width"),
        ("हिन्दी नमस्ते", "हिन्दी नमस्ते"),
        ("привет, как дела?", "привет как дела"),
        ("— … 😀 ***", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_text_becomes_the_words_that_are_said(text, words):
    assert spoken_words(text) == words.split()


@pytest.mark.parametrize(
    ("text", "language", "words"),
    [
        ("你好，世界！我在银行。", None, "你好 世 界 我 在 银行"),
        ("我用Python写3行", "zh", "我 用 Python 写 3 行"),
        ("東京へ行きました", None, "東京 へ 行き ました"),
        ("สวัสดีครับ", None, "ส วัส ดี ครับ"),
        ("ສະບາຍດີ", None, "ສະ ບາຍ ດີ"),
        ("안녕하세요 여러분", None, "안녕하세요 여러분"),
    ],
)
def test_scripts_without_spaces_are_cut(text, language, words):
    assert spoken_words(text, language) == words.split()


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('He said, "Hello" — it’s (oh) $ 5.', ["He", "said,", '"Hello" —', "it’s", "$ 5."]),
        ("你好，世界！", ["你好，", "世", "界！"]),
        ("well-known at 10:30", ["well-known", "at", "10:30"]),
    ],
)
def test_written_words_keep_their_punctuation(text, written):
    assert [word.text for word in written_words(text)] == written


@pytest.mark.parametrize(
    ("text", "optional"),
    [
        ("ANNA (V.O.): Please.\n- Mr. Big: no. He said: go.", "ANNA : Mr. Big:"),
        ("Remember: never.", "Remember:"),
        ("well, he said: go", ""),
        ("INT. KITCHEN - DAY\n\nBOB\nPlease. USA!\nCUT TO:", "INT. KITCHEN - DAY BOB CUT TO:"),
        ("PLEASE BRING IT\nBOB: NOW", "BOB:"),
        ("Well *sighs* I *never* did. 3 * 4 = 12", "*sighs* *never*"),
        ("明：你好", "明："),
    ],
)
def test_what_a_script_has_beside_what_is_said_is_optional(text, optional):
    words = written_words(text, "zh" if "明" in text else "en")
    assert " ".join(word.text for word in words if word.optional).removesuffix(" -") == optional


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80), st.sampled_from([None, "en", "de", "zh", "ja", "th", "ar"]))
def test_any_text_of_any_language_gives_words(text, language):
    for written in written_words(text, language):
        assert written.spoken
        for word in written.spoken:
            assert word.strip() == word != ""
            assert any(unicodedata.category(char)[0] in "LMNSP" for char in word)


def test_words_in_a_language_that_nobody_speaks_are_refused():
    with pytest.raises(BadInputError, match="'xx'"):
        spoken_words("Hello", "xx")


@pytest.mark.parametrize(
    "unit",
    ["word ", "a", "[", "(a", "$", "$1,", "1,", "1", "1st", "1a", "ア", "字", "ไ", "日本語",
     "你好世界", "a'", "ก็", "한국 ", "字1", "\ufe00", "*a", "*a*", ". *a", "\n*"],
)  # fmt: skip
def test_the_work_grows_with_the_text_and_no_faster_whatever_it_is(unit):
    def work(letters):
        for word in spoken_words(unit * (letters // len(unit))):
            pronunciations(word)

    work(1000)  # What is loaded once, and known from then on.
    assert calls_of(lambda: work(16_000), most=1_600_000) < 2.2 * calls_of(lambda: work(8000))


_SEARCHED = """
import sys
from engine.recognition.transcript import spoken_words

for unit in ("a", "*", ".*", ". *a*", "\\n ", "a'", "...", "[", "(", "<", "（", "【", "\ufe00"):
    spoken_words(unit * 2_000_000, "en")
"""
"""Texts that a careless pattern would search to their end from each of their letters."""


def test_brackets_that_are_never_closed_are_searched_once():
    # From each letter to the end of the text it would take hours.
    command = [sys.executable, "-c", _SEARCHED]
    subprocess.run(command, cwd=REPOSITORY, check=True, timeout=PATIENCE)
