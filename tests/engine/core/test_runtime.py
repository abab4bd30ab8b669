# SPDX-License-Identifier: GPL-3.0-or-later
import os
import subprocess
import sys
import tempfile

from engine.core import runtime
from tests.conftest import REPOSITORY


def test_kernels_are_kept_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(runtime, "user_cache", lambda: tmp_path)
    runtime.prepare()
    assert os.environ["NUMBA_CACHE_DIR"] == str(tmp_path / "gaussianspeech" / "numba")


def test_a_home_that_cannot_be_written_leaves_the_folder_for_temporary_files(monkeypatch, tmp_path):
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(runtime, "user_cache", lambda: tmp_path / "file")
    runtime.prepare()
    assert os.environ["NUMBA_CACHE_DIR"].startswith(tempfile.gettempdir())


def test_variables_that_the_user_has_set_stay(monkeypatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", "mine")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "3")
    runtime.prepare()
    assert (os.environ["NUMBA_CACHE_DIR"], os.environ["OMP_WAIT_POLICY"]) == ("mine", "ACTIVE")
    assert os.environ["OPENBLAS_NUM_THREADS"] == "3"


def test_small_products_are_computed_on_one_thread(monkeypatch):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    runtime.prepare()
    assert os.environ["OPENBLAS_NUM_THREADS"] == "1"


def test_all_objects_are_looked_through_more_rarely_and_new_ones_as_often():
    code = "import gc; from engine.core import runtime; before = gc.get_threshold(); "
    code += "runtime.prepare(); print(*before, *gc.get_threshold())"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    *before, young, middle, old = map(int, done.stdout.split())
    assert [young, middle] == before[:2]
    assert old == 100


def test_the_command_line_prepares_the_process_before_torch_and_numba(tmp_path):
    code = (
        "import os, sys\n"
        "from training.cli import main\n"
        "assert 'torch' not in sys.modules and 'numba' not in sys.modules\n"
        "main(['jobs', 'folder'])\n"
        "print(os.environ['NUMBA_CACHE_DIR'], os.environ['OMP_WAIT_POLICY'])\n"
    )
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in {"NUMBA_CACHE_DIR", "OMP_WAIT_POLICY"}
    }
    environment |= {"XDG_CACHE_HOME": str(tmp_path), "LOCALAPPDATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    folder, policy = done.stdout.splitlines()[-1].split()
    assert policy == "PASSIVE"
    assert "gaussianspeech" in folder
