# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides whether an interrupted capture may be continued."""

import json
import shutil
from pathlib import Path

import pytest

from engine.core.errors import BadInputError
from training.synthetic import person, record
from training.synthetic.settings import CaptureSettings


def ingredients():
    return record.ingredients("default", CaptureSettings(), (), sample=False)


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
