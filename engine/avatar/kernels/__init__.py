# SPDX-License-Identifier: GPL-3.0-or-later
"""Compiled CPU kernels of binding and colour, with their gradients."""

from __future__ import annotations

from engine.core.progress import Progress, no_progress
from engine.splatting.backend import Backend


def warm_up(backend: Backend, progress: Progress = no_progress, *, gradients: bool = False) -> None:
    """Compile all that a picture of an avatar runs, or load it from the user's cache.

    Compiling happens once per machine and version and takes ten to thirty seconds.

    Args:
        backend: its own kernels are compiled; those of binding and colour too where it is the
            CPU's, for on other devices both are tensor operations.
        progress: called before the work starts, so that a wait is announced.
        gradients: the kernels of the gradients too.
    """
    from engine.avatar.kernels import (
        binding,
        binding_gradients,
        color_mlp,
    )
    from engine.splatting.cpu.backend import CpuBackend
    from engine.splatting.cpu.threads import KERNELS

    if not isinstance(backend, CpuBackend):
        backend.warm_up(progress)
        return
    backend.warm_up(progress, gradients=gradients)
    with KERNELS:
        binding.warm_up()
        color_mlp.warm_up()
        if gradients:
            binding_gradients.warm_up()
