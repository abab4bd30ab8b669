# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars of captures with one camera, as a tracked video is one.

One camera sees the head from the few directions to which it turns. Everywhere else the pictures say
nothing: there the avatar begins as the default one, in the tones of what is seen beside it, and
colours change with the direction of view only as far as the pictures force them to.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from engine.avatar.avatar_file import ASSET
from engine.core.json_values import read_json
from training.avatar.config import UNSEEN, AvatarSettings
from training.data.multiview import MultiViewCapture

_STEADY = 1.0
"""Weight of the colour prior against 0.1 with many cameras."""
_BUDGET = 40_000
"""Gaussians that are kept: those that no picture shows, two fifths, leave as many for the face as
with many cameras."""


def has_one_camera(capture: MultiViewCapture) -> bool:
    """Whether all views are of one camera."""
    return len({frame.camera_id for frame in capture.split("train").frames}) == 1


def for_one_camera(settings: AvatarSettings, capture: MultiViewCapture) -> AvatarSettings:
    """The settings of an avatar that one camera saw.

    The colour prior is strong, there is room for what is never seen, and an avatar of the default
    head begins as the default avatar.
    """
    default = capture.head.source.kind == "default"
    initial = ASSET if default and settings.initial is None else settings.initial
    density = settings.density
    if density.budget:
        density = replace(density, budget=max(density.budget, _BUDGET))
    steady = max(settings.steady, _STEADY)
    return replace(settings, steady=steady, initial=initial, density=density)


def unseen_note(capture: MultiViewCapture, folder: Path) -> str:
    """What no picture showed of an avatar, in a sentence.

    Args:
        capture: of one camera.
        folder: of the avatar's finished training.
    """
    scores = read_json(folder / "scores.json")
    share = f"{scores.number(UNSEEN):.0f} % of" if UNSEEN in scores else "some of"
    filled = (
        "shape and hair are the default avatar's, in the tones of what is seen beside them"
        if capture.head.source.kind == "default"
        else "colours are those of what is seen nearest"
    )
    return (
        f"One camera filmed the head: {share} the Gaussians, those of its back above all, "
        f"are in no picture; there {filled}."
    )
