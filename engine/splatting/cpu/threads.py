# SPDX-License-Identifier: GPL-3.0-or-later
"""When the kernels may run, and on what."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

KERNELS = threading.Lock()
"""numba's fallback thread pool must not be entered from two threads at once."""


def compilable(*tensors: torch.Tensor) -> bool:
    """Whether tensors are what the kernels take: float32 in this memory."""
    return all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)


def array(tensor: torch.Tensor, dtype: type[Any] = np.float32) -> NDArray[Any]:
    """A tensor as the kernels take it: C-contiguous, without a copy where it is so already."""
    return np.ascontiguousarray(tensor.detach().numpy(), dtype)
