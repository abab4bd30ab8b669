# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.phonemes import Phone, Word
from training.metrics.recognition import combined, recognition, word_errors

TRUE = [Phone("AA", 0.0, 0.5), Phone("M", 0.5, 1.0)]
WORDS = [Word("am", 0.0, 1.0)]


def test_phones_right_is_a_part_of_time():
    used = [Phone("AA", 0.0, 0.25), Phone("M", 0.25, 1.0)]
    assert recognition(TRUE, None, TRUE, (), 1.0).phones_right == 1.0
    assert recognition(used, None, TRUE, (), 1.0).phones_right == pytest.approx(0.75)
    assert recognition([], None, TRUE, (), 1.0).phones_right == 0.0


def test_silence_inside_words_is_a_part_of_their_time():
    used = [Phone("AA", 0.0, 0.25), Phone("M", 0.75, 2.0)]
    assert recognition(used, None, TRUE, WORDS, 2.0).silence_in_words == pytest.approx(0.5)
    assert recognition(used, None, TRUE, (), 2.0).silence_in_words is None
    pausing = [Phone("AA", 0.0, 0.25), Phone("SIL", 0.25, 0.75), Phone("M", 0.75, 1.0)]
    assert recognition(used, None, pausing, WORDS, 2.0).silence_in_words == 0.0


@pytest.mark.parametrize(
    ("found", "errors"),
    [
        ("we met him at 9", 0),
        ("WE MET HIM AT NINE", 0),
        ("we met at nine", 1),
        ("we met him there at nine", 1),
        ("he met her at nine", 2),
        ("", 5),
    ],
)
def test_words_are_replaced_left_out_or_added(found, errors):
    said = [Word(word, 0.0, 1.0) for word in ("We", "met", "him", "at", "nine")]
    words = [Word(word, 0.0, 1.0) for word in found.split()]
    assert recognition((), words, TRUE, said, 1.0).word_errors == errors
    assert recognition((), None, TRUE, said, 1.0).word_errors is None


@given(st.lists(st.sampled_from("abc"), max_size=7), st.lists(st.sampled_from("abc"), max_size=7))
def test_the_distance_is_that_of_the_definition(found, said):
    def distance(i, j):
        if not i or not j:
            return i + j
        replaced = distance(i - 1, j - 1) + (found[i - 1] != said[j - 1])
        return min(replaced, distance(i - 1, j) + 1, distance(i, j - 1) + 1)

    if len(found) + len(said) <= 9:
        assert word_errors(found, said) == distance(len(found), len(said))
    assert word_errors(found, said) == word_errors(said, found)


def test_clips_together_add_up():
    one = recognition(TRUE, WORDS, TRUE, WORDS, 1.0)
    other = recognition([], [], TRUE, WORDS, 1.0)
    both = combined([one, other])
    assert (both.steps, both.right, both.words, both.word_errors) == (200, 100, 2, 1)
    assert both.silence_in_words == 0.5
    assert combined([one, recognition([], None, TRUE, WORDS, 1.0)]).word_errors is None
