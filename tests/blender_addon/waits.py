# SPDX-License-Identifier: GPL-3.0-or-later
"""Who waits: Blender's main thread is not to, and how long it would take there is the machine's."""

from __future__ import annotations

import threading


def waits_of_this_thread(monkeypatch, *ways):
    """Names of the ways to wait that this thread takes from now on; other threads may.

    Of futures, the result that is there already counts as none.

    Args:
        monkeypatch: pytest's.
        ways: class and method of each.
    """
    here, seen = threading.current_thread(), []

    def noted(wait, name):
        def waiting(self, *arguments, **options):
            if threading.current_thread() is here and not getattr(self, "done", False):
                seen.append(name)
            return wait(self, *arguments, **options)

        return waiting

    for owner, name in ways:
        monkeypatch.setattr(owner, name, noted(getattr(owner, name), name))
    return seen
