# SPDX-License-Identifier: GPL-3.0-or-later
"""The processes of a training: one, or as many as ``torchrun`` started, a device each.

Where one of them dies, torchrun ends the others and starts all of them again
(``--max-restarts``); they continue from the checkpoint that the first one reads.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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

    def each(self, tensor: Tensor) -> Tensor:
        """(processes, ...) the tensors of all processes; they have to ask for it together."""
        if self.count == 1:
            return tensor[None]
        parts = [torch.empty_like(tensor) for _ in range(self.count)]
        distributed.all_gather(parts, tensor)
        return torch.stack(parts)

    def from_first(self, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """What the first process makes or reads; all have to ask for it together."""
        if self.count == 1:
            return make()
        shared: list[Any] = [make() if self.rank == 0 else None]
        distributed.broadcast_object_list(shared, 0, device=self.device)
        made: dict[str, Any] = shared[0]
        return made

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
        BadInputError: ``cuda`` is asked for where torch sees no such device, or processes on
            several hosts could not find each other again after a restart.
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
        _wait_for_all("nccl" if cuda else "gloo", count)
        atexit.register(distributed.destroy_process_group)
    return Processes(device, distributed.get_rank(), count)


def _wait_for_all(backend: str, count: int) -> None:
    """Join the group of this start's processes.

    torchrun keeps one store over all restarts (https://github.com/pytorch/pytorch/issues/135712):
    without keys of their own, restarted processes would wait for the addresses of ended ones.

    Raises:
        BadInputError: on several hosts; their counts of restarts are not the same.
    """
    kept = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == str(True)
    if not kept or os.environ.get("TORCHELASTIC_MAX_RESTARTS", "0") == "0":
        distributed.init_process_group(backend)
        return
    if os.environ.get("GROUP_WORLD_SIZE", "1") != "1":
        raise BadInputError(
            "torchrun's processes on several hosts would not find each other after a restart.",
            "Set TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1 for torchrun, with --rdzv-backend=c10d.",
        )
    store = distributed.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False
    )
    keys = f"start {os.environ['TORCHELASTIC_RESTART_COUNT']}"
    distributed.init_process_group(
        backend,
        store=distributed.PrefixStore(keys, store),  # type: ignore[attr-defined]
        rank=int(os.environ["RANK"]),
        world_size=count,
    )
