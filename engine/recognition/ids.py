# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the recognisers: the one place where they are spelled.

The standard library alone: Blender imports this module.
"""

from __future__ import annotations

AUTO = "auto"
"""The best recogniser that is installed."""
PHONES = "phones"
"""Phones alone, without words."""
DEFAULT = AUTO
"""The recogniser that is used unless another is asked for."""
TINY_ENGLISH = "tiny.en"
"""The Whisper model that comes as a package; English alone."""
DOWNLOADABLE: tuple[str, ...] = (
    *(TINY_ENGLISH, "tiny", "base.en", "base", "small.en", "small", "medium", "large-v3"),
    "large-v3-turbo",
)
"""Whisper models by name, the smaller first; the folder of any other is a recogniser too."""
