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
from training.person.config import PersonSettings

_STEADY = 1.0
"""Weight of the colour prior against 0.1 with many cameras."""
_FINEST = 0.45
"""Pixels: the square root of Mip-Splatting's variance of 0.2."""
_SIDE = 640
"""Pixels that the larger side of the pictures has at least, where there are as many."""
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
    finest = max(settings.finest, _FINEST)
    return replace(settings, steady=steady, finest=finest, initial=initial, density=density)


def with_fine_pictures(settings: PersonSettings, capture: MultiViewCapture) -> PersonSettings:
    """The settings with pictures that are not made smaller than a video's small ones should be.

    Presets have scales for captures of a thousand pixels; a video may show the head on few.

    Args:
        settings: of the person; a scale that the user chose stays.
        capture: of the person.
    """
    if settings.scale or not has_one_camera(capture):
        return settings
    cameras = [frame.camera for frame in capture.split("train").frames]
    side = max(max(camera.width, camera.height) for camera in cameras)
    scale = max(settings.avatar.scale, min(1.0, _SIDE / side))
    return replace(settings, scale=scale)


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
