# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core.kernel_cache import KernelLocator, digest
from engine.splatting.cpu.blending import exp_of_minus

REPOSITORY = Path(__file__).resolve().parents[3]
CALLEE = """
from numba import njit

FACTOR = 2

@njit
def scaled(value):
    return FACTOR * value
"""
CALLER = """
from numba import njit

from {package}.callee import FACTOR, scaled

@njit(cache=True)
def work(value):
    return scaled(value) + FACTOR
"""
RUN = """
from engine.core import runtime

runtime.prepare()

from training.caller import work

print(work(3), sum(work.stats.cache_hits.values()))
"""


def write_package(folder: Path, package: str, callee: str = CALLEE) -> None:
    (folder / package).mkdir(parents=True)
    (folder / package / "__init__.py").touch()
    (folder / package / "callee.py").write_text(callee)
    (folder / package / "caller.py").write_text(CALLER.format(package=package))


@pytest.fixture
def digest_of(tmp_path, monkeypatch):
    """The digest of the caller in a folder of its own, with the callee in this form."""

    def build(name: str, callee: str) -> str:
        folder = tmp_path / name
        write_package(folder, "kernels", callee)
        monkeypatch.syspath_prepend(folder)
        for module in ("kernels", "kernels.callee", "kernels.caller"):
            monkeypatch.delitem(sys.modules, module, raising=False)
        return digest(importlib.import_module("kernels.caller").work.py_func)

    return build


def test_a_kernel_is_the_same_in_every_folder(digest_of):
    assert digest_of("here", CALLEE) == digest_of("there", CALLEE)


@pytest.mark.parametrize(
    ("old", "new"), [("FACTOR * value", "value"), ("FACTOR = 2", "FACTOR = 3")]
)
def test_a_kernel_is_another_when_what_it_calls_or_a_number_has_changed(digest_of, old, new):
    assert digest_of("before", CALLEE) != digest_of("after", CALLEE.replace(old, new))


def test_a_second_copy_of_the_project_compiles_nothing_and_a_changed_one_does(tmp_path):
    def run(name: str, callee: str = CALLEE) -> list[int]:
        write_package(tmp_path / name, "training", callee)
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join([str(tmp_path / name), str(REPOSITORY)]),
            "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        }
        done = subprocess.run(
            [sys.executable, "-c", RUN],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        return [int(word) for word in done.stdout.split()]

    assert run("first") == [8, 0]
    assert run("second") == [8, 1]
    assert run("changed", CALLEE.replace("FACTOR * value", "value")) == [5, 0]


def test_a_folder_that_cannot_be_written_leaves_the_choice_to_numba(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    function = exp_of_minus.py_func
    locator = KernelLocator.from_function(function, function.__code__.co_filename)
    assert not isinstance(locator, KernelLocator)


def test_kernels_of_others_are_kept_where_numba_keeps_them():
    def foreign(value):
        return value

    foreign.__module__ = "theirs"
    assert not isinstance(KernelLocator.from_function(foreign, __file__), KernelLocator)
