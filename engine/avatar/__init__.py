# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian avatars: splats bound to the triangles of a head, and their colour."""

from engine.avatar.avatar_file import load_avatar, save_avatar
from engine.avatar.color import ColorModel, MlpColor, ShColor
from engine.avatar.gaussian_avatar import GaussianAvatar, splats
from engine.avatar.pipeline import AvatarPipeline

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
