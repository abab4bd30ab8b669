# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage to bytes, the same for the same random numbers: for tests of what readers do with it."""

from __future__ import annotations

import random
import re
import struct

_TOKENS = (
    b"[", b"]", b"{", b"}", b'"', b",", b":", b"null", b"true", b"NaN", b"-1", b"0", b"1e999",
    b"1.5", b"[3.0]", b"{}", b'""', b"9" * 20, b"9" * 400, b"4611686018427387904", b"\0", b"\xff",
    b"\\ud800", b"[" * 3000,
)  # fmt: skip


def damage(data: bytes, rng: random.Random) -> bytes:
    """One to four random changes: flipped, lost, repeated and foreign bytes, other numbers."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        length = min(rng.choice((1, 1, 2, 4, 8, 60)), len(changed) - at)
        match rng.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del changed[at : at + length]
            case 2:
                changed[at:at] = changed[at : at + length]
            case 3:
                changed[at : at + length] = rng.choice(_TOKENS)
            case 4:
                numbers = list(re.finditer(rb"-?\d+(\.\d+)?", changed))
                if numbers:
                    changed[slice(*rng.choice(numbers).span())] = rng.choice(_TOKENS)
            case 5:
                del changed[rng.randrange(len(changed) // 2, len(changed) + 1) :]
    return bytes(changed)


def damage_message(message: bytes, rng: random.Random) -> bytes:
    """Damage to a message of the protocol; mostly inside a header whose length still holds."""
    if rng.random() < 0.2:
        return damage(message, rng)
    length = struct.unpack("<I", message[4:8])[0]
    header, payload = message[8 : 8 + length], message[8 + length :]
    header = damage(header, rng)
    return message[:4] + struct.pack("<I", len(header)) + header + payload
