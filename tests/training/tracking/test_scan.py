# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import numpy as np
import pytest

from engine.core.errors import BadInputError, CancelledError
from engine.rendering.video import write_video
from training.tracking.film import open_film
from training.tracking.landmarks import LIPS, FaceLandmarks
from training.tracking.scan import BLUR, FROZEN, GOOD, HAND, NO_FACE, TRANSITION, TWO_FACES, scan

FRAMES = 40


def face_at(x, y, size=60.0):
    """A made face: lips at its lower middle, the rest spread over it."""
    rng = np.random.default_rng(0)
    points = rng.uniform(0, size, (478, 2))
    mouth = np.array([size / 2, 0.75 * size])
    points[list(LIPS)] = mouth + rng.uniform(-6, 6, (len(LIPS), 2))
    points[[33, 263]] = [[5, 20], [size - 5, 20]]
    return FaceLandmarks((points + np.array([x, y])).astype(np.float32))


class Faces:
    """Detects what it is given for each frame."""

    name = "made"

    def __init__(self, by_frame=None, fps=25.0):
        self.by_frame, self.fps, self.seen = by_frame or {}, fps, []

    def detect(self, _image, seconds):
        frame = round(seconds * self.fps)
        self.seen.append(frame)
        return self.by_frame.get(frame, [face_at(70, 60)])

    def close(self):
        pass


class Hands:
    def __init__(self, frames=()):
        self.frames, self.count = frames, -2

    def detect(self, _image):
        self.count += 2
        mouth = face_at(70, 60).points[list(LIPS)].mean(0)
        return [np.tile(mouth, (21, 1))] if self.count in self.frames else []

    def close(self):
        pass


def flickering(picture, frame):
    """No camera takes the same picture twice."""
    return (0.96 * picture + 5 * (frame % 2)).astype(np.uint8)


def film(tmp_path, blurred=(), changed=FRAMES, softer=()):
    rng = np.random.default_rng(1)
    sharp = rng.integers(0, 255, (200, 200, 3), np.uint8)
    other = 255 - np.kron(rng.integers(0, 255, (4, 4, 3)), np.ones((50, 50, 1))).astype(np.uint8)

    def frames():
        for frame in range(FRAMES):
            picture = sharp if frame < changed else other
            picture = flickering(picture, frame)
            if frame in softer:
                picture = (0.7 * picture + 0.3 * 120).astype(np.uint8)
            yield np.full_like(picture, 120) if frame in blurred else picture

    write_video(tmp_path / "a.mp4", frames(), 25.0, quality=8)
    return open_film(tmp_path / "a.mp4", 640)


def scanned(film, folder, faces=None, hands=None):
    return scan(film, faces or Faces(), hands or Hands(), folder, lambda _share, _message: None)


def test_each_frame_has_its_reason(tmp_path):
    faces = Faces({5: [], 9: [face_at(70, 60), face_at(5, 5, 55)]})
    found = scanned(film(tmp_path, blurred=(14,)), tmp_path, faces, Hands(frames=(20,)))
    assert found.state[[5, 9, 14, 20]].tolist() == [NO_FACE, TWO_FACES, BLUR, HAND]
    assert found.dropped() == {
        "no face": 1,
        "two faces": 1,
        "blurred": 1,
        "hand before the mouth": 4,
    }
    assert (found.state == GOOD).sum() == FRAMES - 7


def test_a_hand_that_is_lost_for_a_few_frames_is_still_there(tmp_path):
    found = scanned(film(tmp_path), tmp_path, hands=Hands(frames=(10, 16, 30)))
    hidden = [*range(9, 19), *range(29, 33)]
    assert np.flatnonzero(found.state == HAND).tolist() == hidden


def test_a_small_second_face_is_left_alone(tmp_path):
    faces = Faces({9: [face_at(70, 60), face_at(5, 5, 20)]})
    assert not scanned(film(tmp_path), tmp_path, faces).dropped()


def test_a_cut_begins_another_take(tmp_path):
    faces = Faces({frame: [face_at(10, 100)] for frame in range(25, FRAMES)})
    found = scanned(film(tmp_path, changed=25), tmp_path, faces)
    assert found.cuts == [25]


def test_what_lies_between_two_cuts_that_are_close_is_a_transition(tmp_path):
    """Each picture of a zoom is a cut to the next; the takes are what comes before and after."""
    moving = {25 + step: [face_at(64 + 20 * (step % 2), 100)] for step in range(4)}
    after = {frame: [face_at(10, 100)] for frame in range(29, FRAMES)}
    found = scanned(film(tmp_path, changed=25), tmp_path, Faces(moving | after))
    assert found.cuts == [29]
    assert np.flatnonzero(found.state == TRANSITION).tolist() == [25, 26, 27, 28]
    assert found.dropped()["transition"] == 4


def test_soft_frames_in_which_landmarks_jump_count_little(tmp_path):
    jumped = {frame: [face_at(74, 64)] for frame in (14, 30)}
    found = scanned(film(tmp_path, softer=(14, 22)), tmp_path, Faces(jumped))
    assert not found.dropped()
    assert found.trust[14] < 0.1
    assert np.flatnonzero(found.trust < 1).tolist() == [14]
    assert 14 not in found.sharp
    assert len(found.sharp) == FRAMES - 1


def test_each_take_is_as_sharp_as_it_is(tmp_path):
    """A soft one after a cut is not blurred for that; a blurred frame of it is."""
    sharp = np.random.default_rng(1).integers(0, 255, (200, 200, 3), np.uint8)
    soft = np.clip(0.2 * sharp + 160, 0, 255).astype(np.uint8)
    shown = [sharp] * 60 + [soft] * 40
    shown[80] = np.full_like(soft, 185)
    shown = (flickering(picture, frame) for frame, picture in enumerate(shown))
    write_video(tmp_path / "a.mp4", shown, 25.0, quality=8)
    found = scanned(open_film(tmp_path / "a.mp4", 640), tmp_path)
    assert found.cuts == [60]
    assert np.flatnonzero(found.state == BLUR).tolist() == [80]
    assert found.sharpness[0] > 5 * found.sharpness[99]
    assert (found.trust == 1).all()


def still_from(tmp_path, first, last):
    """A film whose picture stands still over some frames."""
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 255, (200, 200, 3), np.uint8)
    shown = [flickering(picture, 0 if first <= n < last else n + 1) for n in range(FRAMES)]
    write_video(tmp_path / "a.mp4", iter(shown), 25.0, quality=1)
    return open_film(tmp_path / "a.mp4", 640)


def test_a_picture_that_stands_still_shows_nothing_new(tmp_path):
    found = scanned(still_from(tmp_path, 12, 30), tmp_path)
    frozen = np.flatnonzero(found.state == FROZEN)
    assert set(frozen) <= set(range(12, 30))
    assert len(frozen) >= 15
    assert found.dropped() == {"the picture stands still": len(frozen)}


def test_a_few_frames_that_are_shown_twice_are_no_stop(tmp_path):
    assert not scanned(still_from(tmp_path, 12, 20), tmp_path).dropped()


def test_a_photo_as_a_film_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="the picture stands still") as caught:
        scanned(still_from(tmp_path, 0, FRAMES), tmp_path)
    assert "photo cannot speak" in caught.value.hint


def test_no_face_at_all_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="shows no face in 40 frames"):
        scanned(film(tmp_path), tmp_path, Faces({frame: [] for frame in range(FRAMES)}))


def test_two_faces_all_the_time_are_refused(tmp_path):
    both = [face_at(100, 60), face_at(5, 5, 55)]
    with pytest.raises(BadInputError, match="two faces in 40") as caught:
        scanned(film(tmp_path), tmp_path, Faces(dict.fromkeys(range(FRAMES), both)))
    assert "one person" in caught.value.hint


def test_a_face_of_a_few_pixels_is_refused(tmp_path):
    small = [face_at(70, 60, 25.0)]
    with pytest.raises(BadInputError, match="is small"):
        scanned(film(tmp_path), tmp_path, Faces(dict.fromkeys(range(FRAMES), small)))


def test_a_file_that_ends_before_the_other_cameras_begin_is_refused(tmp_path):
    late = replace(film(tmp_path), begin=FRAMES / 25.0 + 1.0)
    with pytest.raises(BadInputError, match=r"a\.mp4 has no picture from 2\.60 s on"):
        scanned(late, tmp_path)


def test_what_was_looked_at_is_not_looked_at_again(tmp_path, monkeypatch):
    monkeypatch.setattr("training.tracking.scan.CHUNK", 10)
    shown = film(tmp_path)

    def stop(share, _message):
        if share > 0.6:
            raise CancelledError

    with pytest.raises(CancelledError):
        scan(shown, Faces(), Hands(), tmp_path, stop)
    again = Faces()
    found = scanned(shown, tmp_path, again)
    assert min(again.seen) >= 19
    assert np.allclose(found.points, scanned(shown, tmp_path, Faces()).points)
    assert len(found.state) == FRAMES
