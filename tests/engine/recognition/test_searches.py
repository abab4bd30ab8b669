# SPDX-License-Identifier: GPL-3.0-or-later
"""The searches against slow, obvious ones and against PocketSphinx itself."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from pocketsphinx import Decoder

from engine.ipa import Sound
from engine.recognition import alignment
from engine.recognition.alignment import Aligner, chain_of
from engine.recognition.cepstra import cepstra
from engine.recognition.phone_loop import PhoneLoop
from engine.recognition.pronunciation import pronunciations
from engine.recognition.senones import SCORE_UNIT, acoustic_model, senone_scores
from engine.recognition.transcript import spoken_words


def normalised(samples):
    """Cepstra less the mean of all, which is what PocketSphinx takes."""
    found = cepstra(samples, np.ones(len(samples) // 160, np.float32))
    return found - found.mean(axis=0)


@pytest.fixture(scope="module")
def scores(sample_voice):
    return np.ascontiguousarray(senone_scores(normalised(sample_voice[0].samples)))


@pytest.fixture(scope="module")
def words(sample_voice):
    return [pronunciations(word) for word in spoken_words(sample_voice[1])]


def aligned(chain, scores, cuts=1):
    aligner = Aligner(chain)
    for chunk in np.array_split(scores, cuts):
        aligner.accept_scores(np.ascontiguousarray(chunk))
    return aligner.finish()


def obvious_viterbi(chain, scores):
    """Dense float64 Viterbi over the whole chain: the log score of the best way."""
    scores = alignment.with_filler(scores)
    count = len(chain.senones)
    arcs = np.full((count, count), -np.inf)
    start = np.full(count, -np.inf)
    for state in range(count):
        arcs[state, state] = chain.stay[state]
        entries = range(chain.first_entry[state], chain.first_entry[state + 1])
        for k in entries:
            source, cost = chain.entries[k], chain.costs[k]
            if source < 0:
                start[state] = max(start[state], cost)
            else:
                arcs[source, state] = max(arcs[source, state], chain.leave[source] + cost)
        if not entries:
            arcs[state - 1, state] = chain.leave[state - 1]
    best = start - SCORE_UNIT * scores[0, chain.senones]
    for row in scores[1:]:
        best = (best[:, None] + arcs).max(axis=0) - SCORE_UNIT * row[chain.senones]
    return best[chain.finals].max()


def score_of(chain, found):
    """The log score of the way that an alignment took, its transitions added up again."""
    path = found.states
    total = float(found.scores.sum())
    for before, after in itertools.pairwise(path):
        if before == after:
            total += chain.stay[before]
            continue
        entries = range(chain.first_entry[after], chain.first_entry[after + 1])
        costs = [chain.costs[k] for k in entries if chain.entries[k] == before]
        total += chain.leave[before] + max(costs, default=0)
    first = range(chain.first_entry[path[0]], chain.first_entry[path[0] + 1])
    return total + max(chain.costs[k] for k in first if chain.entries[k] < 0)


def test_the_alignment_is_the_best_there_is(scores, words):
    chain = chain_of(words[:4])
    found = aligned(chain, scores[:150])
    assert score_of(chain, found) == pytest.approx(obvious_viterbi(chain, scores[:150]), abs=0.5)


@pytest.mark.parametrize("cuts", [3, 6])
def test_an_alignment_in_chunks_is_the_same(scores, words, cuts):
    chain = chain_of(words)
    assert aligned(chain, scores, cuts).phones == aligned(chain, scores).phones


def test_a_narrow_window_finds_the_same(monkeypatch, scores, words):
    chain = chain_of(words)
    whole = aligned(chain, scores).phones
    monkeypatch.setattr(alignment, "WINDOW", 120)
    assert aligned(chain, scores).phones == whole


def test_phones_come_in_the_order_of_the_words(scores, words):
    found = [phone.label for phone in aligned(chain_of(words), scores).phones]
    said = [label for label in found if label != "SIL"]
    choices = [["".join(sound.label for sound in said) for said in word] for word in words]
    rest = "".join(said)
    for options in choices:
        option = next(
            option for option in sorted(options, key=len)[::-1] if rest.startswith(option)
        )
        rest = rest[len(option) :]
    assert rest == ""


def test_a_sound_that_is_like_several_english_ones_is_found_as_any_of_them(scores, words):
    """The second sound of every word looks like another, and may sound like a third."""

    def chain(*also):
        return chain_of(
            [
                [
                    (said[0], *(Sound("UE", (*also, s.label)[:2]) for s in said[1:2]), *said[2:])
                    for said in word
                ]
                for word in words
            ]
        )

    found, true = aligned(chain("HH"), scores), aligned(chain_of(words), scores)
    starts = np.array([phone.start for phone in true.phones])
    disguised = [phone.start for phone in found.phones if phone.label == "UE"]
    late = np.array([np.abs(starts - start).min() for start in disguised])
    assert len(late) > 10
    assert np.mean(late <= 3) > 0.9
    assert found.scores.mean() > aligned(chain("HH", "HH"), scores).scores.mean() + 0.5


def test_optional_words_that_are_not_said_cost_nothing(scores, words):
    said = aligned(chain_of(words), scores)
    name = pronunciations("kangaroo")
    between = [*words[:3], name, name, *words[3:], name]
    found = aligned(chain_of(between, optional=[3, 4, len(between) - 1]), scores)
    assert found.phones == said.phones
    assert not set(found.words) & {3, 4, len(between) - 1}


def test_optional_words_that_are_said_are_found(scores, words):
    every = aligned(chain_of(words, optional=range(len(words))), scores)
    assert every.phones == aligned(chain_of(words), scores).phones


def test_many_optional_words_have_few_ways_round_them(scores, words):
    """A way is remembered in a byte."""
    names = [pronunciations("kangaroo")] * 60
    chain = chain_of([*names, *words], optional=range(60))
    assert np.diff(chain.first_entry).max() < 200
    labels = [phone.label for phone in aligned(chain, scores).phones]
    assert labels[-5:] == [phone.label for phone in aligned(chain_of(words), scores).phones][-5:]


def test_words_that_never_come_are_not_aligned(scores, words):
    assert aligned(chain_of(words * 40), scores) is None


def test_the_phone_loop_in_chunks_is_the_same(scores):
    whole, cut = PhoneLoop(), PhoneLoop()
    whole.accept_scores(scores)
    for chunk in np.array_split(scores, 5):
        cut.accept_scores(np.ascontiguousarray(chunk))
    assert cut.finish() == whole.finish()


def test_phones_of_the_loop_are_contiguous(scores):
    loop = PhoneLoop()
    loop.accept_scores(scores)
    phones = loop.finish()
    assert phones[0].start == 0
    assert phones[-1].stop == len(scores)
    assert all(a.stop == b.start for a, b in itertools.pairwise(phones))
    # Three states take three frames.
    assert all(phone.stop - phone.start >= 3 for phone in phones)


def test_the_phone_loop_finds_known_phones_in_made_up_scores():
    model = acoustic_model()
    spoken = ["SIL", "M", "UW", "V", "SIL"]
    numbers = [model.index(label) for label in spoken]
    scores = np.full((len(spoken) * 12, 5126), 120, np.int16)
    around = [numbers[-1], *numbers, numbers[0]]
    for i, number in enumerate(numbers):
        for state in range(3):
            frames = slice(12 * i + 4 * state, 12 * i + 4 * state + 4)
            scores[frames, model.senones[0, around[i], number, around[i + 2], state]] = 0
    loop = PhoneLoop()
    loop.accept_scores(scores)
    assert [(model.labels[p.phone], p.start, p.stop) for p in loop.finish()] == [
        (label, 12 * i, 12 * i + 12) for i, label in enumerate(spoken)
    ]


def test_times_agree_with_pocketsphinx_where_that_can_align(scores, sample_voice):
    speech, text = sample_voice
    decoder = Decoder(lm=None, cmn="batch", loglevel="FATAL")
    decoder.set_align_text(" ".join(spoken_words(text)).lower())
    pcm = (speech.samples * 32767).astype("<i2").tobytes()

    def decode():
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()

    decode()
    if decoder.hyp() is None:
        pytest.skip("PocketSphinx's own aligner gave up on the sample voice.")
    decoder.set_alignment()
    decode()
    theirs = [(p.name, p.start) for p in decoder.get_alignment().phones() if p.name.isalpha()]
    chain = chain_of([pronunciations(word) for word in spoken_words(text)])
    ours = [(p.label, p.start) for p in aligned(chain, scores).phones]
    theirs = [item for item in theirs if item[0] != "SIL"]
    ours = [item for item in ours if item[0] != "SIL"]
    assert [name for name, _ in ours] == [name for name, _ in theirs]
    late = np.array([a[1] - b[1] for a, b in zip(ours, theirs, strict=True)])
    assert np.median(np.abs(late)) <= 1
    assert np.mean(np.abs(late) <= 3) > 0.9


def test_the_trigram_is_a_distribution():
    trigram = acoustic_model().trigram
    # The rest is the end of a sentence.
    totals = np.exp(trigram.astype(np.float64)).sum(axis=2)
    assert (totals < 1.001).all()
    assert np.median(totals) > 0.9


def test_scores_do_not_depend_on_what_was_recognised_before(sample_voice, scores):
    senone_scores(normalised(np.random.default_rng(0).normal(0, 0.3, 16000).astype(np.float32)))
    np.testing.assert_array_equal(senone_scores(normalised(sample_voice[0].samples)), scores)
