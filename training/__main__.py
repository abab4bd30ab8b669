# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training``: training's commands by themselves.

They are commands of ``gaussianspeech`` too where pip has installed the project. Blender's add-on
brings this package along and starts it in a Python that may have the libraries alone, without the
project's entry points; jobs that are to be resumed from there are started by this name.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

import tyro
from tyro.extras import SubcommandApp

from engine.commands.console import EXIT_INTERRUPTED, print_error
from engine.errors import GaussianSpeechError

COMMANDS = ("capture", "evaluate", "jobs", "train")
"""Modules of :mod:`training.commands`, each with an ``app`` or a function of its name."""


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 on success, 2 for bad input, 1 for other failures, 130 when interrupted.
    """
    app = SubcommandApp()
    for name in COMMANDS:
        if find_spec(f"training.commands.{name}") is not None:
            module = import_module(f"training.commands.{name}")
            app.command(getattr(module, "app", None) or getattr(module, name), name=name)
    try:
        result = app.cli(
            prog="python -m training",
            description="Training of avatars and speech models, and the jobs it runs as.",
            args=args,
            config=(tyro.conf.OmitArgPrefixes,),
        )
    except GaussianSpeechError as error:
        return print_error(error)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    return result if isinstance(result, int) else 0


if __name__ == "__main__":
    sys.exit(main())
