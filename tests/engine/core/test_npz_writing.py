# SPDX-License-Identifier: GPL-3.0-or-later
import os
import subprocess
import sys

import numpy as np
import pytest

from engine.core.npz import read_npz
from engine.core.npz_writing import write_npz

WORK = """
import resource, sys
import numpy
from engine.core.errors import UnwritableError
from engine.core.npz_writing import write_npz
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
try:
    write_npz(sys.argv[1], a=numpy.random.default_rng(0).normal(size=9999))
except UnwritableError as error:
    print(error)
"""


def test_what_is_written_is_read(tmp_path):
    write_npz(tmp_path / "new" / "a.npz", a=np.arange(5), name=np.array("head"))
    found = read_npz(tmp_path / "new" / "a.npz", limit=1 << 10, hint="")
    assert found["a"].tolist() == [0, 1, 2, 3, 4]
    assert str(found["name"]) == "head"


@pytest.mark.skipif(os.name == "nt", reason="files have no limit there")
def test_on_a_full_disk_there_is_one_line_and_no_file(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", WORK, str(tmp_path / "a.npz")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(f"{tmp_path / 'a.npz'} cannot be written: ")
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""
    assert not list(tmp_path.iterdir())
