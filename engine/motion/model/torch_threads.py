# SPDX-License-Identifier: GPL-3.0-or-later
"""How many threads torch uses for work that is too small to be shared out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread for the length of a block.

    Where single operations are small, waiting for the other threads takes longer than the work: a
    few times as long on a machine that does nothing else, more on a busy one.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
