# SPDX-License-Identifier: GPL-3.0-or-later
"""Work of Blender's own that takes a while, in a thread. No bpy."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from ..engine.errors import GaussianSpeechError


class ThreadWork:
    """A function under way in a thread of its own; waited for like a request to the engine.

    Args:
        function: given an event that is set when somebody asked to stop.
        label: what it does.
    """

    def __init__(self, function: Callable[[threading.Event], Any], label: str = "") -> None:
        self.label = label
        self._function = function
        self._cancelled = threading.Event()
        self._finished = threading.Event()
        self._value: Any = None
        self._error: GaussianSpeechError | None = None
        threading.Thread(target=self._run, name=label or None, daemon=True).start()

    @property
    def done(self) -> bool:
        """Whether :meth:`result` returns or raises at once."""
        return self._finished.is_set()

    def poll(self) -> tuple[float, str]:
        """How far it is cannot be known."""
        return (0.0, self.label)

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; returns :attr:`done`."""
        return self._finished.wait(timeout)

    def cancel(self) -> None:
        """Ask to stop."""
        self._cancelled.set()

    def result(self, timeout: float | None = None) -> Any:
        """What the function returned.

        Raises:
            GaussianSpeechError: what it raised.
            TimeoutError: it is not done within ``timeout`` seconds.
        """
        if not self._finished.wait(timeout):
            raise TimeoutError(f"{self.label} is still under way.")
        if self._error is not None:
            raise self._error
        return self._value

    def _run(self) -> None:
        try:
            self._value = self._function(self._cancelled)
        except GaussianSpeechError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - it is told, as any other failure
            self._error = GaussianSpeechError(f"{self.label} failed: {error!r}.")
        finally:
            self._finished.set()
