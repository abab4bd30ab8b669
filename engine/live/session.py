# SPDX-License-Identifier: GPL-3.0-or-later
"""Running a live session: sound in, frames to every sender, evenly spread over time."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from typing import Self

import numpy as np

from engine.core.arrays import Float
from engine.live.senders import Sender, arkit_columns
from engine.live.sound import Source
from engine.live.speech import LiveSpeech
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.model.torch_threads import one_thread

_SPREAD = 0.8
"""Part of the time between two frames that passes at the least before the next one is sent:
frames are made several at a time, and whoever shows them wants them one by one."""


def run(live: LiveSpeech, source: Source, senders: Sequence[Sender]) -> int:
    """Send what is spoken until the sound ends; returns the number of frames.

    Raises:
        BadInputError: the sound cannot be read, or a sender cannot send.
    """
    columns = arkit_columns(live.head.expression_names)
    number = 0

    def send(weights: Float) -> None:
        nonlocal number
        arkit = np.zeros(len(ARKIT_NAMES), np.float32)
        for own, column in columns:
            arkit[column] = weights[own]
        for sender in senders:
            sender.send(number, number / live.fps, arkit)
        number += 1

    pace = _SPREAD / live.fps if source.paced else 0.0
    with live, one_thread(), _Spread(send, pace) as spread:
        for block in source.blocks():
            for frame in live.push(block):
                spread.put(frame)
        for frame in live.finish():
            spread.put(frame)
    return number


_LATE = 3.0
"""Frames that are sent without a wait at the most, to make up for one that was late."""


class _Spread:
    """Calls a function in a thread of its own, no two times within an interval.

    What the function raises is raised by the next :meth:`put`, or at the end of the context.
    """

    def __init__(self, function: Callable[[Float], None], interval: float) -> None:
        self._function, self._interval = function, interval
        self._waiting: queue.SimpleQueue[Float | None] = queue.SimpleQueue()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._work, name="live-sender", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._waiting.put(None)
        self._thread.join()
        if kind is None and self._error:
            raise self._error

    def put(self, frame: Float) -> None:
        """Have the function called with a frame."""
        if self._error:
            raise self._error
        self._waiting.put(frame)

    def _work(self) -> None:
        due = 0.0
        while (frame := self._waiting.get()) is not None:
            now = time.monotonic()
            # A sleep that took too long shortens the next ones.
            due = max(due, now - _LATE * self._interval) + self._interval
            time.sleep(max(0.0, due - self._interval - now))
            try:
                self._function(frame)
            except Exception as error:  # noqa: BLE001 - it is raised where frames are put
                self._error = error
                return
