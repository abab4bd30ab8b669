# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine process needs before torch and numba are imported."""

from __future__ import annotations

import gc
import os
import tempfile
from pathlib import Path

from .platforms import user_cache

_OLD_PER_MIDDLE = 100
"""Collections of the middle generation to one of all objects; Python's own number is 10."""


def cache_folder() -> Path:
    """The user's cache folder for this project; it need not exist yet."""
    return user_cache() / "gaussianspeech"


def _writable(folder: Path) -> Path:
    """``folder``, or one for temporary files where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.gettempdir()) / "gaussianspeech-numba"
    if os.access(folder, os.W_OK):
        return folder
    return Path(tempfile.gettempdir()) / "gaussianspeech-numba"


def prepare() -> None:
    """Set the environment variables that libraries read once, when they are first imported.

    Call it before anything imports torch or numba; a variable the user has set stays.

    - ``NUMBA_CACHE_DIR``: compiled kernels are kept in the user's cache folder. numba would write
      them beside the source, and an extension's own folder is not to be written.
    - ``NUMBA_CACHE_LOCATOR_CLASSES``: they are kept by what they are made of (`kernel_cache`).
    - ``OMP_WAIT_POLICY``: the thread pools of torch and numba take turns; threads of the idle one
      that spin instead of sleeping slow the other several times.
    - ``OPENBLAS_NUM_THREADS``: for scipy, and numpy in processes that are started from here (jobs,
      batches), whose matrices are small. On two processors a
      second thread for their products does not end the fit of a face sooner, and takes as much of
      the processor again.

    Full garbage collections are made ten times rarer, too: while torch is imported nothing becomes
    garbage, and the collections take a fifth of that time.
    """
    if "NUMBA_CACHE_DIR" not in os.environ:
        os.environ["NUMBA_CACHE_DIR"] = str(_writable(cache_folder() / "numba"))
    os.environ.setdefault("NUMBA_CACHE_LOCATOR_CLASSES", "engine.core.kernel_cache.KernelLocator")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(*gc.get_threshold()[:2], _OLD_PER_MIDDLE)
