# SPDX-License-Identifier: GPL-3.0-or-later
"""The backends there are, and which one runs here. A new backend is one line in each list."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from engine.core.errors import BadInputError
from engine.splatting import gsplat_backend
from engine.splatting.backend import Backend
from engine.splatting.cpu.backend import CpuBackend
from engine.splatting.gsplat_backend import GsplatBackend


class Availability(NamedTuple):
    """Whether a backend can run here.

    Attributes:
        name: as given to :func:`choose_backend`.
        available: it can.
        reason: why not; empty when it can.
        remedy: what would help; empty when it can.
    """

    name: str
    available: bool
    reason: str = ""
    remedy: str = ""


_BACKENDS: dict[str, Callable[[], Backend]] = {"gsplat": GsplatBackend, "cpu": CpuBackend}
"""By preference: ``auto`` takes the first that is available."""

_LACKING: dict[str, Callable[[], tuple[str, str] | None]] = {
    "gsplat": lambda: gsplat_backend.why_unavailable(),  # noqa: PLW0108 - looked up when called.
    "cpu": lambda: None,
}


def available_backends() -> list[Availability]:
    """Every backend with whether, or why not, it runs here; the preferred one first."""
    result = []
    for name in _BACKENDS:
        lacking = _LACKING[name]()
        result.append(Availability(name, lacking is None, *(lacking or ())))
    return result


def choose_backend(name: str = "auto") -> Backend:
    """A backend by name; ``auto`` is the fastest that runs here.

    Raises:
        BadInputError: there is no backend of that name.
        MissingDependencyError: it cannot run here; the message says why.
    """
    if name == "auto":
        name = next(backend.name for backend in available_backends() if backend.available)
    if name not in _BACKENDS:
        raise BadInputError(
            f"There is no rasteriser '{name}'.", f"Choose one of: auto, {', '.join(_BACKENDS)}."
        )
    return _BACKENDS[name]()
