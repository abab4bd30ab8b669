# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab in the 3D view's sidebar: its shell, status line and the order of its sections.

Each section is a :class:`.section.Section` that its own sub-package registers.
"""

from __future__ import annotations

from . import menus
from .help import GAUSSIANSPEECH_PT_help
from .main import GAUSSIANSPEECH_PT_main

CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PT_main, GAUSSIANSPEECH_PT_help, *menus.CLASSES)

register, unregister = menus.register, menus.unregister
