# SPDX-License-Identifier: GPL-3.0-or-later
"""Learning what filmed lips add to the rules."""

from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from engine.audio.loading import load_speech
from engine.core.errors import BadInputError
from engine.motion.predict import predict
from engine.motion.rules.correction import INPUTS, OFFSETS, LipCorrection
from training.assets import lip_correction as command
from training.assets.lip_correction import fit, follows, load_clips
from training.metrics.film import mouth_curve

VOWELS = ("AA", "AE", "AH", "AY", "EH", "EY", "IH", "IY")


def taught():
    """Lips that part further in open vowels than those of the rules, and widen before them."""
    kernels = np.zeros((2, len(OFFSETS), len(INPUTS)))
    for vowel in VOWELS:
        kernels[0, OFFSETS == 0, INPUTS.index(vowel)] = 2.0
        kernels[1, OFFSETS == 12, INPUTS.index(vowel)] = 3.0
    return LipCorrection(np.zeros(2), kernels)


@pytest.fixture(scope="module")
def people(tmp_path_factory, head, recordings, recognized):
    """Two people who speak as they were taught, each with a recording."""
    folder = tmp_path_factory.mktemp("people")
    sound = next(iter(sorted(recordings.glob("*.wav"))))
    speech = load_speech(sound)
    for name, pitch in (("ada", 1.0), ("bob", 0.8)):
        (folder / name).mkdir()
        soundfile.write(folder / name / "said.wav", speech.samples * pitch, 16_000)
        made = predict(speech, head, 30.0, recognized=recognized(speech), model=taught())
        lips = mouth_curve(made, head)
        opening, width = lips.opening.tolist(), lips.width.tolist()
        film = {"fps": 30.0, "opening_mm": opening, "width_mm": width}
        (folder / name / "said.mouth.json").write_text(json.dumps(film))
    return [folder / "ada", folder / "bob"]


@pytest.fixture(scope="module")
def clips(people, head):
    return load_clips(people, head)


def test_what_one_person_teaches_holds_for_another_who_speaks_alike(clips, head):
    ada, bob = clips
    learned = follows(bob, fit([ada]), head)
    assert learned.opening.correlation > bob.agreement.opening.correlation
    assert learned.width.correlation > bob.agreement.width.correlation + 0.01


def test_the_jaw_and_the_lips_are_opened_by_nothing_on_average(clips, head):
    ada = clips[0]
    made = predict(ada.speech, head, 100.0, recognized=ada.recognized, model=fit(clips))
    lips = mouth_curve(made, head)
    assert lips.opening.mean() == pytest.approx(ada.rules.opening.mean(), abs=0.5)
    assert lips.width.mean() == pytest.approx(ada.rules.width.mean(), abs=0.5)


def test_the_command_says_how_each_is_followed_and_writes_what_it_learned(
    people, tmp_path, monkeypatch, capsys
):
    out = tmp_path / "correction.json"
    folders = [str(folder) for folder in people]
    monkeypatch.setattr("sys.argv", ["lip_correction", "--people", *folders, "--out", str(out)])
    command.main()
    printed = capsys.readouterr().out
    assert "ada" in printed
    assert "2 people, mean" in printed
    assert np.abs(LipCorrection.load(out).kernels).max() > 0.02


def test_a_folder_without_films_is_named(tmp_path, head):
    with pytest.raises(BadInputError, match="holds no filmed mouths"):
        load_clips([tmp_path], head)
