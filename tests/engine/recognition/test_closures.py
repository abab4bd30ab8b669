# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools

import numpy as np
import pytest

from engine.phonemes import BILABIALS, VOWELS
from engine.recognition.cepstra import cepstra, subtract_mean
from engine.recognition.closures import ClosingPhoneLoop, _log_score, bilabial_chances
from engine.recognition.phone_loop import PhoneLoop, PhoneSegment
from engine.recognition.senones import acoustic_model, senone_scores


def scored(samples):
    found = cepstra(samples, np.ones(len(samples) // 160, np.float32))
    return np.ascontiguousarray(senone_scores(subtract_mean(found, ())))


def searched(loop, scores, cuts=1):
    for part in np.array_split(scores, cuts):
        loop.accept_scores(np.ascontiguousarray(part))
    return loop.finish()


@pytest.fixture(scope="module")
def scores(sample_voice):
    return scored(sample_voice[0].samples)


def test_a_phone_scores_as_the_best_way_through_its_states():
    rng = np.random.default_rng(1)
    scores = rng.integers(0, 200, (7, 5)).astype(np.int16)
    senones, stay, leave = np.array([3, 0, 4]), rng.normal(-1, 0.2, 3), rng.normal(-1, 0.2, 3)
    best = -np.inf
    for second, third in itertools.combinations(range(1, 7), 2):
        states = np.repeat([0, 1, 2], [second, third - second, 7 - third])
        total = -0.1 * scores[np.arange(7), senones[states]].sum()
        total += (stay[states[1:]] * (np.diff(states) == 0)).sum() + leave[:2].sum()
        best = max(best, total)
    args = (scores, 0, 7, senones, stay.astype(np.float32), leave.astype(np.float32), 0.1)
    assert _log_score(*args) == pytest.approx(best, rel=1e-5)


def test_chances_are_high_at_p_b_m_and_low_at_vowels(scores):
    labels = acoustic_model().labels
    phones = searched(PhoneLoop(), scores)
    chances = bilabial_chances(phones, scores)
    assert chances.shape == (len(phones), 3)
    likely = chances.sum(axis=1)
    assert ((likely >= 0) & (likely <= 1)).all()
    of = [labels[phone.phone] for phone in phones]
    closing = np.array([label in BILABIALS for label in of])
    vowels = np.array([label in VOWELS for label in of])
    assert likely[closing].mean() > 0.5
    assert likely[vowels].mean() < 0.05


def test_more_closures_are_found_and_hardly_any_vowel_is_shut(recorded_clips, closures):
    found = {PhoneLoop: 0, ClosingPhoneLoop: 0}
    labels = acoustic_model().labels
    for clip in recorded_clips:
        scores = scored(clip.speech.samples)
        both = {loop: searched(loop(), scores) for loop in found}
        vowels = {}
        for loop, phones in both.items():
            timed = [clip.phones[0]._replace(label=labels[p], start=a / 100, end=b / 100)
                     for p, a, b in phones]  # fmt: skip
            hits, _ = closures(clip.phones, timed)
            found[loop] += hits
            vowels[loop] = sum(labels[phone.phone] in VOWELS for phone in phones)
        times = [[phone[1:] for phone in phones] for phones in both.values()]
        assert times[0] == times[1]
        assert vowels[ClosingPhoneLoop] == vowels[PhoneLoop]
    assert found[ClosingPhoneLoop] >= found[PhoneLoop] > 0


def test_lips_close_where_p_b_m_is_nearly_as_likely(scores, monkeypatch):
    """What the loop takes for another consonant becomes p, b or m as a missed one costs more."""
    counts = []
    for cost in (0.0, 14.0, 1e6):
        monkeypatch.setattr("engine.recognition.closures.MISSED_COST", cost)
        phones = searched(ClosingPhoneLoop(), scores)
        labels = [acoustic_model().labels[phone.phone] for phone in phones]
        counts.append(sum(label in BILABIALS for label in labels))
        if cost == 0:
            assert phones == searched(PhoneLoop(), scores)
    assert counts[0] <= counts[1] < counts[2]


def test_speech_in_chunks_closes_at_the_same_phones(scores):
    whole = searched(ClosingPhoneLoop(), scores)
    chunks = searched(ClosingPhoneLoop(), scores, cuts=6)
    same = set(whole) & set(chunks)
    assert len(same) >= 0.95 * max(len(whole), len(chunks))


def test_a_phone_of_which_too_little_is_known_is_left_alone(scores):
    assert bilabial_chances([], scores).shape == (0, 3)
    phones = [PhoneSegment(0, 0, 10), PhoneSegment(1, 10, 20)]
    assert not bilabial_chances(phones, scores[:12], first=8)[0].any()
