# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib.util
import json

import pytest

from engine.cli import main
from engine.core import diagnosis
from engine.core.diagnosis import Check, as_text, worst, writable_folder
from engine.serving import doctor


def test_doctor_prints_one_object_with_every_finding(capsys):
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["level"] in ("ok", "warning")
    assert {"topic", "name", "level", "text", "remedy"} == set(found["checks"][0])


def test_a_missing_library_is_an_error_with_its_remedy(monkeypatch, capsys):
    found = importlib.util.find_spec

    def without_numba(name, *package):
        return None if name == "numba" else found(name, *package)

    monkeypatch.setattr(importlib.util, "find_spec", without_numba)
    (check,) = [check for check in doctor.examine() if check.name == "numba"]
    assert (check.level, check.text) == ("error", "missing")
    assert "pip install numba" in check.remedy
    assert main(["doctor"]) == 1
    assert "missing" in capsys.readouterr().out


def test_without_a_model_for_english_there_is_a_warning(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    (check,) = doctor._recognition()
    assert check.level == "warning"
    assert "gaussianspeech[english]" in check.remedy


def test_a_folder_that_cannot_be_written_or_is_nearly_full_is_said(tmp_path, monkeypatch):
    assert writable_folder("folders", "jobs", tmp_path / "new").level == "ok"
    usage = type("usage", (), {"free": 1e9})
    monkeypatch.setattr(diagnosis.shutil, "disk_usage", lambda _path: usage)
    assert writable_folder("folders", "jobs", tmp_path).level == "warning"
    monkeypatch.setattr(diagnosis.os, "access", lambda _path, _mode: False)
    check = writable_folder("folders", "jobs", tmp_path)
    assert check.level == "error"
    assert str(tmp_path) in check.text


def test_the_report_is_plain_text_with_remedies_below():
    checks = [Check("a", "b", "ok", "fine"), Check("a", "c", "error", "gone", "Get it.")]
    assert as_text(checks) == "[ok] a: b: fine\n[error] a: c: gone\n    Get it."
    assert worst(checks) == "error"
    assert worst([]) == "ok"


@pytest.mark.parametrize("name", ["tensorboard", "matplotlib"])
def test_a_library_of_trainings_that_is_missing_is_one_line(monkeypatch, capsys, name):
    def refuse(**_options):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("engine.serving.server.serve", refuse)
    assert main(["serve"]) == 1
    error = capsys.readouterr().err
    assert name in error
    assert "gaussianspeech[training]" in error
    assert len(error.strip().splitlines()) == 1


def test_a_broken_module_of_the_project_is_no_missing_library(monkeypatch):
    def refuse(**_options):
        raise ModuleNotFoundError("No module named 'engine.nothing'", name="engine.nothing")

    monkeypatch.setattr("engine.serving.server.serve", refuse)
    with pytest.raises(ModuleNotFoundError):
        main(["serve"])
