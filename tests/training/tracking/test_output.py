# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written of a track: when a folder becomes a capture, and which recordings it has."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from engine.heads.default import load_default_head
from tests.training.tracking.made_capture import made_capture, true_fit
from training.data.layout import transforms_path
from training.data.recordings import RECORD, SPEECH
from training.tracking import output
from training.tracking.film import Film
from training.tracking.recordings import SOUND, write_recordings
from training.tracking.scan import GOOD, NO_FACE, Scan
from training.tracking.sound import Said

FPS = 10.0


def test_a_folder_is_a_capture_once_all_is_written(tmp_path, monkeypatch):
    def stop(path, _frames):
        written.append(path)
        assert (tmp_path / RECORD).is_file()
        if path == transforms_path(tmp_path, "train"):
            raise InterruptedError

    written = []
    monkeypatch.setattr(output, "write_transforms", stop)
    with pytest.raises(InterruptedError):
        made_capture(tmp_path, true_fit(12), true_fit(12))
    assert written == [transforms_path(tmp_path, split) for split in ("test", "val", "train")]


def spoken(folder, lost, *names, mute=(), opening=0.0):
    """The recordings of videos of four seconds each, of which frames are lost, and the notes.

    Of mute frames the sound is zero; the jaw opens and closes by ``opening`` twice a second.
    """
    count, head = 40 * len(names), load_default_head()
    sound = np.random.default_rng(0).normal(0, 0.01, (count, 1600))
    sound[list(mute)] = 0.0
    soundfile.write(folder / SOUND, sound.ravel(), 16000)
    expression = np.zeros((count, len(head.expression_names)))
    jaw = head.expression_names.index("jawOpen")
    expression[:, jaw] = opening * np.sin(0.2 * np.pi * np.arange(count)) ** 2
    films = [Film(Path(f"{name}.mp4"), 180, 240, FPS, 40, sound=True) for name in names]
    whole = Film(films[0].path, 180, 240, FPS, count, sound=True, takes=tuple(films))
    state = np.full(count, GOOD, np.int8)
    state[lost] = NO_FACE
    ones = np.ones(count)
    points, takes = np.zeros((count, 478, 2), np.float32), np.repeat(np.arange(len(names)), 40)
    scan = Scan(points, state, takes, FPS, ones, ones, np.zeros(count, bool))
    notes = []
    writer = SimpleNamespace(write_motion=lambda *_: None)
    job = SimpleNamespace(note=notes.append)
    said = Said((), (), "en", np.zeros(count), ())
    track = SimpleNamespace(scan=scan, head=head, fit=SimpleNamespace(expression=expression))
    return write_recordings(folder, whole, track, writer, said, job), notes


def test_what_is_said_in_frames_that_were_dropped_is_no_recording_and_that_is_noted(tmp_path):
    """Here every third one: in no stretch is a face seen long enough."""
    recordings, notes = spoken(tmp_path, slice(40, 80, 3), "monday", "friday")
    assert recordings == [("000-monday", 0, 40)]
    (note,) = notes
    assert note.startswith("4.0 s of the sound are no recording")


def test_who_comes_late_and_leaves_early_is_recorded_in_between(tmp_path):
    lost = np.r_[0:9, 20:24, 33:40]
    recordings, notes = spoken(tmp_path, lost, "monday")
    assert recordings == [("000-monday", 9, 33)]
    (note,) = notes
    assert note.startswith("1.6 s of the sound are no recording")


def test_a_face_that_is_away_for_long_parts_two_recordings(tmp_path):
    recordings, _ = spoken(tmp_path, slice(50, 62), "monday", "friday")
    assert recordings == [("000-monday", 0, 40), ("001-friday", 40, 50), ("002-friday", 62, 80)]


@pytest.mark.parametrize("mute", [range(25, 40), range(20), range(10, 28)])
def test_where_lips_move_and_the_sound_holds_nothing_is_no_recording(tmp_path, mute):
    recordings, notes = spoken(tmp_path, [], "monday", mute=mute, opening=0.5)
    kept = sorted(set(range(40)) - set(mute))
    assert [f for _, first, last in recordings for f in range(first, last)] == kept
    (note,) = notes
    assert note.startswith(f"{len(mute) / 10:.1f} s are no recording: the lips move there")


def test_lips_that_rest_in_silence_are_recorded(tmp_path):
    recordings, notes = spoken(tmp_path, [], "monday", mute=range(15, 35), opening=0.02)
    assert recordings == [("000-monday", 0, 40)]
    assert not notes


def test_a_sound_that_holds_nothing_for_less_than_a_second_is_a_pause(tmp_path):
    recordings, _ = spoken(tmp_path, [], "monday", mute=range(15, 23), opening=0.5)
    assert recordings == [("000-monday", 0, 40)]


def test_a_long_name_of_a_video_leaves_room_for_endings(tmp_path):
    """A file's name has 255 bytes, and letters up to four."""
    recordings, notes = spoken(tmp_path, [], "Я" * 125, "Я" * 124)
    names = [name for name, _, _ in recordings]
    assert len(set(names)) == 2
    for name in names:
        assert (tmp_path / SPEECH / f"{name}.wav").is_file()
        assert len(f"{name}.performance.npz".encode()) < 255 - 40
    assert not notes
