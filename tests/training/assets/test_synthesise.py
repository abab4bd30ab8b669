# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts, voices, recording conditions, the teacher, and what is prepared from them."""

import shutil
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from pocketsphinx import get_model_path

from engine.audio.loading import Speech
from engine.core.errors import MissingDependencyError
from engine.motion.encoders.phonetic import SPECTRUM
from engine.motion.model.config import STARTER
from engine.motion.model.wrinkles import SkinTension
from engine.motion.style import Style
from engine.phonemes import ENGLISH, Phone
from engine.recognition.espeak import pronounce
from tests.engine.motion.known_phones import perform
from training.assets import espeak_process
from training.assets.augment import recorded
from training.assets.espeak import speak_ipa
from training.assets.languages import SENTENCES
from training.assets.nonspeech import without_speech
from training.assets.prepare import RECOGNISED, TRANSCRIBED, TRUE, prepared
from training.assets.synthesise import Synthesis, synthesise
from training.assets.teacher import taught_motion
from training.assets.texts import sentence, vocabulary
from training.assets.voices import Voice, installed, speak
from training.data.speech import AlignedSpeech, load_aligned_speech

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")

SENTENCE = (
    Phone("SIL", 0.0, 0.3),
    Phone("M", 0.3, 0.36),
    Phone("AA", 0.36, 0.6),
    Phone("B", 0.6, 0.65),
    Phone("IY", 0.65, 0.9),
    Phone("SIL", 0.9, 1.4),
)


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    files = synthesise(Synthesis(folder, hours=2 / 3600, programs=("flite",)))
    return load_aligned_speech(files[0])


def _gap(head, weights):
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    basis = head.expression_basis[:, upper, 1] - head.expression_basis[:, lower, 1]
    return (weights @ basis).max(axis=1) * 1000


def test_the_texts_use_every_sound_of_english():
    said = set()
    words = vocabulary()
    for line in Path(get_model_path("en-us/cmudict-en-us.dict")).read_text().splitlines():
        word, *phones = line.split()
        if word in words:
            said |= set(phones)
    assert said >= ENGLISH


def test_sentences_repeat_with_their_seed_and_vary_without():
    made = [sentence(np.random.default_rng(seed)) for seed in range(200)]
    assert made == [sentence(np.random.default_rng(seed)) for seed in range(200)]
    assert len(set(made)) > 150


def test_sentences_use_only_the_vocabulary():
    known = vocabulary() | {"was", "and", "it", "did", "you", "say", "that", "how", "is", "said"}
    fillers = {"um", "uh", "er", "mm", "hmm"}
    for seed in range(100):
        words = sentence(np.random.default_rng(seed)).lower().split()
        for word, after in zip(words, [*words[1:], ""], strict=True):
            plain = word.strip(".,!?:")
            begun = word.endswith(",") and after.startswith(plain)
            assert plain in known | fillers or begun


def test_speakers_hesitate_and_begin_words_twice():
    said = " ".join(sentence(np.random.default_rng(seed)) for seed in range(100)).split()
    assert 10 < sum(word in {"um,", "uh,", "er,", "mm,", "hmm,"} for word in said) < 100
    begun = [a for a, b in pairwise(said) if len(a) == 4 and a[3] == "," and b.startswith(a[:3])]
    assert len(begun) > 5


def test_all_voices_of_espeak_ng_are_there():
    for voice in installed(("espeak-ng",)):
        assert speak(voice, "Papa.") is not None, voice


@pytest.mark.parametrize("language", SENTENCES)
def test_a_voice_of_every_language_says_all_its_sentences(language):
    voice = next(v for v in installed(("espeak-ng",)) if v.language == language)
    for text in SENTENCES[language][:2]:
        utterance = speak(voice, text)
        labels = {phone.label for phone in utterance.phones}
        assert len(labels - {"SIL"}) > 5
        assert utterance.phones[-1].end == pytest.approx(len(utterance.samples) / 16_000)


def test_sounds_that_english_lacks_are_among_them():
    voices = {v.language: v for v in installed(("espeak-ng",))}
    french = speak(voices["fr"], "La lune bleue brille.")
    spanish = speak(voices["es"], "La abuela lava.")
    assert {"UE", "OE"} <= {phone.label for phone in french.phones}
    assert "BH" in {phone.label for phone in spanish.phones}


def test_a_text_sounds_the_same_whatever_was_said_before():
    first, _ = speak_ipa("en-us", "See the fishes, Bob.", 165, 50)
    speak_ipa("de", "Schöne Füße.", 165, 50)
    time.sleep(1.1)  # The library's own noise depends on the second.
    again, _ = speak_ipa("en-us", "See the fishes, Bob.", 165, 50)
    np.testing.assert_array_equal(first, again)


def test_a_voice_that_is_not_there_says_nothing():
    samples, segments = speak_ipa("nowhere", "Hello.", 165, 50)
    assert (len(samples), segments) == (0, [])


def test_no_synthesiser_says_what_to_install(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(MissingDependencyError, match="apt-get install flite"):
        installed(("flite", "festival"))


@needs_flite
def test_a_voice_tells_when_its_sounds_fall():
    utterance = speak(Voice("flite", "slt", 180.0), "Maybe Bob moved.")
    labels = [p.label for p in utterance.phones if p.label != "SIL"]
    assert labels[:4] == ["M", "EY", "B", "IY"]
    assert utterance.phones[-1].end == pytest.approx(len(utterance.samples) / 16_000)


@needs_flite
def test_a_slower_voice_takes_longer():
    voice = Voice("flite", "rms", 105.0)
    slow, quick = (speak(voice, "A purple boat.", stretch=s) for s in (1.4, 0.8))
    assert len(slow.samples) > 1.5 * len(quick.samples)


@needs_flite
def test_the_same_seed_makes_the_same_clips(tmp_path):
    plan = Synthesis(tmp_path / "a", hours=6 / 3600, programs=("flite",))
    first = synthesise(plan)
    again = synthesise(Synthesis(tmp_path / "b", hours=6 / 3600, programs=("flite",)))
    assert [f.read_bytes() for f in first] == [f.read_bytes() for f in again]
    assert synthesise(plan) == first


@needs_flite
def test_clips_carry_their_sounds_and_words(clip):
    assert clip.transcript
    assert clip.phones[0].start == 0.0
    assert clip.phones[-1].end == pytest.approx(clip.speech.duration, abs=0.01)
    power = np.square(clip.speech.samples)

    def mean(labels):
        chosen = [p for p in clip.phones if p.label in labels]
        return np.mean([power[int(p.start * 16e3) : int(p.end * 16e3)].mean() for p in chosen])

    assert mean({"AA", "AE", "IY", "OW", "AH", "EY", "UW"}) > 20 * mean({"SIL"})


def test_recording_keeps_the_time_of_the_sound():
    rng = np.random.default_rng(0)
    samples = np.zeros(32_000, np.float32)
    samples[16_000:17_000] = rng.normal(size=1_000) * 0.3
    for seed in range(20):
        noisy = recorded(samples, np.random.default_rng(seed))
        assert noisy.shape == samples.shape
        assert np.isfinite(noisy).all()
        power = np.square(noisy).reshape(-1, 500).mean(axis=1)
        assert abs(int(power.argmax()) * 500 - 16_000) <= 1_000


def test_lips_are_shut_in_every_bilabial_at_any_phase_of_25_frames(head):
    samples = np.random.default_rng(0).normal(size=22_400).astype(np.float32) * 0.05
    gap = _gap(head, taught_motion(SENTENCE, samples, 70, 50.0, head))
    for phone in (SENTENCE[1], SENTENCE[3]):
        for phase in (0, 1):
            times = np.arange(phase, 70, 2) / 50.0
            near = (times >= phone.start - 0.03) & (times <= phone.end + 0.03)
            assert gap[phase::2][near].min() < 0.1
    assert gap[24] > 2.0


def test_the_taught_motion_at_25_frames_is_the_rules_own(head):
    samples = np.random.default_rng(0).normal(size=22_400).astype(np.float32) * 0.05
    ours = taught_motion(SENTENCE, samples, 70, 50.0, head)[::2]
    speech = Speech(samples, 1.4, "")
    rules = perform(SENTENCE, speech, head, 25.0, upper_face=0.0)
    np.testing.assert_allclose(ours, rules.weights, atol=1e-6)


def test_styles_do_what_they_are_called(head):
    samples = np.random.default_rng(0).normal(size=22_400).astype(np.float32) * 0.05

    def taught(**style):
        return taught_motion(SENTENCE, samples, 70, 50.0, head, Style(**style))

    plain, smile = taught(), head.expression_index("mouthSmileLeft")
    jaw = head.expression_index("jawOpen")
    assert taught(articulation=1.5)[:, jaw].max() > 1.3 * plain[:, jaw].max()
    assert (taught(smile=1.0)[:, smile] > plain[:, smile] + 0.2).all()
    frown = head.expression_index("mouthFrownLeft")
    assert (taught(smile=-1.0)[:, frown] > plain[:, frown] + 0.2).all()


@needs_flite
def test_a_clip_has_three_feature_variants_without_spectra(head, clip):
    sequence = prepared(clip, head, SkinTension(head), STARTER, np.random.default_rng(0))
    variants = sequence.feature_variants
    assert variants.shape == (
        3,
        round(clip.speech.duration * 100),
        STARTER.features,
    )
    assert sequence.frames == round(clip.speech.duration * 50)
    sounds = variants[:, :, :40].astype(np.float32)
    np.testing.assert_allclose(sounds[RECOGNISED].sum(axis=1), 1.0, atol=0.02)
    assert not np.array_equal(sounds[TRANSCRIBED], sounds[TRUE])
    np.testing.assert_allclose(sounds[TRANSCRIBED].sum(axis=1), 1.0, atol=0.02)
    assert (variants[:, :, SPECTRUM] == 0).all()
    assert (variants[:, :, -1] > 0).any()
    assert sequence.wrinkles.shape == (sequence.frames, STARTER.wrinkles)


def test_boundaries_that_are_misplaced_stay_in_order(head):
    short = (Phone("SIL", 0.0, 0.004), Phone("M", 0.004, 0.008), Phone("AA", 0.008, 1.0))
    samples = np.random.default_rng(0).normal(size=16_000).astype(np.float32) * 0.05
    clip = AlignedSpeech(Path("short.wav"), Speech(samples, 1.0, ""), short, "Ma.")
    for seed in range(6):
        sequence = prepared(clip, head, SkinTension(head), STARTER, np.random.default_rng(seed))
        sounds = sequence.feature_variants[TRUE][:, :40].astype(np.float32)
        np.testing.assert_allclose(sounds.sum(axis=1), 1.0, atol=0.02)


def test_where_nobody_speaks_the_taught_mouth_rests(head):
    music = without_speech(2.0, np.random.default_rng(3))
    clip = AlignedSpeech(Path("music.wav"), Speech(music, 2.0, ""), (Phone("SIL", 0.0, 2.0),), "")
    for seed in range(4):
        rng = np.random.default_rng(seed)
        sequence = prepared(clip, head, SkinTension(head), STARTER, rng)
        mouth = [i for i, n in enumerate(head.expression_names) if n.startswith(("jaw", "mouthC"))]
        assert np.abs(sequence.weights[:, mouth]).max() < 1e-3


def test_some_of_what_is_synthesised_is_no_speech(tmp_path):
    folder = tmp_path / "clips"
    files = synthesise(Synthesis(folder, hours=200 / 3600, seed=2, programs=("espeak-ng",)))
    silent = [f for f in files if {p.label for p in load_aligned_speech(f).phones} == {"SIL"}]
    assert 0 < len(silent) < len(files) / 3


def test_a_text_sounds_the_same_whatever_was_pronounced_before():
    first, sounds = speak_ipa("fr", "La lune bleue brille.", 165, 50)
    for voice in ("ja", "cmn", "ar"):
        pronounce("123, abc.", voice)
    again, same = speak_ipa("fr", "La lune bleue brille.", 165, 50)
    np.testing.assert_array_equal(first, again)
    assert sounds == same


@pytest.mark.parametrize(("crashes", "spoken"), [(1, True), (99, False)])
def test_a_process_that_crashed_by_chance_is_asked_again(monkeypatch, tmp_path, crashes, spoken):
    crashing = tmp_path / "crashing.py"
    crashing.write_text(
        f"""
import os, pathlib, runpy
if len(list(pathlib.Path({str(tmp_path)!r}).glob("*.crash"))) < {crashes}:
    pathlib.Path({str(tmp_path)!r}, f"{{os.getpid()}}.crash").touch()
    os._exit(3)
runpy.run_path({espeak_process.__file__!r}, run_name="__main__")
"""
    )
    monkeypatch.setattr(espeak_process, "__file__", str(crashing))
    samples, sounds = speak_ipa("es", "Hola.", 165, 50)
    assert (len(samples) > 0, len(sounds) > 0) == (spoken, spoken)


def test_data_that_are_missing_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr("espeakng_loader.get_data_path", lambda: str(tmp_path))
    with pytest.raises(MissingDependencyError, match="Reinstall the package espeakng-loader"):
        speak_ipa("es", "Hola.", 165, 50)
