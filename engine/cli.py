# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line ``gaussianspeech``.

Packages that build on the engine add their own commands (``evaluate``, ``jobs``) through the
entry-point group ``gaussianspeech.commands``, so that the engine imports none of them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import entry_points

import tyro
from tyro.extras import SubcommandApp

from engine.commands.animate import animate
from engine.commands.console import EXIT_FAILED, EXIT_INTERRUPTED, print_error
from engine.commands.demo import demo
from engine.commands.doctor import doctor
from engine.commands.export import app as export
from engine.commands.render import render
from engine.commands.retarget import retarget
from engine.commands.serve import serve
from engine.errors import GaussianSpeechError

COMMANDS_GROUP = "gaussianspeech.commands"


def build_app() -> SubcommandApp:
    """All commands: the engine's own, then those of installed packages by name."""
    app = SubcommandApp()
    for command in (demo, animate, render, retarget, doctor, serve):
        app.command(command)
    app.command(export, name="export")
    for point in sorted(entry_points(group=COMMANDS_GROUP), key=lambda point: point.name):
        app.command(point.load(), name=point.name)
    return app


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 on success, 2 for bad input, 1 for other failures, 130 when interrupted.
    """
    try:
        result = build_app().cli(
            prog="gaussianspeech",
            description="Talking Gaussian avatars: speech in, an animated and rendered head out.",
            args=args,
            config=(tyro.conf.OmitArgPrefixes,),
        )
    except GaussianSpeechError as error:
        return print_error(error)
    except KeyboardInterrupt:
        print("gaussianspeech: interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our results is gone; Python would complain again while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    return result if isinstance(result, int) else 0
