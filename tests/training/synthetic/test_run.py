# SPDX-License-Identifier: GPL-3.0-or-later
"""How a capture continues after it was killed, cancelled, or given other options.

A film set that needs no Blender stands in: its pictures show who was asked for.
"""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from engine.core.errors import (
    BadInputError,
    CancelledError,
    GaussianSpeechError,
    MissingDependencyError,
)
from engine.heads import load_head
from engine.jobs import folder as jobs
from engine.jobs.status import State
from tests.training.synthetic.film_stand_in import OPTIONS, StandIn, even_light
from training.commands.capture import capture
from training.data.capture_light import load_light
from training.data.layout import IMAGES, MASKS, image_path, mask_path
from training.data.multiview import MultiViewCapture
from training.synthetic import run

PICTURES = 8


@pytest.fixture
def film(monkeypatch):
    """Replace the film set by a stand-in."""

    def install(at=lambda number: None):
        film = StandIn(at)
        monkeypatch.setattr(run, "new_cycles_rig", film)
        monkeypatch.setattr(run, "captured_light", even_light)
        return film

    return install


def pictures(folder):
    return {path.name: path.read_bytes() for path in sorted((folder / IMAGES).iterdir())}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The pictures of a capture that nothing disturbed."""
    folder = tmp_path_factory.mktemp("whole") / "capture"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "new_cycles_rig", StandIn())
        patch.setattr(run, "captured_light", even_light)
        capture(out=folder, **OPTIONS)
    return pictures(folder)


def test_a_capture_holds_all_its_pictures(film, tmp_path, whole):
    film()
    assert capture(out=tmp_path / "capture", **OPTIONS) == 0
    opened = MultiViewCapture.open(tmp_path / "capture")
    assert len(opened.split("train")) + len(opened.split("test")) == PICTURES == len(whole)
    assert jobs.show(tmp_path / "capture").status.state is State.FINISHED


def test_another_person_of_the_default_head_can_be_filmed(film, tmp_path, capsys):
    film()
    assert capture(out=tmp_path / "capture", head="default#7", **OPTIONS) == 0
    opened = MultiViewCapture.open(tmp_path / "capture")
    assert np.array_equal(opened.head.template, load_head("default#7").template)
    assert not np.allclose(opened.head.template, load_head("default").template, atol=1e-3)
    with pytest.raises(BadInputError, match="head default"):
        capture(out=tmp_path / "capture", head="default", **OPTIONS)
    with pytest.raises(BadInputError, match="one of the default head's"):
        capture(out=tmp_path / "other", head="flame2023.pkl", **OPTIONS)
    assert not (tmp_path / "other").exists()


def test_a_capture_holds_the_light_it_was_made_in_and_measures_it_once(film, tmp_path, monkeypatch):
    def stop(number):
        if number == 3:
            raise CancelledError

    folder, head = tmp_path / "capture", load_head("default")
    film(stop)
    capture(out=folder, **OPTIONS)
    assert (load_light(folder, head) == 0.5).all()
    film()
    monkeypatch.setattr(run, "captured_light", None)
    assert capture(out=folder, **OPTIONS) == 0
    assert (load_light(folder, head) == 0.5).all()


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.training.synthetic.film_stand_in import OPTIONS, StandIn, even_light
from training.synthetic import run
from training.commands.capture import capture

def die(number):
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)

run.new_cycles_rig, run.captured_light = StandIn(die), even_light
capture(out=Path(sys.argv[1]), **OPTIONS)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system has no SIGKILL")
def test_a_killed_capture_goes_on_and_becomes_the_same(film, tmp_path, whole):
    folder = tmp_path / "capture"
    root = Path(__file__).parents[3]
    environment = os.environ | {"PYTHONPATH": str(root)}
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder)],
        check=False,
        cwd=root,
        env=environment,
        capture_output=True,
    )
    assert ended.returncode == -signal.SIGKILL
    assert jobs.show(folder).status.state is State.FAILED
    # What was complete when it was killed is a capture already.
    assert len(MultiViewCapture.open(folder).split("train")) == 3
    # Killed while writing: half a picture, and a picture whose mask is not there yet.
    half = folder / IMAGES / f".{Path(image_path(3, 1)).stem}.abc.part.jpg"
    half.write_bytes(b"half")
    (folder / mask_path(0, 0)).unlink()
    again = film()
    assert capture(out=folder, **OPTIONS) == 0
    assert again.taken == PICTURES - 5 + 1
    assert pictures(folder) == whole
    assert len(list((folder / MASKS).iterdir())) == PICTURES


def test_a_cancelled_capture_keeps_its_pictures(film, tmp_path, whole):
    folder = tmp_path / "capture"
    film(lambda number: jobs.cancel(folder) if number == 4 else None)
    assert capture(out=folder, **OPTIONS) == 0
    assert jobs.show(folder).status.state is State.CANCELLED
    assert jobs.show(folder).status.step == 5
    opened = MultiViewCapture.open(folder)
    assert len(opened.split("train")) + len(opened.split("test")) == 5
    again = film()
    capture(out=folder, **OPTIONS)
    assert again.taken == PICTURES - 5
    assert pictures(folder) == whole


def test_other_options_do_not_mix_with_what_is_there(film, tmp_path):
    folder = tmp_path / "capture"
    film(lambda number: jobs.cancel(folder))
    capture(out=folder, **OPTIONS)
    before = (folder / "job.json").read_bytes()
    with pytest.raises(BadInputError) as caught:
        capture(out=folder, **OPTIONS | {"seed": 7, "samples": 3})
    assert "samples 64 (now 3), seed 0 (now 7)" in caught.value.message
    assert caught.value.hint
    assert (folder / "job.json").read_bytes() == before


def test_a_damaged_record_is_named(film, tmp_path):
    folder = tmp_path / "capture"
    film(lambda number: jobs.cancel(folder))
    capture(out=folder, **OPTIONS)
    (folder / "capture.json").write_text("{}")
    with pytest.raises(BadInputError, match=r"capture\.json is damaged"):
        capture(out=folder, **OPTIONS)


def test_a_full_disk_is_told_and_keeps_the_pictures(film, tmp_path):
    def full(number):
        if number == 4:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    folder = tmp_path / "capture"
    film(full)
    with pytest.raises(GaussianSpeechError, match="is full") as caught:
        capture(out=folder, **OPTIONS)
    assert "again" in caught.value.hint
    assert len(pictures(folder)) == 4
    assert len(MultiViewCapture.open(folder).split("train")) == 3


def test_the_preview_shows_the_latest_picture(film, tmp_path):
    folder = tmp_path / "capture"
    shown = []

    def look(number):
        if number:
            with Picture.open(folder / jobs.show(folder).status.preview) as picture:
                shown.append((np.asarray(picture.convert("L")).mean(), stand_in.grey))

    stand_in = film(look)
    capture(out=folder, **OPTIONS)
    assert len(shown) == PICTURES - 1
    assert all(abs(seen - taken) < 2 for seen, taken in shown)


def test_a_recording_that_is_not_there(tmp_path):
    with pytest.raises(BadInputError, match=r"missing\.wav"):
        capture(out=tmp_path / "capture", **OPTIONS | {"audio": (tmp_path / "missing.wav",)})
    assert not (tmp_path / "capture").exists()


def test_colours_beyond_the_outline_do_not_reach_the_edge(tmp_path):
    from training.synthetic.image_output import store

    rgba = np.zeros((40, 40, 4), np.uint8)
    rgba[10:30, 10:30] = (200, 120, 90, 255)
    store(rgba, tmp_path / "a.jpg", tmp_path / "a.png")
    with Picture.open(tmp_path / "a.jpg") as picture:
        colours = np.asarray(picture).astype(int)
    assert np.abs(colours[10:30, 10:30] - [200, 120, 90]).max() <= 4
    with Picture.open(tmp_path / "a.png") as mask:
        assert np.array_equal(np.asarray(mask), rgba[..., 3])


RIG = "training.synthetic.cycles_rig"


def test_filming_without_blenders_module_says_how_to_install_it(monkeypatch):
    monkeypatch.delitem(sys.modules, RIG, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Without("bpy"), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "bpy", raising=False)
    with pytest.raises(MissingDependencyError) as caught:
        run.new_cycles_rig("default", 1, 1, "cpu")
    assert "gaussianspeech[blender]" in caught.value.hint


def test_another_missing_module_is_not_taken_for_blender(monkeypatch):
    monkeypatch.delitem(sys.modules, RIG, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Without(RIG), *sys.meta_path])
    with pytest.raises(ModuleNotFoundError, match=RIG):
        run.new_cycles_rig("default", 1, 1, "cpu")


class Without:
    """Finds every module but one."""

    def __init__(self, missing):
        self.missing = missing

    def find_spec(self, name, path=None, target=None):
        if name == self.missing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
