# SPDX-License-Identifier: GPL-3.0-or-later
"""OSC messages of the VMC protocol, which avatar programs (VSeeFace, VNyan, Warudo …) receive.

``/VMC/Ext/Blend/Val NAME VALUE`` for each expression, then ``/VMC/Ext/Blend/Apply``; NAME as in
avatars with "perfect sync": ``JawOpen``. See https://protocol.vmc.info/english and the OSC 1.0
specification: a text ends in one to four zero bytes, to a multiple of four; numbers are big-endian.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from engine.motion.arkit import ARKIT_NAMES

PORT = 39539
"""UDP port on which programs wait for VMC."""
_MOST_BYTES = 1400
"""Bytes of a packet, so that no network cuts it."""
_IMMEDIATELY = struct.pack(">Q", 1)


def _text(text: str) -> bytes:
    data = text.encode()
    return data + bytes(4 - len(data) % 4)


_NAMED = [
    _text("/VMC/Ext/Blend/Val") + _text(",sf") + _text(name[0].upper() + name[1:])
    for name in ARKIT_NAMES
]
_APPLY = _text("/VMC/Ext/Blend/Apply") + _text(",")
_TIME = _text("/VMC/Ext/T") + _text(",f")
_AVAILABLE = _text("/VMC/Ext/OK") + _text(",i") + struct.pack(">i", 1)


def packets(seconds: float, expressions: Sequence[float]) -> list[bytes]:
    """The bundles of one frame.

    Args:
        seconds: time of the frame.
        expressions: 52 weights as :data:`engine.motion.arkit.ARKIT_NAMES`.
    """
    messages = [_AVAILABLE, _TIME + struct.pack(">f", seconds)]
    messages += [
        name + struct.pack(">f", value) for name, value in zip(_NAMED, expressions, strict=True)
    ]
    bundles, size = [[b"#bundle\0", _IMMEDIATELY]], 16
    for message in (*messages, _APPLY):
        if size + 4 + len(message) > _MOST_BYTES:
            bundles.append([b"#bundle\0", _IMMEDIATELY])
            size = 16
        bundles[-1] += [struct.pack(">i", len(message)), message]
        size += 4 + len(message)
    return [b"".join(parts) for parts in bundles]
