# SPDX-License-Identifier: GPL-3.0-or-later
"""How long work reports how far it is, and learns that it was cancelled."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[float, str], None]
"""``progress(fraction, message)`` with fraction in [0, 1].

Called often enough (several times a second) that a cancel is felt at once: the callee raises
:class:`~engine.core.errors.CancelledError` when the user has cancelled; the work lets it through.
"""


def no_progress(_fraction: float, _message: str) -> None:
    """A progress that goes nowhere."""


def subprogress(progress: Progress, start: float, stop: float) -> Progress:
    """The stretch ``[start, stop]`` of a larger progress, for a step of the work."""

    def report(fraction: float, message: str) -> None:
        progress(start + (stop - start) * fraction, message)

    return report
