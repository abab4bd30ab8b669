# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of another speaker, and a capture that films them."""

import json
from collections import Counter

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.heads import load_head
from training.assets.another_speaker import Reading, record
from training.assets.reading import SENTENCES
from training.data.recordings import find_recordings
from training.data.speech import load_aligned_speech
from training.synthetic.recordings import prepare_recordings
from training.synthetic.schedule import schedule

VOICE = "espeak-ng/en-us"


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("another")
    split = record(Reading(folder, sentences=6, voice=VOICE))
    return folder, split


def test_four_of_six_sentences_are_trained_on(recorded):
    folder, split = recorded
    assert {part: len(names) for part, names in split.items()} == {
        "training": 4,
        "validation": 1,
        "test": 1,
    }
    found = find_recordings(folder)
    assert found.split() == split
    assert [recording.text for recording in found.every] == list(SENTENCES[:6])


def test_sixty_sentences_split_as_forty_ten_ten():
    assert len(SENTENCES) >= 60
    assert len(set(SENTENCES)) == len(SENTENCES)


def test_motion_and_sounds_last_as_long_as_the_sound(recorded):
    folder, _ = recorded
    for recording in find_recordings(folder).every:
        clip = load_aligned_speech(recording.audio)
        frames = np.load(recording.motion)["weights"].shape[0]
        assert frames == round(clip.speech.duration * 30)
        assert clip.phones[-1].end == pytest.approx(clip.speech.duration, abs=1e-3)


def test_what_is_there_is_kept_and_the_same_seed_gives_the_same(recorded, tmp_path):
    folder, _ = recorded
    record(Reading(tmp_path, sentences=3, voice=VOICE))
    split = json.loads((tmp_path / "split.json").read_text())
    assert Counter(len(names) for names in split.values()) == {1: 3}
    ours, theirs = (np.load(f / "s02.performance.npz")["weights"] for f in (folder, tmp_path))
    np.testing.assert_array_equal(ours, theirs)
    before = (tmp_path / "s00.wav").stat().st_mtime_ns
    record(Reading(tmp_path, sentences=4, voice=VOICE))
    assert (tmp_path / "s00.wav").stat().st_mtime_ns == before
    assert (tmp_path / "s03.wav").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"sentences": 2}, "2 sentences"), ({"sentences": 999}, "999"), ({"voice": "x/y"}, "'x/y'")],
)
def test_what_cannot_be_recorded_is_refused(tmp_path, changes, message):
    with pytest.raises(BadInputError, match=message):
        record(Reading(tmp_path / "out", **changes))


def test_a_capture_films_the_given_motion_and_keeps_the_split(recorded, tmp_path):
    folder, split = recorded
    head = load_head("default")
    sounds = sorted(folder.glob("*.wav"))
    spoken = prepare_recordings(tmp_path, head, sounds, sample=False)
    for item in spoken:
        true = np.load(folder / f"{item.name}.performance.npz")["weights"]
        np.testing.assert_array_equal(item.performance.weights, true)
    assert json.loads((tmp_path / "speech" / "split.json").read_text()) == split
    poses = schedule(head, spoken, 12, 0, faces=False)
    assert {pose.kind for pose in poses} == {"speech"}
    assert len({pose.frame for pose in poses}) == 12
    with pytest.raises(BadInputError, match="speech alone"):
        schedule(head, spoken[:1], 100_000, 0, faces=False)
