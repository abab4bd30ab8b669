# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech warm-up``: compile what is compiled once, before somebody waits for it."""

from __future__ import annotations

import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path


def warm_up(*, training: bool = False) -> int:
    """Compile the kernels of recognition and rasterisation, which else the first line waits for.

    Args:
        training: those of gradients, too.
    """
    from engine.avatar.kernels import warm_up as compile_kernels
    from engine.commands.animate import animate
    from engine.splatting.registry import choose_backend

    print("Compiling the rasteriser.", file=sys.stderr, flush=True)
    compile_kernels(choose_backend("auto"), gradients=training)
    print("Compiling the recogniser.", file=sys.stderr, flush=True)
    voice = files("engine.assets") / "sample_voice.wav"
    with as_file(voice) as path, tempfile.TemporaryDirectory() as folder:
        return animate((path,), Path(folder))
