# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides whether an interrupted capture may be continued."""

import json
import shutil
from pathlib import Path

import pytest

from engine.core.errors import BadInputError
from training.synthetic import person, record
from training.synthetic.settings import CaptureSettings


def ingredients(*audio):
    return record.ingredients("default", CaptureSettings(), audio, sample=False)


@pytest.fixture
def recording(tmp_path):
    """A sound with its motion and its transcript; their bytes alone matter."""
    for name in ("hello.wav", "hello.performance.npz", "hello.txt"):
        (tmp_path / name).write_text("before")
    return tmp_path / "hello.wav"


def test_a_capture_is_not_continued_with_other_code_of_the_person(tmp_path, monkeypatch):
    copy = tmp_path / "person"
    shutil.copytree(Path(person.__file__).parent, copy)
    before = ingredients()
    monkeypatch.setattr(person, "__file__", str(copy / "__init__.py"))
    assert ingredients() == before
    (tmp_path / record.RECORD).write_text(json.dumps({"made_of": before}))
    record.check_resumable(tmp_path, ingredients())
    with (copy / "skin.py").open("a") as code:
        code.write("# redder\n")
    with pytest.raises(BadInputError, match="look"):
        record.check_resumable(tmp_path, ingredients())


@pytest.mark.parametrize("beside", ["hello.performance.npz", "hello.txt"])
@pytest.mark.parametrize("change", [lambda path: path.write_text("now"), Path.unlink])
def test_a_capture_is_not_continued_with_other_motion_or_words(tmp_path, recording, beside, change):
    (tmp_path / record.RECORD).write_text(json.dumps({"made_of": ingredients(recording)}))
    assert record.check_resumable(tmp_path, ingredients(recording)) == ingredients(recording)
    change(tmp_path / beside)
    with pytest.raises(BadInputError, match="beside"):
        record.check_resumable(tmp_path, ingredients(recording))


def test_an_older_capture_keeps_the_motion_that_it_began_with_unrecorded(tmp_path, recording):
    older = {key: value for key, value in ingredients(recording).items() if key != "beside"}
    (tmp_path / record.RECORD).write_text(json.dumps({"made_of": older}))
    assert record.check_resumable(tmp_path, ingredients(recording)) == older
    recording.write_text("another sound")
    with pytest.raises(BadInputError, match="audio"):
        record.check_resumable(tmp_path, ingredients(recording))


def test_a_record_without_settings_is_damaged(tmp_path):
    (tmp_path / record.RECORD).write_text(json.dumps({"made_of": {}}))
    with pytest.raises(BadInputError, match="is damaged"):
        record.check_resumable(tmp_path, ingredients())


def test_a_recording_that_is_missing_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"hello\.wav cannot be read"):
        ingredients(tmp_path / "hello.wav")
