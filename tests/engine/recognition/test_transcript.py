# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.recognition.pronunciation import pronunciations
from engine.recognition.senones import acoustic_model
from engine.recognition.transcript import spoken_words, written_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", "hello world"),
        ("It's O'Neill’s dog.", "it's o'neill's dog"),
        ("I have 3 cats", "i have three cats"),
        ("In 1984", "in nineteen eighty four"),
        ("1,234 men", "one thousand two hundred and thirty four men"),
        ("The 3rd of May at 10:30", "the third of may at ten thirty"),
        ("3.5% of $20", "three point five percent of twenty dollars"),
        ("you & me @ home", "you and me at home"),
        ("version 1.2.3", "version one two three"),
        ("Müller, café, naïve, straße, Łódź", "muller cafe naive strasse lodz"),
        ("the BBC", "the BBC"),
        ("(laughs) Really? [door slams]", "really"),
        ("well-known", "well known"),
        ("— … 😀 ***", ""),
    ],
)  # fmt: skip
def test_text_becomes_the_words_that_are_said(text, words):
    assert spoken_words(text) == words.split()


@pytest.mark.parametrize(
    ("text", "romanised"),
    [
        ("привет", "privet"),
        ("Ελλάδα", "ellada"),
        ("안녕", "annyeong"),
        ("かな", "kana"),
        ("مرحبا", "mrhb"),
        ("Жизнь", "zhizn"),
        ("हिन्दी", "hindi"),
    ],
)
def test_other_scripts_are_romanised(text, romanised):
    assert spoken_words(text) == [romanised]


def test_each_ideograph_is_a_word():
    assert spoken_words("你好，世界") == ["ni", "hao", "shi", "jie"]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80))
def test_any_text_gives_words_of_plain_letters(text):
    for word in spoken_words(text):
        assert re.fullmatch(r"[a-z]+('[a-z]+)*'*|[A-Z']+|[a-z']+", word), word


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet="0123456789.,:%$£€stndrh ", max_size=40))
def test_any_number_can_be_read_out(text):
    assert all(not re.search(r"\d", word) for word in spoken_words(text))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_any_word_has_a_pronunciation_in_the_models_phones(text):
    phones = {*acoustic_model().labels} - {"SIL"}
    for word in spoken_words(text):
        said = pronunciations(word)
        assert said or not re.search("[A-Za-z]", word) or re.fullmatch("(?i)[eghw']+", word)
        assert all(set(option) <= phones and option for option in said)


def test_the_dictionary_gives_all_pronunciations():
    assert pronunciations("read") == (("R", "EH", "D"), ("R", "IY", "D"))


def test_capitals_may_be_a_word_or_an_abbreviation():
    assert set(pronunciations("US")) >= {("AH", "S"), ("Y", "UW", "EH", "S")}


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("wug", "W AH G"),
        ("blorp", "B L AO R P"),
        ("phobic", "F OW B IH K"),
        ("zumble", "Z AH M B AH L"),
        ("frape", "F R EY P"),
        ("knibbing", "N IH B IH NG"),
    ],
)
def test_unknown_words_are_pronounced_by_rule(word, phones):
    assert " ".join(pronunciations(word)[0]) == phones


def test_the_rules_shape_the_lips_as_the_dictionary_does():
    from engine.recognition.pronunciation import _dictionary, by_rule

    lips = {"P", "B", "M", "F", "V", "W"}
    words = sorted(word for word in _dictionary() if word.isalpha())[::60]
    right = sum(
        any(
            [p for p in by_rule(word) if p in lips] == [p for p in line.split() if p in lips]
            for line in _dictionary()[word]
        )
        for word in words
    )
    assert right / len(words) > 0.96


@pytest.mark.parametrize("unit", ["word ", "a", "[", "(a", "$", "$1,", "1,", "1st", "ア"])
def test_ten_minutes_of_text_become_words_in_seconds_whatever_it_is(unit):
    started = time.perf_counter()
    for word in spoken_words(unit * (30_000 // len(unit))):
        pronunciations(word)
    assert time.perf_counter() - started < 10


def test_written_words_keep_their_punctuation_and_say_how_they_are_spoken():
    words = written_words("“Hello,” she said — 10:30 (laughs loudly) or $ 5?")
    assert [word.text for word in words] == ["“Hello,”", "she", "said —", "10:30", "or", "$ 5?"]
    assert words[3].spoken == ("ten", "thirty")
    assert words[5].spoken == ("five", "dollars")
