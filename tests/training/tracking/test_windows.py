# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of a film's pictures that a capture keeps."""

from pathlib import Path

import numpy as np
import pytest

from tests.training.tracking.made_capture import made_capture, true_fit
from training.data.multiview import MultiViewCapture
from training.data.silhouettes import projected
from training.tracking.film import Film
from training.tracking.windows import head_windows

LOW, HIGH = np.array([300.0, 200.0]), np.array([380.0, 300.0])


def film(file_size=(0, 0), size=(1280, 720), takes=()):
    return Film(Path("me.mp4"), *size, 25.0, 3, sound=False, file_size=file_size, takes=takes)


def windows_of(film, low=LOW, high=HIGH, largest=1280):
    """Of a head that stands still in the first frame, and goes to the right in the next two."""
    moved = np.arange(3)[:, None] * [20.0, 0.0]
    return head_windows(film, low + moved, high + moved, largest)


def test_a_window_holds_the_head_with_room_for_hair_and_follows_it():
    windows = windows_of(film())
    assert (windows.film.width, windows.film.height) == (1280, 720)
    for frame in range(3):
        low, high = windows.pixels(np.add([LOW, HIGH], [20.0 * frame, 0]), frame)
        assert (low > 40).all()
        assert windows.width - high[0] > 40
        assert 0 < windows.height - high[1] < 20
    assert windows.corners[2, 0] - windows.corners[0, 0] == 40


def test_a_small_head_is_cut_out_of_the_files_own_pictures():
    windows = windows_of(film(file_size=(3840, 2160)))
    assert (windows.film.width, windows.film.height) == (3840, 2160)
    assert windows.width == pytest.approx(3 * windows_of(film()).width, abs=3)
    corners = windows.pixels(np.array([LOW, HIGH]), 0)
    np.testing.assert_allclose(corners[1] - corners[0], 3 * (HIGH - LOW))


def test_windows_are_no_larger_than_wanted_and_the_file_is_not_made_larger():
    windows = windows_of(film(file_size=(3840, 2160)), largest=300)
    assert max(windows.width, windows.height) <= 300
    assert windows.film.width < 3840
    assert windows_of(film(file_size=(1280, 720))).film.width == 1280


def test_a_head_at_the_edge_has_a_window_inside_the_picture():
    windows = windows_of(film(), low=np.array([1190.0, 640.0]), high=np.array([1270.0, 720.0]))
    picture = np.zeros((720, 1280, 3), np.uint8)
    for frame in range(3):
        assert windows.cropped(picture, frame).shape == (windows.height, windows.width, 3)


def test_frames_that_are_not_kept_do_not_count():
    low, high = np.tile(LOW, (3, 1)), np.tile(HIGH, (3, 1))
    low[1], high[1] = np.nan, np.nan
    windows = head_windows(film(), low, high, 1280)
    assert (windows.width, windows.height) == (windows_of(film()).width, windows_of(film()).height)
    nothing = head_windows(film(), np.full((3, 2), np.nan), np.full((3, 2), np.nan), 1280)
    assert nothing.width >= 1


def test_the_camera_of_a_window_sees_what_the_picture_showed():
    windows = windows_of(film(file_size=(2560, 1440)))
    K = np.array([[900.0, 0, 640], [0, 900, 360], [0, 0, 1]])
    point = np.array([-0.1, -0.05, 0.5])
    seen = K @ point / point[2]
    ours = windows.intrinsics(K, 1) @ point / point[2]
    np.testing.assert_allclose(ours[:2], windows.pixels(seen[None, :2], 1)[0])


def test_takes_get_pictures_of_the_size_of_all():
    takes = (film(size=(640, 360)), film(size=(640, 360)))
    whole = film(size=(640, 360), file_size=(1280, 720), takes=takes)
    windows = windows_of(whole, low=LOW / 2, high=HIGH / 2)
    sizes = [(take.width, take.height) for take in windows.film.takes]
    assert sizes == [(1280, 720), (1280, 720)]


def test_the_head_of_a_capture_lies_on_its_pictures(tmp_path):
    """Its windows move with the head: every view has a camera of its own."""
    fit = true_fit(12)
    fit.translation[:] = np.linspace([-0.1, 0.0, 1.2], [0.1, 0.0, 1.2], 12)
    made_capture(tmp_path, fit, fit)
    capture = MultiViewCapture.open(tmp_path)
    views = [*capture.split("train"), *capture.split("val"), *capture.split("test")]
    assert len({float(view.camera.K[0, 2]) for view in views}) > 1
    for view in views:
        x, y = projected(view.vertices.numpy(), view.camera).T
        rows, columns = np.nonzero(view.alpha.numpy() > 0.5)
        assert abs(columns.min() - x.min()) < 4
        assert abs(rows.max() - y.max()) < 3
