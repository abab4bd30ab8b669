# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.phonemes import ENGLISH, FOREIGN
from engine.recognition.language import languages
from engine.recognition.pronunciation import (
    _dictionary,
    _said,
    beginning,
    pronunciations,
    pronunciations_in_context,
)
from engine.recognition.senones import acoustic_model
from engine.recognition.thai import syllables
from engine.recognition.transcript import spoken_words


def labels(word, language="en"):
    return [" ".join(s.label for s in said) for said in pronunciations(word, language)]


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40), st.sampled_from(sorted(languages())))
def test_any_word_of_any_language_has_sounds_that_can_be_aligned(text, language):
    for word in spoken_words(text, language):
        for said in pronunciations(word, language):
            assert said
            assert {sound.label for sound in said} <= ENGLISH | FOREIGN
            assert {name for s in said for name in s.acoustic} <= {*acoustic_model().labels} - {
                "SIL"
            }


def test_the_dictionary_gives_all_pronunciations():
    assert labels("Read") == ["R EH D", "R IY D"]


@pytest.mark.parametrize(
    ("word", "language", "same"),
    [("Nguyễn", "en", "nguyen"), ("Phở", "de", "pho"), ("Ṭhākur", "fr", "thākur")],
)
def test_letters_that_a_voice_does_not_know_are_read_without_their_marks(word, language, same):
    assert labels(word, language) == labels(same, language)
    context = pronunciations_in_context([word, word], language)
    assert context == pronunciations_in_context([same, same], language)


def test_letters_with_marks_that_a_voice_knows_keep_them():
    assert labels("Phở", "vi") != labels("pho", "vi")
    assert labels("Müller", "de") != labels("muller", "de")


@pytest.mark.parametrize(
    ("letters", "language", "said"),
    [
        ("W", "en", "W"),
        ("th", "en", "TH"),
        ("kn", "en", "N"),
        ("st", "de", "SH T"),
        ("п", "ru", "P"),
        ("o", "en", ""),
        ("so", "en", ""),
        ("5", "en", ""),
        ("我", "zh", ""),
    ],
)
def test_a_broken_off_word_begins_with_its_consonants(letters, language, said):
    assert " ".join(sound.label for sound in beginning(letters, language)) == said


def test_capitals_may_be_a_word_or_an_abbreviation():
    assert labels("US") == ["AH S", "Y UW EH S"]
    assert "B IY B IY S IY" in labels("BBC")
    assert "B EH EH M V EH" in labels("BMW", "de")


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("wug", "W AH G"),
        ("phobic", "F OW B IH K"),
        ("zumble", "Z AH M B AH L"),
        ("frape", "F R EY P"),
        ("knibbing", "N IH B IH NG"),
        ("Vladimir's", "V L AE D AH M IH R Z"),
    ],
)
def test_unknown_english_words_are_read_by_espeak(word, said):
    assert labels(word)[0] == said


@pytest.mark.parametrize(
    ("word", "said"),
    [
        *(("Mmm", ["M"]), ("mmmmm", ["M"]), ("brrr", ["B ER"]), ("Pst", ["P S T"])),
        *(("Nooo", ["N OW"]), ("whaaat", ["W AH T", "HH W AH T"]), ("ummm", ["AH M"])),
        *(("sooo", ["S UW", "S OW"]), ("ahhhh", ["AA"])),
    ],
)
def test_interjections_and_words_that_are_drawn_out_are_not_spelled(word, said):
    assert labels(word) == said


@pytest.mark.parametrize(("word", "wrong"), [("www", "D AH B AH L Y UW"), ("XXX", "EH K S")])
def test_letters_and_numerals_are_not_taken_for_words_that_are_drawn_out(word, wrong):
    assert wrong not in labels(word)


def test_espeak_shapes_the_lips_as_the_dictionary_does():
    lips = {"P", "B", "M", "F", "V", "W"}
    words = sorted(word for word in _dictionary() if word.isalpha())[::60]
    right = 0
    for word in words:
        said = [sound.label for sound in _said(word, "en-us") if sound.label in lips]
        right += any([p for p in e.split() if p in lips] == said for e in _dictionary()[word])
    assert right / len(words) > 0.96


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("1984", "N AY N T IY N EY D IY F AO R"),
        ("555", "F AY V F AY V F AY V"),
        ("555", "F AY V HH AH N D R IH D F IH F T IY F AY V"),
        ("3rd", "TH ER D"),
        ("10:30", "T EH N TH ER D IY"),
        ("3.5", "TH R IY P OY N T F AY V"),
    ],
)
def test_numbers_are_read_in_the_ways_people_say_them(number, said):
    assert said in labels(number)


@pytest.mark.parametrize(
    ("word", "language", "said"),
    [
        ("schön", "de", "SH OE N"),
        ("20", "de", "T S V AA N T S IH K"),
        ("lune", "fr", "L UE N"),
        ("abogado", "es", "AA BH OW G AA DH OW"),
        ("в", "ru", "V"),
        ("y", "fr", "IY"),
        ("wpływ", "pl", "F P W IH F"),
        ("你好", "zh", "N IY HH AW"),
        ("东京", "zh", "T OW NG T S IY NG"),
        ("東京", "ja", "T AO UH K AO UH"),
        ("は", "ja", "W AA"),
        ("今日は", "ja", "K AO N N IY T S IY W AA"),
        ("ครับ", "th", "K D AA P"),
        ("מרחב", "he", "M AH D AH HH AH V"),
        ("مرحبا", "ar", "M AH D AH HH AH B AA"),
        ("မြန်မာ", "my", "M D AA N M AA AA"),
        ("ខ្មែរ", "km", "K M AA EH D OW"),
        ("ᏣᎳᎩ", "chr", "T S AA L AA G IY"),
        ("hello", "ja", "HH AH L OW"),
        ("привет", "en", "P D IY V EH T"),
    ],
)
def test_other_languages_are_read_in_their_own_way(word, language, said):
    assert said in labels(word, language)


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("สวัสดี", "ส วัส ดี"),
        ("ประเทศไทย", "ประ เทศ ไทย"),
        ("ผมชอบกินข้าว", "ผม ชอบ กิน ข้าว"),
        ("ความรัก", "ความ รัก"),
        ("โรงเรียน", "โรง เรียน"),
        ("ສະບາຍດີ", "ສະ ບາຍ ດີ"),
    ],
)
def test_thai_and_lao_are_cut_into_syllables(text, cut):
    assert [written for written, _ in syllables(text)] == cut.split()


@pytest.mark.parametrize(
    ("syllable", "ipa"),
    [("เปิด", "p_ɤ_t"), ("เพื่อน", "p_ɯ_a_n"), ("เรา", "r_a_w"), ("น้ำ", "n_a_m"), ("หมา", "m_a"),
     ("อยู่", "j_u"), ("จันทร์", "tɕ_a_n"), ("กรรม", "k_a_m"), ("เป็น", "p_e_n"), ("ບໍ່", "b_ɔ")],
)  # fmt: skip
def test_thai_vowels_are_read_round_their_consonant(syllable, ipa):
    assert syllables(syllable) == [(syllable, ipa)]


@pytest.mark.parametrize(
    ("text", "language", "number", "said"),
    [
        ("bajo un puente", "es", 1, "UW M"),
        ("lobo bebe", "es", 1, "BH EH BH EH"),
        ("les amis", "fr", 0, "L EH Z"),
        ("в доме", "ru", 0, "V"),
        ("मेरी माँ", "hi", 1, "M AA"),
        ("the boat", "en", 0, "DH AH"),
    ],
)
def test_neighbours_change_sounds(text, language, number, said):
    options = pronunciations_in_context(text.split(), language)[number]
    assert " ".join(sound.label for sound in options[0]) == said
    assert set(pronunciations(text.split()[number], language)) <= set(options)


@pytest.mark.parametrize(
    ("text", "language"),
    [("東 京 日", "ja"), ("ส วัส ดี", "th"), ("ສະ ບາຍ", "lo"), ("မြန် မာ", "my"), ("ខ្មែរ ខ្មែរ", "km")],
)
def test_letters_that_espeak_misreads_are_read_as_alone(text, language):
    words = text.split()
    assert pronunciations_in_context(words, language) == [
        pronunciations(word, language) for word in words
    ]
