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
WHISPER: tuple[str, ...] = ("tiny.en", "tiny", "base", "small")
"""Whisper models that are offered by name; others and folders of models are recognisers too."""
