# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads and avatars the engine keeps, so that a render does not read them again."""

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
    """The last few things made, by key; a changed file is a new key.

    Args:
        size: how many are kept.
    """

    def __init__(self, size: int = 4) -> None:
        self._size = size
        self._items: OrderedDict[Hashable, T] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], T]) -> T:
        """The thing of ``key``, made where it is not there."""
        if key not in self._items:
            self._items[key] = make()
            while len(self._items) > self._size:
                self._items.popitem(last=False)
        self._items.move_to_end(key)
        return self._items[key]


def file_key(name: str) -> tuple[str, int, int]:
    """Identity of a named thing: a file's path with its time and size, or a built-in's name.

    Raises:
        BadInputError: a path that is not a file.
    """
    path = Path(name)
    if path.is_file():
        stat = path.stat()
        return (str(path.resolve()), stat.st_mtime_ns, stat.st_size)
    if path.suffix or path.is_absolute():
        raise BadInputError(f"There is no file {name}.", "Check the path.")
    return (name, 0, 0)


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

        return self._cache.get(file_key(name), lambda: load_head(name))
