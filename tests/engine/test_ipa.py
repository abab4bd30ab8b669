# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import unicodedata

import pytest

from engine.ipa import ipa_labels, ipa_sounds
from engine.phonemes import BILABIALS, ENGLISH, FOREIGN, LABIODENTALS


@pytest.mark.parametrize(
    ("ipa", "labels"),
    [
        ("h_ə_l_ˈoʊ", "HH AH L OW"),
        ("ʃ_ˈøː_n", "SH OE N"),
        ("t_ˈyː_ɾ", "T UE D"),
        ("a_β_ˈo", "AA BH OW"),
        ("a_ɪ", "AA IH"),
        ("ˈaɪ", "AY"),
        ("pf_ˈaʊ", "P F AW"),
        ("ph_ˈɑ", "P AA"),
        ("tɕh_i", "T S IY"),
        ("tʃʲ", "CH"),
        ("t͡ʃ", "CH"),
        ("s._i.ɜ", "SH IH"),
        ("n_ˈɑɜ_ŋ", "N AA NG"),
        ("b_ˈɜː_d", "B ER D"),
        ("h_ˈʊ_n_d_ɜ", "HH UH N D AH"),
        ("õɪ̃", "OY"),
        ("r̝̊", "Z"),
        ("kʼ_a˥", "K AA"),
        ("ʘ_a", "P AA"),
        ("ʔ", ""),
        ("", ""),
    ],
)
def test_ipa_becomes_labels(ipa, labels):
    assert ipa_labels(ipa) == tuple(labels.split())


@pytest.mark.parametrize(
    ("ipa", "group"),
    [
        ("p b m ɓ ʙ ʘ pʰ bʱ mʲ pʼ p͡f", BILABIALS),
        ("f v ʋ ɱ", LABIODENTALS),
        ("β ɸ", {"BH"}),
        ("y ʏ ɥ", {"UE"}),
        ("ø œ ɵ", {"OE"}),
    ],
)
def test_what_the_lips_do_is_kept(ipa, group):
    for symbol in ipa.split():
        assert ipa_labels(symbol)[0] in group, symbol


def test_the_r_of_other_languages_rounds_no_lips():
    assert ipa_labels("ɹ") == ("R",)
    assert not {"R"} & {label for ipa in ("r", "ɾ", "ʁ", "ʀ", "ɽ") for label in ipa_labels(ipa)}


def test_every_sound_is_like_some_english_one():
    for code in range(0x61, 0x2B0):
        for sound in ipa_sounds(chr(code)):
            assert sound.label in ENGLISH | FOREIGN
            assert sound.acoustic
            assert set(sound.acoustic) <= ENGLISH


def test_the_table_knows_every_letter_of_the_ipa():
    """But for those of sounds that espeak-ng has no name for either."""
    chart = (
        "p b t d ʈ ɖ c ɟ k ɡ q ɢ ʔ m ɱ n ɳ ɲ ŋ ɴ ʙ r ʀ ɾ ɽ ɸ β f v θ ð s z ʃ ʒ ʂ ʐ ç ʝ x ɣ χ ʁ ħ ʕ "
        "h ɦ ɬ ɮ ʋ ɹ ɻ j ɰ l ɭ ʎ ʟ ʘ ǀ ǃ ǂ ǁ ɓ ɗ ɠ ʛ w ʍ ɥ ɕ ʑ i y ɨ ʉ ɯ u ɪ ʏ ʊ e ø ɘ ɵ ɤ o ə ɛ œ "
        "ɜ ʌ ɔ æ ɐ a ɶ ɑ ɒ"
    )
    unknown = [symbol for symbol in chart.split() if symbol != "ʔ" and not ipa_labels(symbol)]
    assert not unknown
    assert all(unicodedata.category(symbol[0])[0] == "L" for symbol in chart.split())
