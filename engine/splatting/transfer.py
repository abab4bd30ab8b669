# SPDX-License-Identifier: GPL-3.0-or-later
"""Arrays to a device and pictures back, without waiting where that is possible."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


def upload(array: NDArray[Any], device: torch.device) -> torch.Tensor:
    """An array on a device; the copy is asynchronous where the device allows it.

    Args:
        array: any shape. On a CPU the tensor shares its memory where it can.
        device: of the result.
    """
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type != "cuda":
        return tensor.to(device)
    # PyTorch keeps the page-locked copy from being used again until the device has read it.
    return tensor.pin_memory().to(device, non_blocking=True)


class Download:
    """Tensors on their way to the host.

    The copies stand in the device's queue behind what makes the tensors, and the host is free until
    :meth:`numpy` is asked for. On a CPU there is nothing to wait for.

    Args:
        tensors: without a gradient, or detached; on one device.
    """

    def __init__(self, *tensors: torch.Tensor) -> None:
        self._done: torch.cuda.Event | None = None
        if not tensors or tensors[0].device.type != "cuda":
            self._host = [tensor.detach() for tensor in tensors]
            return
        self._host = []
        for tensor in tensors:
            room = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._host.append(room.copy_(tensor.detach(), non_blocking=True))
        self._done = torch.cuda.Event()  # type: ignore[no-untyped-call]
        self._done.record(torch.cuda.current_stream(tensors[0].device))

    def numpy(self) -> list[NDArray[Any]]:
        """The tensors as arrays, once they have arrived."""
        if self._done is not None:
            self._done.synchronize()
        return [tensor.cpu().numpy() for tensor in self._host]
