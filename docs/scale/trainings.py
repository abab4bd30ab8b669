# SPDX-License-Identifier: GPL-3.0-or-later
"""Several trainings on a Ray cluster: ``python docs/scale/trainings.py trainings.txt --ray auto``.

A line of the file is a command without ``gaussianspeech``, such as ``train avatar --data CAPTURE
--out JOB``; empty lines and those that begin with ``#`` are skipped. Each is a task of Ray with
processors and GPUs of its own. One whose worker or node dies is started again where there is room,
and continues from its checkpoint: captures and jobs lie at the same path on all nodes. Exit code:
0, all have ended well; 2, what failed is wrong in itself; 1, something else.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

import ray

SOMETHING_ELSE = 1
"""Exit code of a training that may go well the next time."""


class FailedError(Exception):
    """A training ended with that exit code."""


def train(words: list[str], folder: str) -> int:
    """Do a command in this worker, which ends with it; its exit code.

    Raises:
        FailedError: it may go well the next time.
    """
    from training.cli import main

    os.chdir(folder)
    sys.argv = ["gaussianspeech", *words]
    try:
        code = main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else SOMETHING_ELSE
    if code == SOMETHING_ELSE:
        raise FailedError(shlex.join(words))
    return code


def main() -> int:
    """Start all, and print each as it ends."""
    parser = argparse.ArgumentParser(prog="trainings.py", description=__doc__)
    parser.add_argument("commands", type=Path, help="a command a line")
    parser.add_argument("--ray", default="auto", help="HOST:PORT, auto, or local for this machine")
    parser.add_argument("--cpus", type=float, default=1.0, help="processors of each")
    parser.add_argument("--gpus", type=float, default=0.0, help="GPUs of each")
    parser.add_argument("--retries", type=int, default=3, help="of each, after a death or failure")
    options = parser.parse_args()
    lines = options.commands.read_text("utf-8").splitlines()
    commands = [shlex.split(line) for line in lines if line.strip() and line.lstrip()[0] != "#"]
    ray.init(address=options.ray, logging_level="error")
    task = ray.remote(
        max_retries=options.retries,
        retry_exceptions=[FailedError],
        max_calls=1,  # Settings and memory of one training are nothing to the next.
        num_cpus=options.cpus,
        num_gpus=options.gpus,
    )(train)
    running = {task.remote(words, str(Path.cwd())): words for words in commands}
    codes = []
    while running:
        (ended, *_), _ = ray.wait(list(running))
        words = running.pop(ended)
        try:
            codes.append(ray.get(ended))
        except ray.exceptions.RayError as error:
            print(type(error).__name__, end=" ")
            codes.append(SOMETHING_ELSE)
        print(f"{'done' if codes[-1] == 0 else 'FAILED'}: {shlex.join(words)}", flush=True)
    return SOMETHING_ELSE if SOMETHING_ELSE in codes else max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
