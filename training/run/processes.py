# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a training: one, or as many as ``torchrun`` started, a device each."""

from __future__ import annotations

import atexit
import os
from dataclasses import dataclass

import torch
from torch import Tensor, distributed

from engine.core.errors import BadInputError


@dataclass(frozen=True)
class Processes:
    """What a process of a training knows of them all.

    Attributes:
        device: of this process; its tensors lie there.
        rank: number of this process; the first one, 0, reports and keeps the files.
        count: how many there are.
    """

    device: torch.device
    rank: int = 0
    count: int = 1

    def summed(self, tensor: Tensor) -> Tensor:
        """The sum over all processes; they have to ask for it together."""
        if self.count == 1:
            return tensor
        total = tensor.clone()
        distributed.all_reduce(total)
        return total

    def agreed(self, *, yes: bool) -> bool:
        """What the first process says; all have to ask for it together."""
        if self.count == 1:
            return yes
        answer = torch.tensor(int(yes), device=self.device)
        distributed.broadcast(answer, 0)
        return bool(answer)


def join_processes(*, cuda: bool) -> Processes:
    """This process and those that ``torchrun`` started beside it, which wait for each other.

    Raises:
        BadInputError: ``cuda`` is asked for where torch sees no such device.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if cuda and not torch.cuda.is_available():
        raise BadInputError(
            "torch sees no CUDA device.",
            "Train on the CPU (--device cpu --backend cpu), or see 'gaussianspeech doctor'.",
        )
    device = torch.device("cpu")
    if cuda:
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    if count == 1:
        return Processes(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if cuda else "gloo")
        atexit.register(distributed.destroy_process_group)
    return Processes(device, distributed.get_rank(), count)
