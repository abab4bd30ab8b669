# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written of a track: when a folder becomes a capture, and which recordings it has."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from tests.training.tracking.made_capture import made_capture, true_fit
from training.data.layout import transforms_path
from training.data.recordings import RECORD, SPEECH
from training.tracking import output
from training.tracking.film import Film
from training.tracking.run import SOUND, _write_speech
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


def spoken(folder, lost, *names):
    """The recordings of videos of four seconds each, of which frames are lost, and the notes."""
    count = 40 * len(names)
    soundfile.write(folder / SOUND, np.zeros(count * 1600, np.int16), 16000)
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
    return _write_speech(folder, whole, SimpleNamespace(scan=scan), writer, said, job), notes


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


def test_a_long_name_of_a_video_leaves_room_for_endings(tmp_path):
    """A file's name has 255 bytes, and letters up to four."""
    recordings, notes = spoken(tmp_path, [], "Я" * 125, "Я" * 124)
    names = [name for name, _, _ in recordings]
    assert len(set(names)) == 2
    for name in names:
        assert (tmp_path / SPEECH / f"{name}.wav").is_file()
        assert len(f"{name}.performance.npz".encode()) < 255 - 40
    assert not notes
