# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import itertools
import tracemalloc

import numpy as np
import pytest
from scipy.signal import istft, stft

from engine.core.errors import BadInputError, CancelledError
from engine.recognition import chunking
from engine.recognition.recognizer import recognize
from tests.counted_work import calls_of
from tests.engine.recognition.made_speech import RATE, labels, speech_of, spoken

BILABIALS = {"P", "B", "M"}
OPEN_VOWELS = {"AA", "AE", "AH", "AO", "AW", "AY", "EH"}


def seconds(count):
    return np.arange(count * RATE) / RATE


def noises():
    rng = np.random.default_rng(3)
    time = seconds(4)
    harmonics = sum(np.sin(2 * np.pi * 50 * k * time) / k for k in (1, 2, 3, 5))
    return {
        "white noise": rng.normal(0, 0.1, time.size),
        "faint noise": rng.normal(0, 1e-3, time.size),
        "50 Hz hum": 0.3 * np.sin(2 * np.pi * 50 * time),
        "hum with harmonics": 0.2 * harmonics,
        "hum switched on": 0.2 * harmonics * (time > 2),
        "breaths": rng.normal(0, 0.02, time.size) * np.clip(np.sin(3 * time), 0, 1),
        "clicks": (rng.random(time.size) < 2e-4) * 0.8,
    }


@pytest.fixture(scope="module")
def sample_aligned(sample_voice, recognized):
    """The sample voice with its text."""
    return recognized(*sample_voice)


@pytest.fixture(scope="module")
def sample_phones(sample_voice, recognized):
    """The sample voice by its sounds alone."""
    return recognized(sample_voice[0], recognizer="phones")


def test_phones_cover_the_clip_without_gap_or_overlap(sample_voice, sample_encoding):
    phones = sample_encoding.phones
    assert phones[0].start == 0
    assert phones[-1].end == sample_voice[0].duration
    assert all(a.end == b.start for a, b in itertools.pairwise(phones))
    assert all(phone.end > phone.start for phone in phones)


def test_features_have_a_hundred_frames_a_second(sample_voice, sample_encoding):
    frames = round(sample_voice[0].duration * 100)
    assert sample_encoding.mel.shape == (frames, 40)
    assert sample_encoding.energy.shape == (frames,)
    assert sample_encoding.mel.dtype == sample_encoding.energy.dtype == np.float32
    assert np.isfinite(sample_encoding.mel).all()
    assert 0 <= sample_encoding.energy.min() < 0.05
    assert 0.95 < sample_encoding.energy.max() <= 1


def test_silence_is_one_silence():
    encoding = recognize(speech_of(np.zeros(RATE)))
    assert encoding.phones == (("SIL", 0.0, 1.0),)
    assert not encoding.energy.any()
    assert any("silent" in warning for warning in encoding.warnings)


@pytest.mark.parametrize("kind", noises())
def test_noise_moves_no_lips(kind):
    assert labels(recognize(speech_of(noises()[kind]))) == ["SIL"]


def test_noise_around_speech_stays_silent(sample_voice):
    rng = np.random.default_rng(5)
    speech = sample_voice[0].samples
    noise = rng.normal(0, 2e-3, 3 * RATE).astype(np.float32)
    samples = np.concatenate((noise, speech, noise))
    samples[: len(noise)] += 0.05 * np.sin(2 * np.pi * 50 * seconds(3)).astype(np.float32)
    found = spoken(recognize(speech_of(samples)))
    assert 2.6 < found[0].start < 3.4
    assert 3 + sample_voice[0].duration - 0.5 < found[-1].end < 3.4 + sample_voice[0].duration


@pytest.mark.parametrize("gain", [1e-3, 0.03, 3.0])
def test_level_does_not_matter(sample_voice, sample_encoding, label_at, gain):
    other = recognize(speech_of(sample_voice[0].samples * gain))
    times = np.arange(0.005, sample_voice[0].duration, 0.01)
    same = [label_at(other.phones, t) == label_at(sample_encoding.phones, t) for t in times]
    assert np.mean(same) > 0.9


@pytest.mark.parametrize("duration", [0.2, 0.21, 0.5, 1.003])
def test_very_short_clips_are_covered(sample_voice, duration):
    samples = sample_voice[0].samples[RATE : RATE + round(duration * RATE)]
    encoding = recognize(speech_of(samples))
    assert encoding.phones[-1].end == len(samples) / RATE


def test_the_same_speech_gives_the_same_phones_whatever_came_before(sample_voice, sample_encoding):
    recognize(speech_of(np.random.default_rng(1).normal(0, 0.1, RATE)), "Something else")
    assert recognize(sample_voice[0]).phones == sample_encoding.phones


def test_no_phone_is_lost_or_doubled_where_long_speech_is_cut(
    monkeypatch, sample_voice, sample_encoding, label_at
):
    """Into five parts or more, though the voice would be short enough as a whole."""
    speech, whole = sample_voice[0], sample_encoding
    monkeypatch.setattr(chunking, "LONGEST", 150)
    cut = recognize(speech)
    # Each chunk has its own cepstral mean, so single phones may be recognised otherwise.
    assert len(spoken(cut)) == pytest.approx(len(spoken(whole)), rel=0.12)
    times = np.arange(0.005, speech.duration, 0.01)
    same = [label_at(cut.phones, time) == label_at(whole.phones, time) for time in times]
    assert np.mean(same) > 0.75
    assert max(phone.end - phone.start for phone in spoken(cut)) < 0.5


def test_a_long_silence_between_words_is_one_silence(sample_voice):
    words = sample_voice[0].samples[: 3 * RATE]  # They end in a pause of their own.
    encoding = recognize(speech_of(np.concatenate((words, np.zeros(30 * RATE, np.float32), words))))
    longest = max(encoding.phones, key=lambda phone: phone.end - phone.start)
    assert longest.label == "SIL"
    assert longest.end - longest.start > 29.5


def test_a_whisper_is_found_when_the_line_is_known(sample_voice, sample_aligned, closures):
    """Whispering: the same speech with noise for a voice. Alone it passes for breath."""
    speech, text = sample_voice
    rng = np.random.default_rng(2)
    spectrum = stft(speech.samples, RATE, nperseg=320)[2]
    phase = np.exp(2j * np.pi * rng.random(spectrum.shape))
    whisper = istft(np.abs(spectrum) * phase, RATE, nperseg=320)[1][: len(speech.samples)]
    aligned = recognize(speech_of(whisper), text)
    found, wanted = closures(sample_aligned.phones, aligned.phones)
    assert found / wanted >= 0.8


def test_progress_rises_to_one(monkeypatch, sample_voice):
    """Over several parts, as of long speech."""
    monkeypatch.setattr(chunking, "LONGEST", 150)
    reported = []
    speech = speech_of(sample_voice[0].samples[: 4 * RATE])
    recognize(speech, progress=lambda fraction, message: reported.append(fraction))
    assert reported == sorted(reported)
    assert reported[0] == 0
    assert reported[-1] == 1
    assert len(reported) >= 4


def test_cancelling_stops_the_work_and_the_next_try_works(sample_voice, sample_encoding):
    def cancel(fraction, message):
        if fraction > 0:
            raise CancelledError

    with pytest.raises(CancelledError):
        recognize(sample_voice[0], progress=cancel)
    assert recognize(sample_voice[0]).phones == sample_encoding.phones


def test_memory_does_not_grow_with_what_was_recognised(sample_voice):
    """What stays beside the samples is features and phones, a few MB a minute."""
    voice = sample_voice[0].samples
    samples = np.zeros(2 * 60 * RATE, np.float32)
    for start in (0, 40, 80):
        samples[start * RATE :][: len(voice)] = voice
    speech = speech_of(samples)
    recognize(sample_voice[0])  # Its models and dictionaries stay.
    tracemalloc.start()
    recognize(speech, progress=lambda fraction, message: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6  # 85 MB; 95 MB of ten minutes.


def test_free_recognition_closes_the_lips_of_recorded_speech(
    recorded_clips, recognized, closures, label_at
):
    found = wanted = false = vowels = 0
    for clip in recorded_clips:
        phones = recognized(clip.speech).phones
        hits, count = closures(clip.phones, phones)
        found, wanted = found + hits, wanted + count
        middles = [(p.start + p.end) / 2 for p in clip.phones if p.label in OPEN_VOWELS]
        vowels += len(middles)
        false += sum(label_at(phones, time) in BILABIALS for time in middles)
    assert wanted >= 10
    assert found / wanted >= 0.9
    assert false / vowels <= 0.05


def test_a_transcript_beats_free_recognition_on_recorded_speech(
    recorded_clips, recognized, closures, label_at, of_people
):
    agreement = {"free": [], "text": []}
    found = wanted = 0
    for clip in recorded_clips:
        aligned = recognized(clip.speech, clip.text)
        assert not aligned.warnings
        hits, count = closures(clip.phones, aligned.phones)
        found, wanted = found + hits, wanted + count
        times = np.arange(0.005, clip.speech.duration, 0.01)
        for kind, phones in (
            ("text", aligned.phones),
            ("free", recognized(clip.speech, recognizer="phones").phones),
        ):
            agreement[kind] += [label_at(phones, t) == label_at(clip.phones, t) for t in times]
    assert found / wanted >= 0.97
    assert np.mean(agreement["text"]) > (0.9 if of_people else 0.8)
    assert np.mean(agreement["text"]) > np.mean(agreement["free"]) + 0.1


def test_the_sample_voice_is_recognised_both_ways(sample_aligned, sample_encoding, closures):
    aligned = sample_aligned
    assert not aligned.warnings
    expected = "L EH N D M IY Y UH R V OY S AE N D AY W AH L M UW V M AY M AW TH"
    assert " ".join(p.label for p in spoken(aligned)).startswith(expected)
    found, wanted = closures(aligned.phones, sample_encoding.phones)
    assert wanted == 10
    assert found >= 9


def test_a_text_that_is_not_what_is_said_is_reported_and_not_used(sample_voice, sample_phones):
    encoding = recognize(
        sample_voice[0],
        "She sells sea shells, and nothing here fits anything at all",
        recognizer="phones",
    )
    assert any("does not fit" in warning for warning in encoding.warnings)
    assert labels(encoding) == labels(sample_phones)


@pytest.mark.parametrize("text", ["word " * 3000, "a"])
def test_texts_far_too_long_or_short_are_reported(sample_voice, text):
    found = recognize(sample_voice[0], text, recognizer="phones")
    assert any("does not fit" in warning for warning in found.warnings)


@pytest.mark.parametrize("text", ["", "   \n"])
def test_an_empty_text_is_no_text(sample_voice, sample_encoding, text):
    encoding = recognize(sample_voice[0], text)
    assert encoding.phones == sample_encoding.phones
    assert not encoding.warnings


def test_a_text_nobody_can_say_is_reported(sample_voice, sample_phones):
    encoding = recognize(sample_voice[0], "*** ??? ***", recognizer="phones")
    assert encoding.phones == sample_phones.phones
    assert any("no words" in warning for warning in encoding.warnings)


def test_a_text_over_silence_says_nothing():
    assert labels(recognize(speech_of(np.zeros(RATE)), "Hello there")) == ["SIL"]


def test_a_wrong_line_in_the_middle_leaves_the_others_aligned(sample_voice, sample_aligned):
    speech, text = sample_voice
    gap = np.zeros(RATE, np.float32)
    samples = np.concatenate((speech.samples, gap, speech.samples, gap, speech.samples))
    wrong = "Yesterday she sat in the garden and read a letter from the king"
    encoding = recognize(speech_of(samples), f"{text} {wrong} {text}")
    assert any("does not fit" in warning for warning in encoding.warnings)
    line = [p.label for p in spoken(sample_aligned)]
    aligned = [p.label for p in spoken(encoding)]
    assert aligned[: len(line) - 8] == line[:-8]
    assert aligned[8 - len(line) :] == line[8:]


def test_a_long_transcript_is_followed_line_by_line(sample_voice):
    speech, text = sample_voice
    gap = np.zeros(RATE // 2, np.float32)
    repeats = 3
    samples = np.concatenate([np.concatenate((speech.samples, gap))] * repeats)
    encoding = recognize(speech_of(samples), " ".join([text] * repeats))
    assert not encoding.warnings
    period = speech.duration + 0.5
    booms = [p.start for p in encoding.phones if p.label == "UW" and p.start % period > 5]
    np.testing.assert_allclose(np.diff(booms), period, atol=0.03)
    assert len(booms) == repeats


@pytest.mark.parametrize("unit", ["word ", "a", "[", "(", "$", "1,", "ﷺ", "ア"])
def test_a_text_of_a_million_letters_is_refused_at_once(sample_voice, unit):
    text = unit * (1_000_000 // len(unit))
    with pytest.raises(BadInputError, match="1,000,000 letters"):
        calls_of(lambda: recognize(sample_voice[0], text), most=100)


def test_the_words_of_a_line_come_with_their_times(sample_voice, sample_aligned):
    speech, text = sample_voice
    aligned = sample_aligned
    assert " ".join(word.text for word in aligned.words) == text
    assert aligned.language == "en"
    assert all(0 <= word.start < word.end <= speech.duration for word in aligned.words)
    assert all(a.end <= b.start for a, b in itertools.pairwise(aligned.words))
    voice = aligned.words[3]
    inside = [p.label for p in aligned.phones if voice.start <= p.start < voice.end]
    assert voice.text == "voice,"
    assert inside == ["V", "OY", "S"]


def test_names_headings_and_directions_of_a_script_are_neither_said_nor_missed(
    sample_voice, sample_aligned
):
    speech, text = sample_voice
    first, second = text.split(", ", 1)
    script = f"INT. STAGE - DAY\n\nANNA (V.O.): {first},\nBob: *sighs* {{beat}} {second}\nFADE OUT."
    found = recognize(speech, script)
    assert found.phones == sample_aligned.phones
    assert [word.text for word in found.words] == text.split()
    assert not found.warnings


def test_a_word_before_a_colon_that_is_said_is_found(sample_voice, sample_aligned):
    speech, text = sample_voice
    found = recognize(speech, text[:1].upper() + text[1:].replace(" ", ": ", 1))
    assert found.phones == sample_aligned.phones
    assert len(found.words) == len(text.split())
