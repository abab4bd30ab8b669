# SPDX-License-Identifier: GPL-3.0-or-later
"""The networks that a speech model can be, by name.

The engine has one, section 4.2 of the paper. Whoever has others registers them, so that their files
animate as any model's does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from engine.core.checks import shown
from engine.core.errors import BadInputError

if TYPE_CHECKING:
    from engine.motion.model.config import SpeechModelConfig
    from engine.motion.model.network import SpeechNetwork

Builder = Callable[["SpeechModelConfig"], "SpeechNetwork"]

_BUILDERS: dict[str, Builder] = {}


def register(name: str, build: Builder) -> None:
    """Make an architecture known under the name that configurations have for it."""
    _BUILDERS[name] = build


def build(config: SpeechModelConfig) -> SpeechNetwork:
    """The network of a configuration, untrained.

    Raises:
        BadInputError: an architecture that is not known here.
    """
    from engine.motion.model.config import SEQUENCE
    from engine.motion.model.network import SpeechModel

    if config.architecture == SEQUENCE:
        return SpeechModel(config)
    if config.architecture not in _BUILDERS:
        raise BadInputError(
            f"The speech model is a network of the kind {shown(config.architecture)}, which is not "
            "known here.",
            f"Known are: {', '.join((SEQUENCE, *_BUILDERS))}. Use the command 'gaussianspeech', "
            "or update GaussianSpeech.",
        )
    return _BUILDERS[config.architecture](config)
