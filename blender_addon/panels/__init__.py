# SPDX-License-Identifier: GPL-3.0-or-later
"""The tab in the 3D view's sidebar: its shell, status line and the order of its sections.

Each section is a sub-panel that its own sub-package registers with ``bl_parent_id = PARENT_ID``.
"""

from __future__ import annotations

from . import menus
from .help import GAUSSIANSPEECH_PT_help
from .main import GAUSSIANSPEECH_PT_main

PARENT_ID = GAUSSIANSPEECH_PT_main.bl_idname
"""Parent panel of the sections."""

CATEGORY = GAUSSIANSPEECH_PT_main.bl_category
"""The tab's name."""

CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_PT_main, GAUSSIANSPEECH_PT_help, *menus.CLASSES)

register, unregister = menus.register, menus.unregister
