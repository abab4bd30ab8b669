# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from engine.motion.rules.targets import TRACT_VARIABLES, VISEMES
from engine.phonemes import ENGLISH, FOREIGN, OPEN_VOWELS, SIBILANTS, SILENCE, VOWELS

TONGUE = ("T", "D", "N", "L", "K", "G", "NG", "TH", "DH", "HH")
SMALL = ("OW", "UW", "UH", "W", "AO", "UE", "OE")


def test_every_sound_has_a_mouth():
    assert set(VISEMES) == ENGLISH | FOREIGN | {SILENCE}


def test_targets_are_measures_of_a_mouth():
    limits = {"opening": (0, 16), "jaw": (0, 16), "width": (-9, 9)}
    for mouths in VISEMES.values():
        for mouth in mouths:
            for name, target in zip(TRACT_VARIABLES, mouth, strict=True):
                low, high = limits.get(name, (0, 1))
                assert low <= target.value <= high
                assert 0 <= target.dominance <= 2.5


def test_tongue_sounds_leave_rounding_to_their_neighbours():
    for label in TONGUE:
        for mouth in VISEMES[label]:
            assert mouth.protrusion.dominance == 0


def test_sibilants_ask_for_a_narrower_jaw_than_any_vowel():
    narrowest = min(mouth.jaw.value for v in VOWELS for mouth in VISEMES[v])
    for label in SIBILANTS:
        assert VISEMES[label][0].jaw.value < narrowest


def test_open_vowels_drop_the_jaw_furthest():
    for label in OPEN_VOWELS:
        assert VISEMES[label][0].jaw.value > VISEMES["IY"][0].jaw.value


def test_rounding_is_a_smaller_opening_than_that_of_any_tongue_sound():
    least = min(VISEMES[label][0].opening.value for label in TONGUE)
    for label in SMALL:
        for mouth in VISEMES[label]:
            assert mouth.opening.value < 0.6 * least
            assert mouth.width.value < -4
