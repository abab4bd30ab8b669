# SPDX-License-Identifier: GPL-3.0-or-later
"""The default head: shipped with the package, free of any licence to sign."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

from engine.heads.asset_file import load_head_file
from engine.heads.head import Head, HeadSource

DEFAULT_HEAD = "default"
_ASSET = Path(__file__).parents[1] / "assets" / "default_head.npz"


@cache
def load_default_head() -> Head:
    """An adult head with neck, eyes, teeth and tongue, and the 52 ARKit expressions.

    The origin lies between the ears. Read once per process; treat its arrays as read-only.

    Raises:
        BadInputError: the shipped asset is missing or damaged.
    """
    return replace(load_head_file(_ASSET), source=HeadSource("default"))
