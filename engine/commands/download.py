# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech download``: a recogniser from the network, because the user asks for it."""

from __future__ import annotations

from typing import Annotated

import tyro

from engine.commands.console import print_result


def download(recognizer: Annotated[str, tyro.conf.Positional], *, json: bool = False) -> int:
    """Download a Whisper model, which writes down speech; nothing else ever downloads anything.

    Args:
        recognizer: "base" (145 MB) and "small" (484 MB) know some hundred languages; also "tiny",
            "tiny.en", "base.en", "small.en", "medium", "large-v3", "large-v3-turbo".
        json: print the result as JSON.
    """
    from engine.recognition.whisper_models import download as fetch

    print_result({"recognizer": recognizer, "folder": fetch(recognizer)}, as_json=json)
    return 0
