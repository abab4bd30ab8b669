# SPDX-License-Identifier: GPL-3.0-or-later
r"""Makes the picture of the section *Training*: one training that is done, and one that runs.

    gaussianspeech capture --out anna --scale 0.2 --cameras 6 --timesteps 6 --samples 8
    blender --enable-event-simulate --window-geometry 0 0 1600 1400 \
        --python docs/tour/training.py -- anna docs/images

Any capture will do. The extension must be installed and its engine Python set (or
GAUSSIANSPEECH_PYTHON be defined); trainings that are there stay unseen. It goes by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).parent))
from walking import (
    Condition,
    arguments,
    check,
    check_button,
    done,
    module,
    open_only,
    press,
    push,
    run,
    seconds,
    shoot,
    show_sidebar,
    sidebar,
    widen_sidebar,
    window,
)

CAPTURE, FOLDER = arguments("CAPTURE", "FOLDER")
PATIENCE = 900.0
"""Seconds to wait for one step before giving up."""
DRAFT_STEPS = 60
STEPS = 400
HEIGHT = 950
"""Pixels of the picture: those that the sections take."""
SHOWN = 0.6
"""Fraction of its steps at which the second training is shown."""


def job(name: str) -> Any:
    """What the section shows of a training, or ``None``."""
    return module("jobs.session").watcher.job(name)


def ended(name: str) -> bool:
    found = job(name)
    return found is not None and found.state.name in {"FINISHED", "CANCELLED", "FAILED", "DAMAGED"}


def train(name: str, steps: int) -> Iterator[Condition]:
    """Start a training with the settings that the section shows."""
    settings = bpy.context.scene.gaussianspeech_training
    settings.kind, settings.data, settings.title = "AVATAR", str(CAPTURE), name
    settings.preset, settings.limit_steps, settings.steps = "quick", True, steps
    push("train_avatar", data=settings.data, title=name, preset=settings.preset, steps=steps)
    yield from done(f"Training {name}")
    yield lambda: job(name) is not None
    listed = bpy.context.window_manager.gaussianspeech_jobs
    listed.index = listed.entries.find(name)


def far_enough(name: str) -> bool:
    """Whether a training has a picture and is as far as it is to be shown."""
    found = job(name)
    pictured = module("jobs.pictures").icon_of(found) != 0
    return ended(name) or (pictured and found.fraction >= SHOWN)


def walk() -> Iterator[Condition]:
    preferences = module("settings").get_preferences(bpy.context)
    # Blender removes its temporary folder when it quits.
    preferences.jobs_folder = str(Path(bpy.app.tempdir) / "jobs")
    open_only("GAUSSIANSPEECH_PT_training", "GAUSSIANSPEECH_PT_new_training")
    yield from press("add_head")
    yield from show_sidebar()
    yield from widen_sidebar(40)
    yield from train("anna-draft", DRAFT_STEPS)
    yield lambda: ended("anna-draft")
    check(job("anna-draft").state.name == "FINISHED", job("anna-draft").message)
    yield from train("anna", STEPS)
    yield lambda: far_enough("anna")
    check(not ended("anna"), f"It ended too soon: {job('anna').message}")
    check_button("cancel_job")
    yield from seconds(1)
    region = sidebar()
    top = window().height - region.y - region.height
    shoot(FOLDER, "training-panel", (region.x, top, region.width, HEIGHT))
    push("cancel_job", job="anna")
    yield lambda: ended("anna")


run(walk(), FOLDER, PATIENCE)
