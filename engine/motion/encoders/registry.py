# SPDX-License-Identifier: GPL-3.0-or-later
"""The audio encoders by id."""

from __future__ import annotations

from engine.core.errors import BadInputError
from engine.motion.encoders.base import AudioEncoder
from engine.motion.encoders.phonetic import PhoneticEncoder

WAV2VEC2 = "wav2vec2"
ENCODERS: tuple[str, ...] = (PhoneticEncoder.id, WAV2VEC2)
"""Ids of the encoders."""


def load_encoder(
    id: str,  # noqa: A002 - encoders have ids.
    source: str = "",
    rate: float | None = None,
) -> AudioEncoder:
    """The encoder of an id.

    Args:
        id: ``"phonetic"`` or ``"wav2vec2"``.
        source: hub id or folder of its weights, where it has any.
        rate: features per second that wav2vec 2.0 is to work at inside
            (:class:`engine.motion.encoders.wav2vec2.Wav2Vec2Encoder`).

    Raises:
        BadInputError: no such encoder.
        MissingDependencyError: its weights are not on this machine.
    """
    if id == PhoneticEncoder.id:
        return PhoneticEncoder()
    if id == WAV2VEC2:
        from engine.motion.encoders.wav2vec2 import DEFAULT_SOURCE, load_wav2vec2

        return load_wav2vec2(source or DEFAULT_SOURCE, rate)
    raise BadInputError(
        f"There is no audio encoder {id!r}.", f"Choose from: {', '.join(ENCODERS)}."
    )
