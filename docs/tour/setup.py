# SPDX-License-Identifier: GPL-3.0-or-later
r"""Makes the pictures of *Set Up Engine* in a real Blender window, from an empty profile.

    blender --enable-event-simulate --window-geometry 0 0 1600 1000 \
        --python docs/tour/setup.py -- WHEELS FOLDER

WHEELS is a folder of wheels (``pip wheel``) for a Python from 3.11 to 3.13 that Blender brings or
that is on the PATH. The extension must be installed, and no engine named. It goes by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from walking import (
    Condition,
    arguments,
    check,
    check_button,
    module,
    press,
    push,
    run,
    seconds,
    shoot,
    show_sidebar,
    status,
)

WHEELS, FOLDER = arguments("WHEELS", "FOLDER")
PATIENCE = 900.0
"""Seconds to wait for one step before giving up."""


def installing() -> bool:
    """Whether the set-up has come to the libraries."""
    future = module("setup.session").under_way()
    return future is not None and future.poll()[1].startswith(("Getting", "Installing"))


def ended() -> bool:
    return status().is_error or "is set up" in status().message


def walk() -> Iterator[Condition]:
    yield from show_sidebar()
    check_button("set_up_engine")
    shoot(FOLDER, "0-setup")
    push("set_up_engine", "EXEC_DEFAULT", build="CPU", wheels=str(WHEELS))
    yield lambda: installing() or ended()
    yield from seconds(2)
    check(installing(), f"No library is installed: {status().message} {status().hint}")
    check_button("cancel_set_up")
    shoot(FOLDER, "0-setup-progress")
    yield ended
    yield from seconds(1)
    shoot(FOLDER, "0-setup-done")
    check(not status().is_error, f"{status().message} {status().hint}")
    yield from press("doctor")
    yield from seconds(1)
    shoot(FOLDER, "0-doctor")
    findings = module("setup.report").findings()
    wrong = [
        f"{found.name}: {found.text} {found.remedy}" for found in findings if found.level != "ok"
    ]
    check(findings and not wrong, f"{status().message}: {'; '.join(wrong)}")


run(walk(), FOLDER, PATIENCE)
