# SPDX-License-Identifier: GPL-3.0-or-later
"""Operators that add a line and bake it."""

from __future__ import annotations

from ..engine_link.tasks import EngineTask
from .line_list import remove_line
from .lines import line_by_id


class NewLineTask(EngineTask):
    """Mixin: a line that was added and is not baked is removed, and the file is as before."""

    _line = ""
    """Id of the line that is being baked."""
    _active = 0
    """Index of the line that was the active one before."""

    def clean_up(self) -> None:
        """Remove a line that was not baked."""
        line = line_by_id(self._line) if self._line else None
        if line is not None:
            main = line.id_data
            chosen = main.gaussianspeech_lines[main.gaussianspeech_active_line].id
            remove_line(line)
            if chosen == self._line:
                main.gaussianspeech_active_line = self._active
        self._line = ""
