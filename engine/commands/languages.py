# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech languages``: the languages whose words can be pronounced."""

from __future__ import annotations

from engine.commands.console import print_result


def languages(*, json: bool = False) -> int:
    """List the languages that lip sync knows, by the codes that ``--language`` takes.

    Args:
        json: print one JSON object instead of lines.
    """
    from engine.recognition.language import languages as known

    print_result(known(), as_json=json)
    return 0
