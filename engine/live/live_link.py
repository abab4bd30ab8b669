# SPDX-License-Identifier: GPL-3.0-or-later
"""The packets of Epic's app Live Link Face, as Unreal Engine's Apple ARKit plug-in reads them.

All numbers are big-endian; a text is its length in bytes (int32) and UTF-8::

    uint8    6, the version
    text     id of the device
    text     name of the subject
    int32    frame, float32 part of a frame, int32 numerator and int32 denominator of the rate
    uint8    61
    float32  61 values: 52 expressions in Apple's order, yaw, pitch and roll of the head, of the
             left eye and of the right eye
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction

from engine.motion.arkit import ARKIT_NAMES

VERSION = 6
PORT = 11111
"""UDP port on which Unreal Engine waits for Live Link Face."""
ANGLES = 9
"""Values after the expressions."""
_MOST_BYTES = 255
"""Bytes of a name."""


def packet(
    device: str, subject: str, frame: int, rate: Fraction, expressions: Sequence[float]
) -> bytes:
    """One frame.

    Args:
        device: id that stays the same for a sender.
        subject: name under which it appears.
        frame: number at the rate, for example since midnight.
        rate: frames per second, such as 24000/1001.
        expressions: 52 weights as :data:`engine.motion.arkit.ARKIT_NAMES`; the angles are 0.
    """
    values = (*expressions, *[0.0] * ANGLES)
    return b"".join(
        (
            struct.pack(">B", VERSION),
            _text(device),
            _text(subject),
            struct.pack(">ifii", frame, 0.0, rate.numerator, rate.denominator),
            struct.pack(f">B{len(ARKIT_NAMES) + ANGLES}f", len(values), *values),
        )
    )


def _text(text: str) -> bytes:
    data = text.encode()[:_MOST_BYTES]
    return struct.pack(">i", len(data)) + data
