# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import random

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.arkit import ARKIT_NAMES, COLUMN
from engine.motion.interchange.face_curves import FaceCurves
from engine.motion.interchange.live_link import HEADER, read_live_link, write_live_link
from tests.fuzz.damage import damage

FIRST_COLUMNS = "Timecode,BlendshapeCount,EyeBlinkLeft,EyeLookDownLeft"
APP_ORDER = "EyeWideRight,JawForward,JawRight,JawLeft,JawOpen,MouthClose,MouthFunnel,MouthPucker,"
"""From the header of a file of the app."""
LAST_COLUMNS = (
    "NoseSneerRight,TongueOut,HeadYaw,HeadPitch,HeadRoll,LeftEyeYaw,LeftEyePitch,LeftEyeRoll,"
    "RightEyeYaw,RightEyePitch,RightEyeRoll"
)


def curves(frames=150, fps=60.0, seed=0):
    rng = np.random.default_rng(seed)
    return FaceCurves(
        fps,
        rng.random((frames, 52), np.float32),
        rng.uniform(-0.5, 0.5, (frames, 3)).astype(np.float32),
    )


def recording(lines, names=("Timecode", "BlendshapeCount", "JawOpen")):
    return "\n".join([",".join(names), *(",".join(map(str, line)) for line in lines), ""])


def test_the_header_is_that_of_the_app():
    header = ",".join(HEADER)
    assert header.startswith(FIRST_COLUMNS)
    assert APP_ORDER in header
    assert header.endswith(LAST_COLUMNS)
    assert len(HEADER) == 2 + 61


@pytest.mark.parametrize("fps", [24.0, 24 / 1.001, 25.0, 30.0, 60.0, 120.0])
def test_what_was_written_is_read_the_same(tmp_path, fps):
    made = curves(fps=fps)
    write_live_link(made, tmp_path / "a.csv")
    found = read_live_link(tmp_path / "a.csv")
    assert (found.fps, found.frames) == (pytest.approx(fps, rel=1e-6), made.frames)
    # A timecode counts thousandths of a frame.
    near = 1e-5 if fps == round(fps) else 1e-3
    np.testing.assert_allclose(found.weights, made.weights, atol=near)
    np.testing.assert_allclose(found.head_rotation, made.head_rotation, atol=near)


def test_a_line_says_time_count_and_values(tmp_path):
    made = curves(frames=62)
    write_live_link(made, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text("utf-8").splitlines()
    assert len(lines) == 63
    cells = lines[62].split(",")
    assert cells[:2] == ["00:00:01:01.000", "61"]
    assert float(cells[HEADER.index("JawRight")]) == pytest.approx(
        made.weights[61, COLUMN["jawRight"]], abs=1e-6
    )


def test_angles_are_radians_to_the_left_and_down(tmp_path):
    # A nod turns about +X, a turn to the left about +Y: the axes of head space.
    rotation = np.array([[0.2, 0, 0], [0, 0.3, 0], [0, 0, 0.1]], np.float32)
    weights = np.zeros((3, 52), np.float32)
    weights[:, COLUMN["eyeLookOutLeft"]] = weights[:, COLUMN["eyeLookInRight"]] = 1.0
    write_live_link(FaceCurves(30.0, weights, rotation), tmp_path / "a.csv")
    rows = np.genfromtxt(tmp_path / "a.csv", delimiter=",", names=True, dtype=None, encoding=None)
    np.testing.assert_allclose(rows["HeadPitch"], [0.2, 0, 0], atol=1e-6)
    np.testing.assert_allclose(rows["HeadYaw"], [0, 0.3, 0], atol=1e-6)
    np.testing.assert_allclose(rows["HeadRoll"], [0, 0, 0.1], atol=1e-6)
    assert (rows["LeftEyeYaw"] > 0.2).all()
    assert (rows["RightEyeYaw"] > 0.2).all()


def test_irregular_timecodes_are_resampled(tmp_path):
    # Lines at 0, 1, 4 and 5 sixtieths of a second of a mouth that opens evenly.
    lines = [(f"11:00:00:{frame:02}.000", 61, frame / 10) for frame in (0, 1, 4, 5)]
    (tmp_path / "a.csv").write_text(recording(lines))
    found = read_live_link(tmp_path / "a.csv", fps=60.0)
    np.testing.assert_allclose(found.weights[:, COLUMN["jawOpen"]], np.arange(6) / 10, atol=1e-6)


def test_the_rate_of_the_clock_shows_where_seconds_change(tmp_path):
    lines = [(f"00:00:{number // 25:02}:{number % 25:02}", 61, 0.5) for number in range(20, 60)]
    (tmp_path / "a.csv").write_text(recording(lines))
    found = read_live_link(tmp_path / "a.csv")
    assert (found.fps, found.frames) == (25.0, 40)


def test_a_short_file_is_of_the_apps_own_rate_unless_one_is_given(tmp_path):
    lines = [(f"00:00:00:{frame:02}.0", 61, 0.5) for frame in range(24)]
    (tmp_path / "a.csv").write_text(recording(lines))
    assert read_live_link(tmp_path / "a.csv").fps == 60.0
    assert read_live_link(tmp_path / "a.csv", rate=24.0).fps == 24.0


def test_a_recording_may_pass_midnight(tmp_path):
    times = ["23:59:59:58", "23:59:59:59", "00:00:00:00", "00:00:00:01"]
    (tmp_path / "a.csv").write_text(recording([(time, 61, 0.1) for time in times]))
    found = read_live_link(tmp_path / "a.csv", rate=60.0)
    assert found.frames == 4


def test_lines_may_be_out_of_order_or_twice(tmp_path):
    lines = [("00:00:00:00", 61, 0.0), ("00:00:00:02", 61, 0.2), ("00:00:00:01", 61, 0.9),
             ("00:00:00:01", 61, 0.1)]  # fmt: skip
    (tmp_path / "a.csv").write_text(recording(lines))
    found = read_live_link(tmp_path / "a.csv", fps=60.0, rate=60.0)
    np.testing.assert_allclose(found.weights[:, COLUMN["jawOpen"]], [0, 0.1, 0.2], atol=1e-6)


def test_columns_are_found_by_name(tmp_path):
    text = recording([("00:00:00:00", 3, 9.0, 0.25, 1.5)],
                     ("timecode", "BlendShapeCount", "Noise", "jawopen", "MOUTHCLOSE"))  # fmt: skip
    (tmp_path / "a.csv").write_text(text)
    found = read_live_link(tmp_path / "a.csv")
    expected = np.zeros(52, np.float32)
    expected[COLUMN["jawOpen"]], expected[COLUMN["mouthClose"]] = 0.25, 1.0
    np.testing.assert_allclose(found.weights[0], expected, atol=1e-6)


SMALL = recording([("00:00:00:00", 61, 0.25), ("00:00:00:01", 61, 0.75)])


@pytest.mark.parametrize(
    "data",
    [
        SMALL.encode("utf-8-sig"),
        SMALL.encode("utf-16"),
        SMALL.replace(",", ";").encode(),
        SMALL.replace(",", ";").replace(".", ",").encode(),
        SMALL.replace(",", "\t").encode(),
        SMALL.replace("\n", "\r\n").encode() + b"\r\n,,\r\n",
        SMALL.replace("0.25", "25").replace("0.75", "75").encode(),
        SMALL.replace("JawOpen", "Face.jaw_open").encode(),
    ],
)
def test_what_spreadsheets_and_other_programs_make_of_it_is_read(tmp_path, data):
    (tmp_path / "a.csv").write_bytes(data)
    found = read_live_link(tmp_path / "a.csv")
    np.testing.assert_allclose(found.weights[:, COLUMN["jawOpen"]], [0.25, 0.75])


def test_sides_may_be_letters(tmp_path):
    text = recording([("00:00:00:00", 0.1, 0.2)], ("Timecode", "eyeBlink_L", "mouthSmile_R"))
    (tmp_path / "a.csv").write_text(text)
    found = read_live_link(tmp_path / "a.csv").weights[0]
    assert found[COLUMN["eyeBlinkLeft"]] == pytest.approx(0.1)
    assert found[COLUMN["mouthSmileRight"]] == pytest.approx(0.2)


def test_parts_of_a_second_may_be_in_place_of_frames(tmp_path):
    lines = [(f"00:00:0{number // 30}.{1000 * number // 30 % 1000:03}", 61, number / 60)
             for number in range(45)]  # fmt: skip
    (tmp_path / "a.csv").write_text(recording(lines))
    found = read_live_link(tmp_path / "a.csv", fps=30.0)
    np.testing.assert_allclose(found.weights[:, COLUMN["jawOpen"]], np.arange(45) / 60, atol=1e-3)


@pytest.mark.parametrize("line", ["00:00:00:01,0,", "00:00:00:01,0", "00:00:00:01,0,NaN"])
def test_lines_in_which_no_face_was_seen_are_bridged(tmp_path, line):
    text = recording([("00:00:00:00", 61, 0.2), ("00:00:00:02", 61, 0.4)]).splitlines()
    (tmp_path / "a.csv").write_text("\n".join([*text[:2], line, text[2]]))
    found = read_live_link(tmp_path / "a.csv", fps=60.0)
    np.testing.assert_allclose(found.weights[:, COLUMN["jawOpen"]], [0.2, 0.3, 0.4], atol=1e-6)


def test_a_last_line_that_is_cut_off_is_left_out(tmp_path):
    names = ("Timecode", "BlendshapeCount", "JawOpen", "MouthClose")
    lines = [(f"00:00:00:{frame:02}", 61, 0.1, 0.2) for frame in range(3)]
    (tmp_path / "a.csv").write_text(recording(lines, names).rstrip()[:-4])
    assert read_live_link(tmp_path / "a.csv").frames == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no frame"),
        ("Timecode,BlendshapeCount,JawOpen\n", "holds no frame"),
        ("a,b\n1,2\n", "no timecodes or no ARKit weights"),
        ("Timecode,x\n00:00:00:00,2\n", "no timecodes or no ARKit weights"),
        (recording([("00:00:00:00", 61, "wide")]), "Line 2 of .*a.csv says JawOpen 'wide'"),
        (
            recording(
                [("00:00:00:00", 61, 0.1), ("00:00:00:01", 61, 1, 2), ("00:00:00:02", 61, 1)]
            ),
            "Line 3 of .*a.csv has 4 cells, and there are 3 names",
        ),
        (recording([("later", 61, 0.1)]), "Line 2 of .*a.csv has the timecode 'later'"),
        (recording([("0.016", 61, 0.1)]), "HH:MM:SS:FF"),
        (recording([("00:00:00:00", 61, "1e999")]), "no finite number"),
        (recording([("00:00:00:00", 61, "nan")]), "no weights in any line"),
        ("Timecode,JawOpen,JawLeft\n00:00:00:00,nan,0.1\n", "JawOpen 'nan'"),
        ("Timecode,JawOpen\n\n00:00:00:00,0.2\n\n00:00:00:01,x\n", "Line 5 of"),
        (recording([("00:00:00:00", 61, 0), ("09:00:00:00", 61, 0)]), "leap by 32400 s"),
        (recording([("00:00:00:00", 61, 0), ("00:02:00:00", 61, 0)]), "leap by 120 s"),
        (recording([("\u0663:00:00:00", 61, 0), ("00:00:00:01", 61, 0)]), "Line 2 of"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, text, message):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(BadInputError, match=message) as caught:
        read_live_link(tmp_path / "a.csv", fps=100.0)
    assert "a.csv" in caught.value.message


def test_damage_of_any_kind_is_an_error_with_a_remedy_or_harmless(tmp_path):
    write_live_link(curves(frames=5), tmp_path / "a.csv")
    data, rng = (tmp_path / "a.csv").read_bytes(), random.Random(1)
    path = tmp_path / "b.csv"
    for _ in range(200):
        path.write_bytes(damage(data, rng))
        try:
            found = read_live_link(path)
        except BadInputError:
            continue
        assert np.isfinite(found.weights).all()
        assert np.isfinite(found.head_rotation).all()
        assert found.weights.shape[1] == len(ARKIT_NAMES)


def test_there_is_no_such_file(tmp_path):
    with pytest.raises(BadInputError, match="There is no file"):
        read_live_link(tmp_path / "a.csv")
