# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import codecs
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.phonemes import Phone, Word
from engine.recognition.segmentation import load_segmentation
from engine.recognition.text_grid import read_text_grid
from tests.engine.recognition.text_grids import PHONES, WORDS, long_form, short_form


@pytest.fixture
def grid(tmp_path):
    def write(content, encoding="utf-8"):
        path = tmp_path / "clip.TextGrid"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("grids")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "latin-1"])
@pytest.mark.parametrize("form", [short_form, long_form])
def test_both_forms_are_read_in_every_encoding(grid, form, encoding):
    content = form(("né", [('say "é"', 0, 1)]), PHONES).encode(encoding)
    if encoding == "utf-16-be":
        content = codecs.BOM_UTF16_BE + content
    first, second = read_text_grid(grid(content))
    assert first == ("né", (('say "é"', 0.0, 1.0),))
    assert second.name == "phones"
    assert second.intervals[1] == ("M", 0.2, 0.3)


def test_point_tiers_and_comments_are_passed_over(grid):
    points = '"TextTier" "bursts" 0 1 1 0.5 "p" ! of the lips "x" 3\n'
    content = short_form(PHONES).replace("<exists>\n1\n", f"<exists> ! two\n2\n{points}")
    assert [tier.name for tier in read_text_grid(grid(content))] == ["phones"]


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_any_label_comes_back(folder, label):
    path = folder / "clip.TextGrid"
    path.write_bytes(long_form(("words", [(label, 0, 1)])).encode())
    assert read_text_grid(path)[0].intervals[0].text == label.strip()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "ends before the file type"),
        ("<exists> 3", "file type is missing"),
        (b"ooBinaryFile\x08TextGrid\x00\x00", "ends before the file type"),
        (b"\xff\xfe" + b"\x00\xd8" * 3, "ends before the file type"),
        ('"ooTextFile" "PitchTier"', "'PitchTier', not a TextGrid"),
        ('"ooTextFile" "TextGrid" 0 1 <absent>', "no tiers"),
        (short_form(PHONES)[:-30], "ends before"),
        (short_form(PHONES).replace("0.5", "nan"), "is missing before|ends before"),
        (short_form(PHONES).replace("0.5", "1e999"), "is 1e999"),
        (short_form(PHONES).replace("0.5", "0.2"), "runs from 0.3 to 0.2"),
        (short_form(PHONES).replace("\n5\n", "\n-5\n"), "size of tier 'phones' is -5"),
        (short_form(PHONES).replace("\n5\n", "\n5.5\n"), "size of tier 'phones' is 5.5"),
        (short_form(PHONES).replace("\n5\n", "\n6\n"), "ends before .*interval 6"),
        (short_form(PHONES).replace('"IntervalTier"', '"Tier"'), "no tiers of kind 'Tier'"),
    ],
)
def test_what_is_no_text_grid_is_named_with_the_reason(grid, content, reason):
    with pytest.raises(BadInputError, match=reason) as caught:
        read_text_grid(grid(content))
    assert "clip.TextGrid" in str(caught.value)
    assert caught.value.hint


@given(st.binary(max_size=60), st.integers(0, 400))
def test_a_damaged_file_is_read_or_refused(folder, junk, at):
    path = folder / "clip.TextGrid"
    whole = long_form(WORDS, PHONES).encode()
    path.write_bytes(whole[:at] + junk + whole[at + len(junk) :])
    with contextlib.suppress(BadInputError):
        read_text_grid(path)


def test_an_alignment_has_phones_with_silences_words_and_a_transcript(grid):
    assert load_segmentation(grid(short_form(WORDS, PHONES)))[:3] == (
        (
            Phone("SIL", 0, 0.2), Phone("M", 0.2, 0.3), Phone("AE", 0.3, 0.5),
            Phone("P", 0.5, 0.6), Phone("SIL", 0.6, 1),
        ),
        (Word("map", 0.2, 0.6),),
        "map",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("phones", "words"),
    [
        ("Phones", "Words"),
        ("Anna - phones", "Anna - words"),
        ("MAU", "ORT-MAU"),
        ("phonemes (checked)", "word"),
        ("Segment", "Orthography"),
        ("tier 2", "tier 1"),
        ("tier 1", "tier 2"),
        ("sounds", "what is said"),
    ],
)
def test_tiers_are_found_by_name_or_by_what_is_in_them(grid, phones, words):
    tiers = [(phones, PHONES[1]), (words, WORDS[1]), ("sentences", [("", 0, 0.1), ("a b", 0.1, 1)])]
    found = load_segmentation(grid(short_form(*sorted(tiers))))
    assert [phone.label for phone in found.phones] == ["SIL", "M", "AE", "P", "SIL"]
    assert found.transcript == "map"


def test_phones_in_ipa_become_labels(grid):
    tier = [
        ("pʰ", 0, 0.1), ("aj", 0.1, 0.3), ("t͡ʃ", 0.3, 0.4), ("yː", 0.4, 0.5), ("ʔ", 0.5, 0.6),
        ("ow", 0.6, 0.7), ("b", 0.7, 0.8), ("mˠ", 0.8, 0.9), ("ts", 0.9, 1),
    ]  # fmt: skip
    for name in ("phones", "sounds"):
        found = load_segmentation(grid(short_form((name, tier))))
        expected = ["P", "AY", "CH", "UE", "HH", "OW", "B", "M", "T", "S"]
        assert [phone.label for phone in found.phones] == expected
        assert found.phones[-2:] == (Phone("T", 0.9, 0.95), Phone("S", 0.95, 1.0))


def test_speakers_in_turn_are_one_alignment_and_at_once_are_refused(grid):
    other = ("Ben - phones", [("", 0, 0.7), ("B", 0.7, 0.8), ("", 0.8, 1)])
    first = ("Anna - phones", PHONES[1])
    silent = ("Carl - phones", [])
    found = load_segmentation(grid(short_form(first, other, silent)))
    assert [phone.label for phone in found.phones] == ["SIL", "M", "AE", "P", "SIL", "B", "SIL"]
    with pytest.raises(BadInputError, match=r"at once at 0\.4 s"):
        load_segmentation(grid(short_form(first, ("Ben - phones", [("B", 0.4, 0.8)]))))


def test_sound_without_phones_is_no_silence(grid):
    """Aligners write words that they do not know as ``spn``."""
    tier = ("phones", [("M", 0, 0.2), ("spn", 0.2, 0.6), ("", 0.6, 1)])
    found = load_segmentation(grid(short_form(tier)))
    assert found.phones == (Phone("M", 0, 0.2), Phone("SIL", 0.6, 1))


@pytest.mark.parametrize(
    ("tiers", "reason"),
    [
        ([WORDS], "no phones; its tiers are 'words'"),
        ([], "no phones; its tiers are none"),
        ([("phones", [("", 0, 1)])], "no phones"),
        ([("phones", [("M", 0, 0.5), ("x1", 0.5, 1)])], "neither ARPAbet nor IPA: 'M', 'x1'"),
        ([("phones", [("@", 0, 0.5), ("t_h", 0.5, 1)])], "neither ARPAbet nor IPA: '@', 't_h'"),
    ],
)
def test_an_alignment_without_phones_is_refused(grid, tiers, reason):
    with pytest.raises(BadInputError, match=reason):
        load_segmentation(grid(short_form(*tiers)))
