# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import numpy as np
import pytest
import soundfile

from engine.core.errors import BadInputError
from engine.phonemes import Phone, Word
from engine.recognition.segmentation import load_segmentation
from tests.engine.recognition.text_grids import PHONES, WORDS, long_form, short_form
from training.data.speech import find_speech, load_aligned_speech


def alignment(*phones, text="hm(2)"):
    entries = [{"b": b, "d": d, "t": t} for t, b, d in phones]
    return {"b": 0, "d": 1, "t": text, "w": [{"b": 0, "d": 1, "t": text, "w": entries}]}


@pytest.fixture
def clip(tmp_path):
    def make(content, seconds=1.0, name="clip"):
        samples = 0.1 * np.sin(np.arange(int(seconds * 16_000)) / 10)
        path = tmp_path / f"{name}.wav"
        soundfile.write(path, samples, 16_000)
        text = content if isinstance(content, str) else json.dumps(content)
        path.with_name(f"{name}.phones.json").write_text(text)
        return path

    return make


def test_phones_and_words_come_back(clip):
    path = clip(alignment(("SIL", 0, 0.3), ("hh", 0.3, 0.2), ("M", 0.5, 0.4)))
    loaded = load_aligned_speech(path)
    assert loaded.phones == (Phone("SIL", 0, 0.3), Phone("HH", 0.3, 0.5), Phone("M", 0.5, 0.9))
    assert loaded.words == (Word("hm", 0, 0.9),)
    assert loaded.speech.duration == 1.0


@pytest.mark.parametrize(
    "content",
    [
        "not json",
        "[]",
        "{}",
        '{"t": "a", "w": 3}',
        '{"t": "a", "w": [{"w": [{"b": 0, "t": "A"}]}]}',
        alignment(),
        alignment(("AA", -1, 0.5)),
        alignment(("AA", 0, 0)),
        alignment(("AA", 0, float("nan"))),
        alignment(("AA", 0, 0.5), ("M", 0.2, 0.5)),
    ],
)
def test_what_is_no_alignment_is_named(clip, content):
    path = clip(content)
    with pytest.raises(BadInputError, match=r"clip\.phones\.json"):
        load_aligned_speech(path)


def test_an_alignment_of_another_recording_is_refused(clip):
    path = clip(alignment(("AA", 0, 3)))
    with pytest.raises(BadInputError, match="ends at 3 s"):
        load_aligned_speech(path)


def test_a_missing_alignment_is_named(clip):
    path = clip(alignment(("AA", 0, 0.5)))
    path.with_name("clip.phones.json").unlink()
    with pytest.raises(BadInputError, match=r"no alignment .*clip\.phones\.json"):
        load_aligned_speech(path)


def test_a_folder_gives_the_clips_that_have_an_alignment(clip, tmp_path):
    first = clip(alignment(("AA", 0, 0.5)), name="a")
    second = clip(alignment(("AA", 0, 0.5)), name="b")
    soundfile.write(tmp_path / "c.wav", np.zeros(16_000), 16_000)
    assert find_speech([tmp_path]) == (first, second)
    assert find_speech([second, tmp_path]) == (second, first)


def test_a_folder_without_clips_is_an_error(tmp_path):
    with pytest.raises(BadInputError, match="No speech"):
        find_speech([tmp_path])


def test_a_path_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"gone\.wav"):
        find_speech([tmp_path / "gone.wav"])


def test_the_recordings_load(recordings):
    for path in find_speech([recordings]):
        phones, words, transcript, _ = load_segmentation(path.with_name(path.stem + ".phones.json"))
        assert transcript == " ".join(word.text for word in words)
        assert {"SIL"} < {phone.label for phone in phones}


def test_a_folder_gives_the_clips_with_text_grids(tmp_path):
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / f"{name}.flac", np.zeros(16_000), 16_000)
    (tmp_path / "a.TextGrid").write_text(short_form(PHONES))
    (tmp_path / "c.textgrid").write_text(long_form(WORDS, PHONES))
    files = find_speech([tmp_path])
    assert [file.name for file in files] == ["a.flac", "c.flac"]
    assert [len(load_aligned_speech(file).words) for file in files] == [0, 1]
    (tmp_path / "a.TextGrid").write_text(short_form(("phones", [("M", 0, 9)]), end=9))
    with pytest.raises(BadInputError, match=r"a\.TextGrid ends at 9 s, but a\.flac lasts 1 s"):
        load_aligned_speech(files[0])


def test_hidden_files_are_no_speech(clip):
    path = clip(alignment(("AA", 0.0, 1.0)))
    for name in (path.name, "clip.phones.json"):
        path.with_name(f"._{name}").write_bytes(path.with_name(name).read_bytes())
    assert find_speech([path.parent]) == (path,)
