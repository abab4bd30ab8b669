# SPDX-License-Identifier: GPL-3.0-or-later
"""Before anything imports torch and numba; the tests inside Blender have neither."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import sys
import zlib
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

from engine.core import runtime

runtime.prepare()

REPOSITORY = Path(__file__).resolve().parents[1]
HUMAN = REPOSITORY.parent / "shared" / "audio"
"""Recordings of people with the times of their sounds; not part of the project."""

# How long an example takes says how busy the machine is.
settings.register_profile("patient", settings.default, deadline=None)
settings.load_profile("patient")

if "PYTEST_XDIST_WORKER" in os.environ and importlib.util.find_spec("numba"):
    # The workers share the processors, so each computes on one thread; some tests compare one
    # thread with two.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["NUMBA_NUM_THREADS"] = "2"
    import numba

    numba.set_num_threads(1)


def _draw_anew(name):
    """Begin torch's own random numbers, by a name: else a test's would be those of what ran before.

    Workers take the tests in an order that changes from run to run.
    """
    if "torch" in sys.modules:
        sys.modules["torch"].default_generator.manual_seed(zlib.crc32(name.encode()))


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef):
    _draw_anew(fixturedef.argname)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    _draw_anew(item.nodeid)
    return (yield)


_processor = [0.0]
"""Seconds that this process and its ended children have had, up to the last report."""


def pytest_collection_finish():
    _processor[0] = sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    report = yield
    now = sum(os.times()[:4])
    report.processor_seconds, _processor[0] = now - _processor[0], now
    return report


def pytest_terminal_summary(terminalreporter):
    """Print the processor seconds by folder, which other programs on the machine change little."""
    spent = Counter()
    for report in itertools.chain(*terminalreporter.stats.values()):
        folder = "/".join(Path(getattr(report, "nodeid", "")).parts[:3])
        spent[folder.partition("::")[0]] += getattr(report, "processor_seconds", 0.0)
    terminalreporter.section("processor seconds by folder")
    for folder, seconds in spent.most_common():
        if seconds >= 1:
            terminalreporter.write_line(f"{seconds:7.0f} {folder}")
    terminalreporter.write_line(f"{sum(spent.values()):7.0f} all")


def pytest_report_header():
    if HUMAN.is_dir():
        return f"speech with known sounds: {HUMAN}"
    return f"speech with known sounds: the sample voice alone, for there is no {HUMAN}"


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    """Folder of speech with known sounds: of people where it is, else the sample voice's.

    The times of the sample voice are those by which flite spoke it (see
    tests/training/assets/test_sample_voice.py).
    """
    if HUMAN.is_dir():
        return HUMAN
    folder = tmp_path_factory.mktemp("recordings")
    shutil.copy(REPOSITORY / "engine" / "assets" / "sample_voice.wav", folder)
    shutil.copy(REPOSITORY / "tests" / "speech" / "sample_voice.phones.json", folder)
    return folder


@pytest.fixture(scope="session")
def recognized():
    """Recognise a sound, once with each text and recogniser: it takes a tenth of its length."""
    from engine.recognition.ids import DEFAULT
    from engine.recognition.recognizer import recognize

    known = {}

    def of(speech, text=None, recognizer=DEFAULT):
        key = speech.sha256, speech.duration, text, recognizer
        if key not in known:
            known[key] = recognize(speech, text, recognizer=recognizer)
        return known[key]

    return of


@pytest.fixture(scope="session")
def of_people(recordings):
    """Whether the recordings are those of people; one synthetic sentence need not be as good."""
    return recordings == HUMAN
