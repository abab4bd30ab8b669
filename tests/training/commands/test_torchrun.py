# SPDX-License-Identifier: GPL-3.0-or-later
"""``torchrun`` over two processes on this machine, one of which is killed while they train."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import defaultdict

from engine.jobs import folder as jobs
from engine.jobs.status import State
from tests.conftest import REPOSITORY

WORKER = """
import hashlib, os, signal, sys
from pathlib import Path

import torch

from training import cli
from training.avatar.trainer import AvatarTrainer
from training.evaluation import avatar

avatar.write_report = lambda *_: None  # Of no interest here, and longer than the training.
start, rank = os.environ["TORCHELASTIC_RESTART_COUNT"], os.environ["RANK"]
advance = AvatarTrainer.advance


def tensors(state):
    parts = state.values() if isinstance(state, dict) else state
    for part in parts if isinstance(state, dict | list | tuple) else ():
        yield from tensors(part)
    if isinstance(state, torch.Tensor):
        yield state.contiguous().numpy().tobytes()


def noted(trainer):
    terms = advance(trainer)
    digest = hashlib.sha256(b"".join(tensors(trainer.state()))).hexdigest()
    with Path("steps").open("a") as file:
        file.write(f"{start} {rank} {trainer.step} {digest} {terms['total']!r}\\n")
    if (start, rank, trainer.step) == ("0", "0", 9):
        os.kill(os.getpid(), signal.SIGKILL)
    return terms


AvatarTrainer.advance = noted
sys.exit(cli.main())
"""

COMMAND = "train avatar --data {data} --out {out} default --steps 9 --coarse 0 0 --latent 8"
COMMAND += " --hidden 16 --rounds 2 --start 0.3 --stop 0.8 --budget 22000 --face 0 --patch 0"
COMMAND += " --wrinkle 0 --threads 1 --checkpoint-every 5 --evaluate-every 100 --preview-every 100"


def test_after_a_process_was_killed_all_restart_from_the_checkpoint_to_the_same_bytes(
    small_capture, tmp_path
):
    """The first process, which has the job, is killed after the last step of an unbroken run."""
    (tmp_path / "worker.py").write_text(WORKER)
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1", "--nproc-per-node=2"]
    command += ["--standalone", "--max-restarts=1", "--", "worker.py"]
    command += COMMAND.format(data=small_capture, out="job").split()
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, timeout=500, check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]

    noted = defaultdict(dict)
    for line in (tmp_path / "steps").read_text().splitlines():
        start, rank, step, *result = line.split()
        noted[start, rank][int(step)] = result
    assert sorted(noted) == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
    for rank in "01":
        unbroken, resumed = noted["0", rank], noted["1", rank]
        # The second process may have been ended before it noted its last step.
        assert sorted(unbroken)[:8] == list(range(1, 9))
        assert sorted(resumed) == [6, 7, 8, 9]
        assert all(resumed[step] == unbroken[step] for step in resumed if step in unbroken)
    assert noted["1", "0"][9] == noted["0", "0"][9]
    # What differs is the loss of each one's own views.
    assert noted["1", "0"][9][0] == noted["1", "1"][9][0]
    assert noted["1", "0"][9][1] != noted["1", "1"][9][1]

    job = jobs.show(tmp_path / "job")
    assert (job.status.state, job.status.step, job.runs) == (State.FINISHED, 9, 2)
    assert (job.folder / "avatar.safetensors").is_file()
