# SPDX-License-Identifier: GPL-3.0-or-later
"""Work on Blender's data in slices, with its numbers worked out beside the main thread. No bpy.

Such work is a generator. Where it yields nothing it may pause: what it keeps of Blender's data
beyond that may be gone afterwards, but for datablocks, whose use then raises ``ReferenceError``.
Where it yields a function of numbers, that may run in another thread; its result is sent back. A
number that it yields says how far it is.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from time import perf_counter
from typing import Any, Generic, TypeVar

from ...engine.core.errors import CancelledError
from ..engine_link.future import ThreadFuture

T = TypeVar("T")

Check = Callable[[], None]
"""Called now and then by long computations; raises ``CancelledError`` where they are to end."""
Numbers = Callable[[Check], Any]
Steps = Generator[Numbers | float | None, Any, T]


def never_cancelled() -> None:
    """The check of a computation that nobody cancels."""


def run_through(steps: Steps[T]) -> T:
    """Do all of some work at once, and return its result."""
    answer = None
    while True:
        try:
            asked = steps.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        answer = asked(never_cancelled) if callable(asked) else None


class SlicedWork(Generic[T]):
    """Work that is done a slice at a time.

    Args:
        steps: the work, not yet begun.
        label: what it is, for messages.
    """

    def __init__(self, steps: Steps[T], label: str) -> None:
        self.result: T | None = None
        self.progress = 0.0
        self._steps, self._label = steps, label
        self._aside: ThreadFuture | None = None

    @property
    def waits(self) -> bool:
        """Whether there is nothing to do but to wait for the other thread."""
        return self._aside is not None and not self._aside.done

    def advance(self, seconds: float) -> bool:
        """Work for a slice of some length; whether it is all done, and :attr:`result` is there.

        Raises:
            GaussianSpeechError: what the work raises.
        """
        until, answer = perf_counter() + seconds, None
        if self._aside is not None:
            if not self._aside.done:
                return False
            aside, self._aside = self._aside, None
            answer = aside.result(0)
        while True:
            try:
                asked = self._steps.send(answer)
            except StopIteration as end:
                self.result = end.value
                return True
            answer = None
            if callable(asked):
                self._aside = ThreadFuture(_checked(asked), self._label)
                return False
            if asked is not None:
                self.progress = asked
            if perf_counter() >= until:
                return False

    def close(self) -> None:
        """End it, whatever it has come to."""
        if self._aside is not None:
            self._aside.cancel()
        self._steps.close()


def _checked(numbers: Numbers) -> Callable[[threading.Event], Any]:
    def work(cancelled: threading.Event) -> Any:
        def check() -> None:
            if cancelled.is_set():
                raise CancelledError

        return numbers(check)

    return work
