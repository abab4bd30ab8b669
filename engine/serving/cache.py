# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads and avatars that the engine keeps in memory, so that a render does not read them again."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from engine.core.errors import BadInputError

if TYPE_CHECKING:
    from engine.heads.head import Head

T = TypeVar("T")


class Cache(Generic[T]):
    """The last few things made, by name; made again where the version differs.

    Args:
        size: how many are kept: more than a scene has, or each picture would make them all again.
    """

    def __init__(self, size: int = 16) -> None:
        self._size = size
        self._items: OrderedDict[Hashable, tuple[Hashable, T]] = OrderedDict()

    def get(self, name: Hashable, version: Hashable, make: Callable[[], T]) -> T:
        """The thing of a name, made where it is not there in this version."""
        kept = self._items.get(name)
        if kept is None or kept[0] != version:
            self._items.pop(name, None)  # Two versions need not be in memory at once.
            self._items[name] = kept = version, make()
            if len(self._items) > self._size:
                self._items.popitem(last=False)
        self._items.move_to_end(name)
        return kept[1]


def file_version(name: str) -> tuple[int, ...]:
    """Time, size and identity of a named file, by which a change is noticed; () of a built-in.

    Raises:
        BadInputError: a path that is not a file.
    """
    path = Path(name)
    if path.is_file():
        stat = path.stat()
        return stat.st_mtime_ns, stat.st_size, stat.st_ino
    if path.suffix or path.is_absolute():
        raise BadInputError(f"There is no file {name}.", "Check the path.")
    return ()


class Heads:
    """Heads by name or path."""

    def __init__(self) -> None:
        self._cache: Cache[Head] = Cache()

    def get(self, name: str) -> Head:
        """``default`` or the head of a FLAME file.

        Raises:
            BadInputError: the file is missing or is no head.
        """
        from engine.heads.registry import load_head

        return self._cache.get(name, file_version(name), lambda: load_head(name))
