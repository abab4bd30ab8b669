# SPDX-License-Identifier: GPL-3.0-or-later
"""Baking a head again with its settings, as soon as a slider moves."""

from __future__ import annotations

import bpy

from ...engine.core.errors import GaussianSpeechError
from ..characters.properties import character_objects
from ..status import set_error
from .action import read_prediction
from .adjust import LIVE_LIMIT, adjustments
from .bake import Baked, active_bake, check_bakeable, rebake


def rebake_settings(context: bpy.types.Context, obj: bpy.types.Object) -> Baked:
    """Bake a head, or all objects of a character, again with its settings.

    Raises:
        BadInputError: it cannot be; nothing was changed.
    """
    main, *others = character_objects(obj)
    settings = main.gaussianspeech_speech
    baked = [other for other in others if active_bake(other) is not None]
    for other in (main, *baked):
        check_bakeable(other)
    first, *_ = [
        rebake(context, other, adjustments(settings), settings.offset) for other in (main, *baked)
    ]
    return first


def rebake_live(obj: bpy.types.Object, context: bpy.types.Context) -> None:
    """Bake again after a setting was changed, unless there is nothing to bake or too much."""
    action = active_bake(character_objects(obj)[0])
    if action is None:
        return
    try:
        if read_prediction(action).values.size <= LIVE_LIMIT:
            rebake_settings(context, obj)
    except GaussianSpeechError as error:
        # A property's update has no operator to report with.
        set_error(context, error)
