# SPDX-License-Identifier: GPL-3.0-or-later
"""What the add-on's modules read of the preferences.

Apart from the preferences' class (:mod:`.preferences`), which draws operators that read them.
"""

from __future__ import annotations

from pathlib import Path

import bpy

from ..engine.core.errors import GaussianSpeechError
from ..engine.core.runtime import cache_folder

ROOT_PACKAGE = __package__.rpartition(".")[0]
"""The extension's package, by which Blender knows its preferences and its user folder."""


def get_preferences(context: bpy.types.Context) -> bpy.types.AddonPreferences:
    """The add-on's preferences.

    Raises:
        GaussianSpeechError: the add-on is registered without being enabled.
    """
    addon = context.preferences.addons.get(ROOT_PACKAGE)
    if addon is None:
        raise GaussianSpeechError(
            f"The add-on {ROOT_PACKAGE} is not enabled.", "Enable it in the preferences."
        )
    return addon.preferences


def default_jobs_folder() -> Path:
    """Where jobs lie unless the preferences say otherwise, for ``gaussianspeech jobs`` too."""
    return cache_folder() / "jobs"
