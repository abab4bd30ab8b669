# SPDX-License-Identifier: GPL-3.0-or-later
"""Several videos of one person, filmed one after another."""

import errno
import json
import os
import re
import shutil
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

import engine.assets
from engine.core.errors import BadInputError, CancelledError
from engine.core.files import unwritable
from engine.core.progress import no_progress
from engine.jobs import folder as jobs
from engine.jobs.results import summarize
from engine.motion.performance import Performance
from engine.rendering.video import write_video
from tests.training.tracking.filmed_head import (
    FPS,
    NoHands,
    film_head,
    substitute_detectors,
)
from tests.training.tracking.test_scan import Faces, face_at
from training.cli import main
from training.data.layout_head_param import load_head_param
from training.data.multiview import MultiViewCapture
from training.data.recordings import find_recordings
from training.tracking import run
from training.tracking.film import open_film, pictures
from training.tracking.given_masks import GivenMasks
from training.tracking.landmarks import FaceLandmarks
from training.tracking.observations import FrameFit
from training.tracking.scan import GOOD, NO_FACE, Scan, scan
from training.tracking.takes import alike, joined
from training.tracking.track import _interpolated

SAMPLE_VOICE = Path(engine.assets.__file__).with_name("sample_voice.wav")
FRAMES = 16
NAMES = ("monday.mp4", "friday.mp4", "silent.mp4")


def grey(path, levels, size=(160, 200), fps=25.0, sound=None):
    pictures = (np.full((*size, 3), level, np.uint8) for level in levels)
    write_video(path, pictures, fps, sound, quality=5)
    return open_film(path, 1280)


def scan_of(count, takes=None, *, smeared=False):
    none = np.zeros((count, 478, 2), np.float32)
    takes = np.zeros(count, np.intp) if takes is None else np.array(takes)
    state = np.full(count, GOOD, np.int8)
    return Scan(none, state, takes, 25.0, np.ones(count), np.ones(count), np.full(count, smeared))


def without_sound(path, target):
    with av.open(str(path)) as source, av.open(str(target), "w") as out:
        pictures = source.streams.video[0]
        kept = out.add_stream_from_template(pictures)
        for packet in source.demux(pictures):
            if packet.dts is not None:
                packet.stream = kept
                out.mux(packet)


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    """Three takes that show the same; the last has no sound."""
    folder = tmp_path_factory.mktemp("films")
    film = film_head(folder / "monday.mp4", SAMPLE_VOICE, FRAMES)
    # Another file with the same pictures: an empty atom follows them.
    (folder / "friday.mp4").write_bytes(film.path.read_bytes() + b"\0\0\0\x08free")
    without_sound(film.path, folder / "silent.mp4")
    return film


@pytest.fixture(scope="module")
def tracked(filmed, tmp_path_factory):
    out = tmp_path_factory.mktemp("tracked") / "capture"
    with pytest.MonkeyPatch.context() as patch:
        substitute_detectors(patch, filmed)
        videos = [str(filmed.path.with_name(name)) for name in NAMES]
        assert main(["track", *videos, "--out", str(out)]) == 0
    return jobs.show(out)


@pytest.fixture(scope="module")
def capture(tracked):
    return tracked.folder


@pytest.mark.slow
def test_takes_become_one_capture_of_one_person(capture):
    opened = MultiViewCapture.open(capture)
    frames = [f for s in ("train", "val", "test") for f in opened.split(s).frames]
    assert len(frames) == 3 * FRAMES
    summary = json.loads((capture / "report.json").read_text())["summary"]
    assert summary["videos"] == [
        {"video": name, "first_frame": number * FRAMES, "frames": FRAMES}
        for number, name in enumerate(NAMES)
    ]
    assert summary["cuts"] == [FRAMES, 2 * FRAMES]


@pytest.mark.slow
def test_each_take_is_met_as_well_as_the_other(capture):
    """All show the same, so the same is found; the pictures are those of their own time."""
    record = json.loads((capture / "capture.json").read_text())
    assert record["made_of"]["video"] == list(NAMES)
    assert [row["take"] for row in record["timesteps"]] == [0] * 16 + [1] * 16 + [2] * 16
    opened = MultiViewCapture.open(capture)
    views = {f.timestep: f for s in ("train", "val", "test") for f in opened.split(s).frames}
    for step in range(FRAMES):
        one, other = (views[step + late] for late in (0, FRAMES))
        first, second = (load_head_param(capture / f.param) for f in (one, other))
        turned = first.head_matrix[:3, :3].T @ second.head_matrix[:3, :3]
        assert np.degrees(np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1))) < 1.0
        a, b = (np.asarray(Image.open(capture / f.image), np.float32) for f in (one, other))
        assert np.abs(a - b).mean() < 2.0


@pytest.mark.slow
def test_recordings_are_named_by_their_video_and_none_is_of_two(capture, tracked):
    """In the order of the videos, for the last ones are tested on, as the last pictures are."""
    found = find_recordings(capture)
    assert found.names == ["000-monday", "001-friday"]
    for recording in found.every:
        assert Performance.load(recording.motion).frames == FRAMES
    assert [note for note in tracked.status.notes if note.startswith("silent.mp4: It has no sound")]


def refused(capsys, *arguments):
    assert main(["track", *map(str, arguments)]) == 2
    return capsys.readouterr().err.strip().splitlines()[-1]


def test_videos_of_another_shape_are_refused(filmed, tmp_path, capsys):
    other = tmp_path / "wide.mp4"
    write_video(other, (np.zeros((180, 240, 3), np.uint8) for _ in range(20)), FPS)
    said = refused(capsys, filmed.path, other, "--out", tmp_path / "out")
    assert "wide.mp4 has 240×180 pixels" in said
    assert "--cameras" in said
    assert not (tmp_path / "out").exists()


def test_times_without_a_calibration_are_refused(filmed, tmp_path, capsys):
    said = refused(capsys, filmed.path, "--offsets", "0", "--out", tmp_path / "out")
    assert "--offsets" in said
    assert "--cameras" in said


def test_a_video_given_twice_is_refused(filmed, tmp_path, capsys):
    said = refused(capsys, filmed.path, filmed.path, "--out", tmp_path / "out")
    assert "monday.mp4 is given twice" in said
    (tmp_path / "other").mkdir()
    other = shutil.copy(filmed.path.with_name("friday.mp4"), tmp_path / "other" / "monday.mp4")
    said = refused(capsys, filmed.path, other, "--out", tmp_path / "out")
    assert "monday.mp4 are both called monday" in said
    said = refused(capsys, filmed.path, shutil.copy(filmed.path, tmp_path), "--out", tmp_path / "o")
    assert str(tmp_path / "monday.mp4") in said
    copied = shutil.copy(filmed.path, tmp_path / "tuesday.mp4")
    said = refused(capsys, filmed.path, copied, "--out", tmp_path / "out")
    assert "monday.mp4 and" in said
    assert "tuesday.mp4 are the same video" in said


def test_takes_without_a_folder_of_masks_are_refused_at_once(filmed, tmp_path, capsys):
    (tmp_path / "masks" / "monday").mkdir(parents=True)
    videos = [filmed.path.with_name(name) for name in NAMES]
    said = refused(capsys, *videos, "--masks", tmp_path / "masks", "--out", tmp_path / "out")
    assert f"no folder {tmp_path / 'masks' / 'friday'}" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_of_two_links_to_one_video_all_paths_are_said(filmed, tmp_path, capsys):
    links = [tmp_path / name for name in NAMES[:2]]
    for link in links:
        link.symlink_to(filmed.path)
    said = refused(capsys, *links, "--out", tmp_path / "out")
    for path in (*links, filmed.path):
        assert str(path) in said
    assert "lead to the same video" in said


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
@pytest.mark.parametrize("command", [["track"], ["train", "person"]])
def test_videos_are_called_as_they_are_given(filmed, tmp_path, monkeypatch, command):
    """Links too: their targets may be of one name."""
    given = []
    for name in ("monday", "friday"):
        (tmp_path / name).mkdir()
        shutil.copy(filmed.path.with_name(f"{name}.mp4"), tmp_path / name / "video.mp4")
        (tmp_path / f"{name}.mp4").symlink_to(tmp_path / name / "video.mp4")
    videos = [str(tmp_path / name) for name in NAMES[:2]]

    def track(paths, *_, **__):
        given.extend(paths)
        raise CancelledError

    monkeypatch.setattr("training.tracking.run.track_videos", track)
    assert main([*command, *videos, "--out", str(tmp_path / "out")]) == 0
    assert [str(path) for path in given] == videos
    job = jobs.show(tmp_path / "out")
    assert summarize(job).needs == tuple(
        str(tmp_path / name / "video.mp4") for name in ("monday", "friday")
    )


def test_a_small_face_is_no_larger_for_its_pictures(tmp_path):
    """Those of a take that is smaller than the first are made larger."""
    large = grey(tmp_path / "a.mp4", range(50), size=(400, 500))
    small = grey(tmp_path / "b.mp4", range(50), size=(200, 250))
    _, film = alike([large, small])
    faces = Faces({frame: [face_at(70, 60, 40.0)] for frame in range(50)})
    with pytest.raises(BadInputError, match=r"b\.mp4 is small: 15 pixels"):
        scan(film, faces, NoHands(), tmp_path, no_progress)


@pytest.mark.parametrize("fps", [12.5, 15.0, 24000 / 1001, 30.0, 60.0, 100.0])
def test_a_take_of_another_rate_lasts_as_long_as_it_does(tmp_path, fps):
    first = grey(tmp_path / "a.mp4", range(50), fps=25.0)
    other = grey(tmp_path / "b.mp4", [100] * round(2 * fps), fps=fps)
    for film in alike([first, other]):
        assert len([*pictures(film)]) == film.frames == 50


def test_what_becomes_of_other_rates_is_said(tmp_path):
    films = [
        grey(tmp_path / "a.mp4", range(60), fps=30.0),
        grey(tmp_path / "b.mp4", [0] * 240, fps=120.0),
        grey(tmp_path / "c.mp4", range(30), fps=15.0),
    ]
    assert "Of 120 frames a second 60 are tracked." in films[1].remarks
    whole, _ = joined(alike(films), [scan_of(60)] * 3)
    assert [remark for remark in whole.remarks if "frames a second" in remark] == [
        "b.mp4: Of 120 frames a second 30 are tracked.",
        "c.mp4: Its 15 frames a second are repeated to be 30.",
    ]


def test_frames_without_a_face_are_not_between_two_takes():
    found = scan_of(8, [0] * 4 + [1] * 4)
    found.state[[1, 3, 4, 6]] = NO_FACE
    at = np.array([0.0, 2.0, 10.0, 12.0])
    still = np.tile(np.eye(3), (4, 1, 1))
    whole = _interpolated(FrameFit(still, np.tile(at[:, None], 3), at[:, None]), found)
    assert whole.translation[:, 0].tolist() == [0, 1, 2, 2, 10, 10, 11, 12]
    assert whole.expression[:, 0].tolist() == [0, 1, 2, 2, 10, 10, 11, 12]


def test_takes_get_the_size_and_the_rate_of_the_first(tmp_path):
    first = grey(tmp_path / "a.mp4", range(20, 70), size=(160, 200))
    second = grey(tmp_path / "b.mp4", range(100, 200), size=(320, 400), fps=50.0)
    films = alike([first, second])
    assert {(film.width, film.height, film.fps) for film in films} == {(200, 160, 25.0)}
    assert films[1].scale == 0.5
    whole, found = joined(films, [scan_of(50), scan_of(50, [0] * 20 + [1] * 30)])
    assert whole.frames == 100
    assert found.cuts == [50, 70]
    shown = [round(image.mean()) for _, image in pictures(whole)]
    assert np.abs(np.array(shown[:50]) - np.arange(20, 70)).max() <= 2
    assert np.abs(np.array(shown[50:]) - np.arange(100, 200, 2)).max() <= 2
    assert [number for number, _ in pictures(whole, 60)] == list(range(60, 100))
    assert whole.take_of(49).path.name == "a.mp4"
    assert whole.take_of(50).path.name == "b.mp4"


def test_one_compressed_take_leaves_the_others_as_they_are(tmp_path):
    films = [grey(tmp_path / f"{name}.mp4", range(50)) for name in "ab"]
    _, found = joined(alike(films), [scan_of(50), scan_of(50, smeared=True)])
    assert found.smeared.tolist() == [False] * 50 + [True] * 50


def test_the_masks_of_a_take_follow_those_of_the_one_before(tmp_path):
    masks = {"b": [10, 20], "a": [30, 40, 50]}
    for name, levels in masks.items():
        (tmp_path / name).mkdir()
        for number, level in enumerate(levels):
            # Without zeros before, as programs number them, and with what macOS leaves.
            Image.new("L", (8, 6), level).save(tmp_path / name / f"{number + 9}.png")
            (tmp_path / name / f"._{number + 9}.png").write_bytes(b"Mac OS X")
    given = GivenMasks([(tmp_path / "b", 2), (tmp_path / "a", 3)])
    found = [round(255 * given.mask(frame, 8, 6).mean()) for frame in range(5)]
    assert found == [10, 20, 30, 40, 50]
    with pytest.raises(BadInputError, match=r"9\.png has 8×6 pixels, its picture 6×8"):
        given.mask(0, 6, 8)
    with pytest.raises(BadInputError, match="a has 3 masks for 2 frames"):
        GivenMasks([(tmp_path / "b", 2), (tmp_path / "a", 2)])


def test_a_mask_that_is_missing_is_named(tmp_path):
    for number in (8, 9, 11):
        Image.new("L", (8, 6)).save(tmp_path / f"mask{number}.png")
    with pytest.raises(BadInputError, match=r"frames; none is between mask9\.png and mask11\.png"):
        GivenMasks([(tmp_path, 4)])


@pytest.mark.parametrize(
    ("mask", "said"), [(None, "has no masks"), ((100, 300), r"100×300 pixels, its picture")]
)
def test_masks_that_cannot_be_used_are_refused_before_anything_is_looked_at(
    tmp_path, capsys, mask, said
):
    film = grey(tmp_path / "a.mp4", range(50))
    (tmp_path / "masks").mkdir()
    if mask is not None:
        Image.new("L", mask).save(tmp_path / "masks" / "0.png")
    out = tmp_path / "out"
    words = ["track", str(film.path), "--masks", str(tmp_path / "masks"), "--out", str(out)]
    assert main(words) == 2
    assert re.search(said, capsys.readouterr().err)
    assert not out.exists()


def test_takes_of_which_one_is_refused_leave_nothing(filmed, tmp_path, monkeypatch, capsys):
    """So that the same folder can be given with another in its place."""
    shown = iter([lambda frame: [FaceLandmarks(filmed.points[frame])], lambda _frame: []])
    substitute_detectors(monkeypatch, filmed)
    plain = run.open_detector

    def opened(model=None, *, still=False):
        detector = plain(model, still=still)
        if not still:
            faces = next(shown)
            detector.detect = lambda _image, seconds: faces(round(seconds * FPS))
        return detector

    monkeypatch.setattr("training.tracking.run.open_detector", opened)
    videos = [filmed.path.with_name(name) for name in NAMES[:2]]
    said = refused(capsys, *videos, "--out", tmp_path / "out")
    assert "friday.mp4 shows no face" in said
    assert not (tmp_path / "out").exists()


def test_what_was_looked_at_is_kept_where_the_disk_is_full(filmed, tmp_path, monkeypatch, capsys):
    substitute_detectors(monkeypatch, filmed)

    def full(_film, path, _frames):
        raise unwritable(path, OSError(errno.ENOSPC, "no space"))

    monkeypatch.setattr("training.tracking.run.write_sound", full)
    out = tmp_path / "out"
    assert "sound.wav cannot be written: the disk is full" in refused(
        capsys, filmed.path, "--out", out
    )
    assert [path.name for path in sorted((out / "checkpoints").iterdir())] == [
        "scan_00000.npz",
        "scanned",
    ]


def test_a_film_that_ends_before_its_time_is_noted(tmp_path):
    film = grey(tmp_path / "a.mp4", range(100))
    whole, _ = joined([film], [scan_of(98)])
    assert not [note for note in whole.notes if "end after" in note]
    whole, _ = joined([film], [scan_of(60)])
    assert whole.frames == 60
    assert "pictures end after 2.4 s of 4.0 s" in whole.notes[-1]
    two = alike([grey(tmp_path / "b.mp4", range(100)), film])
    whole, _ = joined(two, [scan_of(100), scan_of(60)])
    assert any(note.startswith("a.mp4: Its pictures end after") for note in whole.notes)
