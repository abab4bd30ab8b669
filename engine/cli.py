# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m engine``: the commands of ``gaussianspeech`` that need no training.

:mod:`training.cli` adds the commands that train and evaluate; that is ``gaussianspeech``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import tyro
from tyro.extras import SubcommandApp

from engine.commands import jobs
from engine.commands.animate import animate
from engine.commands.batch import batch
from engine.commands.console import EXIT_FAILED, EXIT_INTERRUPTED, print_error
from engine.commands.demo import demo
from engine.commands.doctor import doctor
from engine.commands.download import download
from engine.commands.export import app as export
from engine.commands.farm import farm
from engine.commands.languages import languages
from engine.commands.live import live
from engine.commands.render import render
from engine.commands.retarget import retarget
from engine.commands.serve import serve
from engine.commands.warm_up import warm_up
from engine.core.errors import GaussianSpeechError, MissingDependencyError
from engine.core.files import refused_by_system
from engine.core.runtime import prepare


def build_app() -> SubcommandApp:
    """The engine's commands."""
    app = SubcommandApp()
    engine = (
        demo,
        animate,
        batch,
        farm,
        live,
        download,
        languages,
        render,
        retarget,
        doctor,
        warm_up,
        serve,
    )
    for command in engine:
        app.command(command)
    app.command(export, name="export")
    app.command(jobs.app, name="jobs")
    return app


def run(app: SubcommandApp, args: Sequence[str] | None = None) -> int:
    """Run one command of an app, with what numba and torch read from the environment set.

    Returns:
        0 on success, 2 for bad input, 1 for other failures, 130 when interrupted.
    """
    prepare()
    try:
        result = app.cli(
            prog="gaussianspeech",
            description="Talking Gaussian avatars: speech in, an animated and rendered head out.",
            args=args,
            config=(tyro.conf.OmitArgPrefixes,),
        )
        sys.stdout.flush()
    except GaussianSpeechError as error:
        return print_error(error)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("engine", "training"):
            raise
        return print_error(
            MissingDependencyError(
                f"The library {error.name!r} is not installed.",
                "To train and evaluate: pip install 'gaussianspeech[training]'.",
            )
        )
    except KeyboardInterrupt:
        print("gaussianspeech: interrupted.", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our results is gone.
        _drop_stdout()
        return EXIT_FAILED
    except OSError as error:
        # A disk, a folder or a permission: the user's to mend, like any other bad input.
        if error.filename is None:
            _drop_stdout()
        return print_error(refused_by_system(error))
    return result if isinstance(result, int) else 0


def _drop_stdout() -> None:
    """Python would complain again while it flushes at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main(args: Sequence[str] | None = None) -> int:
    """Run one of the engine's commands; see :func:`run`."""
    return run(build_app(), args)
