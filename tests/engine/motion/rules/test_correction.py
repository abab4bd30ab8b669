# SPDX-License-Identifier: GPL-3.0-or-later
"""The rules with what filmed lips add to them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings

from engine.core.errors import BadInputError
from engine.core.timing import frame_count
from engine.motion.lip_contact import fit_mouth_close
from engine.motion.retargeting import arkit_gap
from engine.motion.rules import visemes
from engine.motion.rules.contacts import phones_in_silence
from engine.motion.rules.correction import INPUTS, OFFSETS, OUTPUTS, LipCorrection, lip_correction
from engine.motion.rules.visemes import articulate, viseme_intervals
from engine.phonemes import BETWEEN, BILABIALS, OPEN_VOWELS
from tests.engine.motion.known_phones import articulated, contacts_of
from tests.engine.motion.rules.test_visemes import FPS, SEQUENCE, gap, said, timed, width


def corrected(phones, frames, fps, by=None, **options):
    known = phones_in_silence(phones, frames / fps)
    contacts = contacts_of(phones, frames, fps)
    return articulate(known, contacts, fps, correction=by or lip_correction(), **options)


def numbers(constant=(0.0, 0.0), **kernels):
    """A correction of the kernels that are named ``OUTPUT_INPUT``."""
    found = np.zeros((len(OUTPUTS), len(OFFSETS), len(INPUTS)))
    for name, kernel in kernels.items():
        output, source = name.split("_")
        found[OUTPUTS.index(output), :, INPUTS.index(source)] = kernel
    return LipCorrection(np.array(constant), found)


def now(value):
    """A kernel of what is spoken at the time itself."""
    return np.where(OFFSETS == 0, value, 0.0)


@given(SEQUENCE, FPS)
@settings(deadline=None)
def test_without_numbers_the_curves_are_those_of_the_rules(sequence, fps):
    phones = timed(sequence)
    frames = frame_count(phones[-1].end, fps)
    np.testing.assert_array_equal(
        corrected(phones, frames, fps, numbers()), articulated(phones, frames, fps)
    )


def test_the_intervals_of_the_visemes_are_made_once(monkeypatch):
    made = []

    def counted(*known):
        made.append(viseme_intervals(*known))
        return made[-1]

    monkeypatch.setattr(visemes, "viseme_intervals", counted)
    corrected(said("M", "AA"), 25, 25.0)
    assert len(made) == 1


@given(SEQUENCE, FPS)
@settings(deadline=None)
def test_lips_close_and_reach_the_teeth_as_by_the_rules(sequence, fps):
    phones = timed(sequence)
    frames = frame_count(phones[-1].end, fps)
    made, rules = corrected(phones, frames, fps), articulated(phones, frames, fps)
    assert made.min() >= 0
    assert made.max() <= 1
    contacts = contacts_of(phones, frames, fps)
    held = (contacts.closure == 1.0) | (contacts.labiodental == 1.0) | (contacts.activity == 0.0)
    np.testing.assert_allclose(made[held], rules[held], atol=1e-6)


@pytest.mark.parametrize("bilabial", sorted(BILABIALS))
@pytest.mark.parametrize("vowel", sorted(OPEN_VOWELS))
def test_vowels_stay_open_between_closures(head, bilabial, vowel):
    phones = said(bilabial, vowel, bilabial, length=0.12)
    frames = frame_count(phones[-1].end, 25.0)
    contacts = contacts_of(phones, frames, 25.0)
    curves = corrected(phones, frames, 25.0)
    fitted = fit_mouth_close(curves, arkit_gap(head), contacts.closure)
    apart = arkit_gap(head).apart(fitted).max(axis=1) * 1000
    middle = round((phones[2].start + phones[2].end) / 2 * 25)
    assert apart[contacts.closure == 1.0].max() < 0.1
    assert apart[middle - 1 : middle + 2].max() > 3.0


def test_a_sound_opens_and_widens_the_lips_by_its_kernels(head):
    phones = said("T", "EH", "T", length=0.3)
    frames = frame_count(phones[-1].end, 100.0)
    by = numbers(opening_EH=now(2.0), width_EH=now(-1.5))
    made, rules = corrected(phones, frames, 100.0, by), articulated(phones, frames, 100.0)
    middle = round((phones[2].start + phones[2].end) / 2 * 100)
    opened = (gap(head, made) - gap(head, rules))[middle]
    assert opened == pytest.approx(4.0 * np.tanh(0.5), abs=0.4)
    assert (width(head, made) - width(head, rules))[middle] == pytest.approx(-1.4, abs=0.4)
    far = round(phones[0].end * 100) - 5
    np.testing.assert_allclose(made[far], rules[far], atol=1e-6)


def test_a_kernel_reaches_as_far_as_its_offsets():
    phones = said("T", "EH", "T", length=0.3)
    spoken = phones_in_silence(phones, phones[-1].end)
    ahead = numbers(opening_EH=np.where(OFFSETS == 24, 1.0, 0.0))
    found = ahead(spoken, np.zeros((round(phones[-1].end * 100), 2)))[:, 0]
    times = np.flatnonzero(found > 0.5) / 100
    assert times.min() == pytest.approx(phones[2].start - 0.24, abs=0.011)
    assert times.max() == pytest.approx(phones[2].end - 0.24, abs=0.011)


def test_no_correction_closes_lips_or_tears_them_open(head):
    phones = said("T", "AH", "OW", "W", length=0.2)
    frames = frame_count(phones[-1].end, 100.0)
    rules = gap(head, articulated(phones, frames, 100.0))
    spoken = slice(round(phones[1].start * 100), round(phones[-1].start * 100))
    closing = gap(head, corrected(phones, frames, 100.0, numbers((-50.0, 0.0))))
    opening = gap(head, corrected(phones, frames, 100.0, numbers((50.0, 0.0))))
    assert (closing >= np.minimum(rules, 2.0) - 0.5)[spoken].all()
    assert (opening <= rules + 5.0)[spoken].all()


@pytest.mark.parametrize("sound", sorted(BETWEEN))
def test_sounds_that_english_lacks_have_half_of_two_kernels(sound):
    phones = phones_in_silence(said(sound, length=0.5), 1.3)
    one, other = BETWEEN[sound]
    by = numbers(**{f"width_{one}": now(1.0), f"width_{other}": now(0.2)})
    found = by(phones, np.zeros((130, 2)))[65, 1]
    assert found == pytest.approx(4.0 * np.tanh(0.6 / 4.0))


def test_the_shipped_numbers_are_of_all_sounds_and_bounded():
    shipped = lip_correction()
    assert shipped.kernels.shape == (2, 13, 42)
    assert np.isfinite(shipped.kernels).all()
    assert 0.01 < np.abs(shipped.kernels).max() < 3.0
    assert np.abs(shipped.constant).max() < 6.0


def test_numbers_are_kept_by_their_names(tmp_path):
    rng = np.random.default_rng(0)
    made = LipCorrection(rng.normal(size=2), rng.normal(size=(2, 13, 42)))
    made.save(tmp_path / "correction.json")
    again = LipCorrection.load(tmp_path / "correction.json")
    np.testing.assert_allclose(again.kernels, made.kernels, atol=6e-5)
    np.testing.assert_allclose(again.constant, made.constant, atol=6e-5)


@pytest.mark.parametrize("damage", ["", "[]", '{"opening": 1}', "short"])
def test_a_damaged_file_is_named(tmp_path, damage):
    path = tmp_path / "correction.json"
    lip_correction().save(path)
    if damage == "short":
        content = json.loads(path.read_text())
        content["width"]["AA"].pop()
        damage = json.dumps(content)
    path.write_text(damage)
    with pytest.raises(BadInputError, match=r"correction\.json is damaged"):
        LipCorrection.load(path)
