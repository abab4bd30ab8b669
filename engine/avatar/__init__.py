# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian avatars: splats bound to the triangles of a head, and their colour."""

from engine import runtime

runtime.prepare()

from engine.avatar.avatar_file import load_avatar, save_avatar  # noqa: E402 - see runtime.prepare
from engine.avatar.color import ColorModel, MlpColor, ShColor  # noqa: E402
from engine.avatar.gaussian_avatar import GaussianAvatar, splats  # noqa: E402
from engine.avatar.pipeline import AvatarPipeline  # noqa: E402

__all__ = [
    "AvatarPipeline",
    "ColorModel",
    "GaussianAvatar",
    "MlpColor",
    "ShColor",
    "load_avatar",
    "save_avatar",
    "splats",
]
