# SPDX-License-Identifier: GPL-3.0-or-later
"""Views decoded ahead of training, so that a step does not wait for pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice

from training.data.multiview import View, Views


def prefetched(
    views: Views, order: Iterable[int], *, ahead: int = 4, workers: int = 2
) -> Iterator[View]:
    """Views in a given order, loaded by threads that run a bounded number ahead.

    Memory holds ``ahead`` views besides the one in use. Closing the iterator, or leaving its loop,
    ends the threads; views that were not asked for are dropped.

    Args:
        views: of a split.
        order: indices into ``views``; may be endless.
        ahead: most views that lie ready or are being loaded.
        workers: threads; decoding and scaling run without Python's lock.

    Yields:
        ``views[index]`` for each index of ``order``.

    Raises:
        BadInputError: a view cannot be loaded; raised when its turn comes.
    """
    indices = iter(order)
    with ThreadPoolExecutor(workers, thread_name_prefix="views") as pool:
        waiting: deque[Future[View]] = deque(
            pool.submit(views.__getitem__, index) for index in islice(indices, max(1, ahead))
        )
        try:
            while waiting:
                view = waiting.popleft().result()
                waiting.extend(pool.submit(views.__getitem__, i) for i in islice(indices, 1))
                yield view
        finally:
            for future in waiting:
                future.cancel()
