# SPDX-License-Identifier: GPL-3.0-or-later
"""Where numba keeps this project's compiled kernels: by what they are made of, not by path.

numba files a kernel under the path of its source, and takes it for current while that one file has
not changed. So every copy of the project (a checkout, each Blender's extension) compiled for
itself, and a kernel whose callee in another file had been updated ran on with the old one.
``runtime.prepare`` names `KernelLocator` to numba.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numba.core import caching
from numba.core.dispatcher import Dispatcher

PACKAGES = ("engine", "training")


class KernelLocator:
    """numba's cache locator: ``NUMBA_CACHE_DIR/MODULE-DIGEST``.

    `digest` distinguishes versions of a kernel, in whatever folder they lie.
    """

    def __init__(self, function: Callable[..., Any], file: str, folder: str) -> None:
        self._py_file = file
        self._lineno = function.__code__.co_firstlineno
        self._stamp = digest(function)
        self._folder = Path(folder) / f"{function.__module__}-{self._stamp[:16]}"

    @classmethod
    def from_function(cls, function: Callable[..., Any], file: str) -> Any:
        """A locator of this project's kernels; numba's own of any other's."""
        folder = os.environ.get("NUMBA_CACHE_DIR")
        if folder and function.__module__.partition(".")[0] in PACKAGES:
            locator = cls(function, file, folder)
            try:
                locator.ensure_cache_path()
            except OSError:
                pass  # Not to be written: numba's own choice is.
            else:
                return locator
        classes: Any = caching.CacheImpl._locator_classes  # noqa: SLF001 - numba has no other list
        found = (one.from_function(function, file) for one in classes)
        return next((locator for locator in found if locator is not None), None)

    def ensure_cache_path(self) -> None:
        """Make the folder.

        Raises:
            OSError: it cannot be made, or not be written.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=self._folder).close()

    def get_cache_path(self) -> str:
        """The folder of the kernel's files."""
        return str(self._folder)

    def get_source_stamp(self) -> str:
        """What a kernel on disk must have been made of to be loaded."""
        return self._stamp

    def get_disambiguator(self) -> str:
        """What distinguishes kernels of one name in one module."""
        return str(self._lineno)


def digest(function: Callable[..., Any]) -> str:
    """SHA-256 of what numba may compile a function of.

    That is the file of its module, the files of the modules whose kernels that one has imported,
    and the numbers that these modules hold: numba compiles them in as constants.
    """
    made_of: dict[str, bytes] = {}
    _gather(function, made_of)
    result = hashlib.sha256()
    for name in sorted(made_of):
        result.update(f"{name}\0{len(made_of[name])}\0".encode() + made_of[name])
    return result.hexdigest()


def _gather(function: Callable[..., Any], made_of: dict[str, bytes]) -> None:
    module = function.__module__
    made_of[module] = Path(function.__code__.co_filename).read_bytes()
    for name, value in tuple(function.__globals__.items()):
        if isinstance(value, bool | int | float | np.generic):
            made_of[f"{module}.{name}"] = repr(value).encode()
        elif isinstance(value, np.ndarray):
            made_of[f"{module}.{name}"] = value.tobytes()
        elif isinstance(value, Dispatcher) and value.py_func.__module__ not in made_of:
            _gather(value.py_func, made_of)
