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

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from walking import Condition, idle, inside, run, seconds, shoot, show_sidebar, status

WHEELS, FOLDER = (Path(argument).resolve() for argument in sys.argv[sys.argv.index("--") + 1 :][:2])
PATIENCE = 900.0
"""Seconds to wait for one step before giving up."""


def installing() -> bool:
    """Whether the set-up has come to the libraries."""
    modules = dict(sys.modules)
    session = next(modules[name] for name in modules if name.endswith(".setup.session"))
    future = session.under_way()
    return future is not None and future.poll()[1].startswith(("Getting", "Installing"))


def ended() -> bool:
    return status().is_error or "is set up" in status().message


def walk() -> Iterator[Condition]:
    yield from show_sidebar()
    shoot(FOLDER, "0-setup")
    bpy.ops.gaussianspeech.set_up_engine(build="CPU", wheels=str(WHEELS))
    yield lambda: installing() or ended()
    yield from seconds(2)
    if not installing():
        raise AssertionError(f"No library is installed: {status().message} {status().hint}")
    shoot(FOLDER, "0-setup-progress")
    yield ended
    yield from seconds(1)
    shoot(FOLDER, "0-setup-done")
    if status().is_error:
        raise AssertionError(f"{status().message} {status().hint}")
    with inside("VIEW_3D"):
        bpy.ops.gaussianspeech.doctor("INVOKE_DEFAULT")
    yield idle
    yield from seconds(1)
    print(status().message, status().hint, flush=True)
    shoot(FOLDER, "0-doctor")


run(walk(), FOLDER, PATIENCE)
