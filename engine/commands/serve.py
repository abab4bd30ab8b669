# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech serve``: the engine process behind Blender."""

from __future__ import annotations


def serve() -> int:
    """Answer requests on stdin and stdout (docs/protocol.md) until stdin closes."""
    from engine.serving.server import serve as run

    return run()
