# SPDX-License-Identifier: GPL-3.0-or-later
"""What the speech model gets of a recording: phones with soft boundaries, energies, loudness."""

import numpy as np
import pytest

from engine.audio.loading import speech_from_samples
from engine.core.errors import BadInputError
from engine.motion.encoders.phonetic import (
    PHONES,
    SPECTRUM,
    PhoneticEncoder,
    phonetic_features,
    without_spectrum,
)
from engine.motion.encoders.registry import load_encoder
from engine.phonemes import Phone

MEL = np.full((100, 40), -8.0, np.float32)
ENERGY = np.linspace(0, 1, 100, dtype=np.float32)


def _sounds(*phones):
    return phonetic_features(tuple(phones), MEL, ENERGY)[:, : len(PHONES)]


def test_sounds_are_shares_that_add_up_to_one():
    sounds = _sounds(Phone("SIL", 0.0, 0.213), Phone("M", 0.213, 0.4), Phone("IY", 0.4, 1.0))
    np.testing.assert_allclose(sounds.sum(axis=1), 1.0, atol=1e-6)


def test_the_middle_of_a_sound_is_that_sound_alone():
    sounds = _sounds(Phone("SIL", 0.0, 0.2), Phone("B", 0.2, 0.4), Phone("AA", 0.4, 1.0))
    assert PHONES[sounds[30].argmax()] == "B"
    assert sounds[30].max() == pytest.approx(1.0)


def test_a_boundary_within_a_frame_is_kept():
    early = _sounds(Phone("SIL", 0.0, 0.202), Phone("B", 0.202, 1.0))[:, PHONES.index("B")]
    late = _sounds(Phone("SIL", 0.0, 0.208), Phone("B", 0.208, 1.0))[:, PHONES.index("B")]
    assert early.sum() - late.sum() == pytest.approx(0.6, abs=1e-5)


def test_the_columns_are_those_of_every_trained_model():
    assert len(PHONES) == 40
    assert (PHONES[0], PHONES[1], PHONES[20], PHONES[-1]) == ("SIL", "AA", "K", "ZH")
    assert list(PHONES[1:]) == sorted(PHONES[1:])


def test_an_unknown_label_counts_as_silence():
    sounds = _sounds(Phone("+NSN+", 0.0, 1.0))
    assert PHONES[sounds[50].argmax()] == "SIL"


def test_loudness_is_the_last_number():
    np.testing.assert_array_equal(
        phonetic_features((Phone("SIL", 0.0, 1.0),), MEL, ENERGY)[:, -1], ENERGY
    )


def test_spectra_can_be_left_out():
    features = phonetic_features((Phone("M", 0.0, 1.0),), MEL, ENERGY)
    blank = without_spectrum(features)
    assert (blank[:, SPECTRUM] == 0).all()
    assert (features[:, SPECTRUM] != 0).any()
    rest = np.delete(np.arange(PhoneticEncoder.size), SPECTRUM)
    np.testing.assert_array_equal(blank[:, rest], features[:, rest])


def test_a_clip_has_features_at_100_hz():
    rng = np.random.default_rng(0)
    speech = speech_from_samples(rng.normal(size=16_000).astype(np.float32) * 0.01, 16_000)
    encoder = PhoneticEncoder()
    features = encoder.encode(speech)
    assert features.values.shape == (100, encoder.size)
    assert features.values.dtype == np.float32
    assert (features.rate, features.start, features.duration) == (100.0, 0.005, 1.0)


def test_encoders_are_found_by_id():
    assert load_encoder("phonetic").id == "phonetic"
    with pytest.raises(BadInputError, match="'hubert'"):
        load_encoder("hubert")
