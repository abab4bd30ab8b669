# SPDX-License-Identifier: GPL-3.0-or-later
"""One decoder scores everything: what goes wrong with one stretch spoils no other."""

import os
import shutil
import subprocess
import sys
import types

import numpy as np
import pytest

from engine.core.errors import UnwritableError
from engine.recognition.senone_stream import SenoneStream
from engine.recognition.senones import SENONES, senone_scores
from tests.conftest import REPOSITORY

CEPSTRA = np.random.default_rng(0).normal(0, 3, (200, 13)).astype(np.float32)


def test_what_cannot_be_scored_spoils_nothing_after_it():
    before = senone_scores(CEPSTRA)
    assert before.shape == (200, SENONES)
    with pytest.raises(IndexError):
        senone_scores(CEPSTRA[:0])
    np.testing.assert_array_equal(senone_scores(CEPSTRA), before)


@pytest.mark.parametrize("begin", [lambda: senone_scores(CEPSTRA), lambda: SenoneStream().close()])
def test_a_full_disk_is_an_error(begin, monkeypatch):
    full = types.SimpleNamespace(free=1 << 20)
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda _path: full)
        with pytest.raises(UnwritableError, match="no room for"):
            begin()
    begin()


_CLEANED = """
import shutil, sys
from pathlib import Path
import numpy as np
from engine.recognition.senones import senone_scores
senone_scores(np.zeros((9, 13), np.float32))
for folder in Path(sys.argv[1]).iterdir():
    shutil.rmtree(folder)
print(senone_scores(np.zeros((9, 13), np.float32)).shape)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="TMPDIR is POSIX; nothing cleans there")
def test_the_folder_of_temporary_files_may_be_cleaned(tmp_path):
    result = subprocess.run(
        [sys.executable, "-c", _CLEANED, str(tmp_path)],
        cwd=REPOSITORY,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stdout == f"(9, {SENONES})\n"
