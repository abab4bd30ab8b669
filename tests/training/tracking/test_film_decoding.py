# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as cameras, camcorders and browsers write them."""

from fractions import Fraction

import av
import numpy as np
import pytest

from engine.core.errors import BadInputError
from tests.training.tracking.test_film import grey, levels, numbered, write_times
from training.tracking.film import open_film, pictures

SIZE = (192, 256)
"""Height and width: whole blocks, which nothing is padded to."""


def marked():
    """A picture that is bright in its upper left corner, and less so along its upper edge."""
    picture = np.full((*SIZE, 3), 20, np.uint8)
    picture[: SIZE[0] // 4] = 120
    picture[: SIZE[0] // 4, : SIZE[1] // 4] = 240
    return picture


def write(path, frames, *, matrix=None, aspect=None, options=None):
    """A film of 25 frames a second."""
    options = {"crf": "5"} | (options or {})
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], "yuv420p"
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = aspect
        if matrix is not None:
            stream.set_display_matrix(matrix)
        for number, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def as_displayed(picture, matrix):
    """What the matrix of a track header (ISO 14496-12) shows: pixel by pixel."""
    a, b, c, d = (round(matrix[i] / 65536) for i in (0, 1, 3, 4))
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    to_x, to_y = a * x + c * y, b * x + d * y
    to_x, to_y = to_x - to_x.min(), to_y - to_y.min()
    shown = np.zeros((to_y.max() + 1, to_x.max() + 1, 3), np.uint8)
    shown[to_y, to_x] = picture
    return shown


@pytest.mark.parametrize(
    "turn",
    [(1, 0, 0, 1), (0, 1, -1, 0), (-1, 0, 0, -1), (0, -1, 1, 0),
     (-1, 0, 0, 1), (1, 0, 0, -1), (0, 1, 1, 0), (0, -1, -1, 0)],
)  # fmt: skip
def test_what_metadata_turns_or_mirrors_is_shown_so(tmp_path, turn):
    a, b, c, d = (value * 65536 for value in turn)
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    write(tmp_path / "a.mp4", [marked()] * 30, matrix=matrix)
    film = open_film(tmp_path / "a.mp4", 1280)
    expected = as_displayed(marked(), matrix)
    assert (film.height, film.width) == expected.shape[:2]
    _, image = next(pictures(film))
    assert np.abs(image.astype(int) - expected).mean() < 4


@pytest.mark.parametrize("aspect", [Fraction(4, 3), Fraction(8, 9)])
def test_pixels_that_are_no_squares_become_such(tmp_path, aspect):
    write(tmp_path / "a.mp4", [marked()] * 30, aspect=aspect)
    film = open_film(tmp_path / "a.mp4", 1280)
    wide = round(SIZE[1] * aspect)
    assert (film.width, film.height, film.file_size) == (wide, SIZE[0], (wide, SIZE[0]))
    _, image = next(pictures(film))
    assert image.shape == (SIZE[0], wide, 3)
    assert image[8, : wide // 4 - 8].mean() > 200
    assert image[8, wide // 4 + 8 :].mean() < 140


def test_sides_of_a_pixel_that_cannot_be_are_no_matter(tmp_path):
    write(tmp_path / "a.mkv", [marked()] * 30, aspect=Fraction(200, 1))
    assert open_film(tmp_path / "a.mkv", 1280).width == SIZE[1]


def bar(at):
    picture = np.full((*SIZE, 3), 20, np.uint8)
    picture[:, at : at + 12] = 230
    return picture


def comb(image):
    """How unlike neighbouring lines are, against lines two apart."""
    rows = image.astype(float)[40:-40].mean(axis=2)
    return np.abs(np.diff(rows, axis=0)).mean() / (np.abs(rows[2:] - rows[:-2]).mean() + 1)


@pytest.mark.parametrize("fields", [True, False])
def test_pictures_of_two_fields_become_whole(tmp_path, fields):
    options = {"x264-params": "tff=1"} if fields else {}
    woven = []
    for number in range(30):
        woven.append(bar(16 * number % 208))
        woven[-1][1::2] = bar((16 * number + 8) % 208)[1::2]
    film = open_film(write(tmp_path / "a.mp4", woven, options=options), 1280)
    assert film.interlaced == fields
    assert any("interlaced" in note for note in film.notes) == fields
    found = [image for _, image in pictures(film)]
    assert len(found) == 30
    assert (comb(found[10]) < 1) == fields
    # Each keeps its time: the bar of one of its fields.
    assert 156 < np.argmax(found[10][::2].mean(axis=(0, 2)) > 150) < 172


def test_a_relative_path_may_hold_colons(tmp_path, monkeypatch):
    numbered(tmp_path / "a.mp4").rename(tmp_path / "10:30 tàke.mp4")
    monkeypatch.chdir(tmp_path)
    name = tmp_path.__class__("10:30 tàke.mp4")
    assert levels(open_film(name, 1280)) == list(range(50))


def test_frames_that_are_missing_do_not_lower_the_rate(tmp_path):
    times = [number / 25 for number in range(50) if not 10 <= number < 40] + [2.0, 6.0, 6.04]
    film = open_film(write_times(tmp_path / "a.mkv", times), 1280)
    assert (film.fps, film.file_fps, film.frames) == (25.0, pytest.approx(25.0), 152)
    assert not [remark for remark in film.remarks if "frames a second" in remark]
    assert len(levels(film)) == 152


def test_a_file_that_states_neither_rate_nor_length_is_measured(tmp_path):
    # As a browser writes it while it records: ticks of a thousandth, and no index.
    path = tmp_path / "a.webm"
    options = {"live": "1"}
    with av.open(str(path), "w", format="webm", options=options) as container:
        stream = container.add_stream("libvpx", rate=1000, options={"deadline": "realtime"})
        stream.width, stream.height, stream.pix_fmt = 200, 160, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(grey(20 + 3 * number), format="rgb24")
            frame.pts, frame.time_base = round(1000 * number / 30), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    film = open_film(path, 1280)
    assert film.fps == pytest.approx(30.0, abs=0.05)
    assert film.frames in {60, 61}
    assert not [remark for remark in film.remarks if "1000" in remark]


def test_what_is_damaged_within_a_film_is_left_out(tmp_path):
    path = write(
        tmp_path / "a.mkv", [grey(20 + 4 * n, SIZE) for n in range(50)], options={"g": "1"}
    )
    data = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    for packet in packets[20:30]:
        at = data.index(packet)
        data[at : at + len(packet)] = bytes(len(packet))
    path.write_bytes(data)
    assert levels(open_film(path, 1280)) == [*range(20), *[19] * 5, *[30] * 6, *range(31, 50)]


def test_a_film_that_is_gone_meanwhile_is_named(tmp_path):
    film = open_film(numbered(tmp_path / "a.mp4"), 1280)
    film.path.unlink()
    with pytest.raises(BadInputError, match=r"a\.mp4 cannot be decoded"):
        next(pictures(film))
