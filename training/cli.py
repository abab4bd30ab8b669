# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line ``gaussianspeech``: the engine's commands, and those that train and evaluate."""

from __future__ import annotations

from collections.abc import Sequence

from engine.cli import build_app, run
from training.commands import evaluate, train
from training.commands.bench import bench
from training.commands.capture import capture
from training.commands.track import track
from training.speech.baselines import register_baselines


def main(args: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns:
        0 on success, 2 for bad input, 1 for other failures, 130 when interrupted.
    """
    register_baselines()
    app = build_app()
    app.command(bench)
    app.command(capture)
    app.command(track)
    app.command(evaluate.app, name="evaluate")
    app.command(train.app, name="train")
    return run(app, args)
