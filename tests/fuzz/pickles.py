# SPDX-License-Identifier: GPL-3.0-or-later
"""Damage to pickles that knows their operations."""

from __future__ import annotations

import pickletools
import random
from itertools import pairwise

from tests.fuzz.damage import damage

_CODES = [opcode.code.encode("latin-1") for opcode in pickletools.opcodes]


def damage_pickle(data: bytes, rng: random.Random) -> bytes:
    """A pickle with operations that are lost, repeated, exchanged or foreign, operands whole."""
    if rng.random() < 0.2:
        return damage(data, rng)
    parts = _operations(data)
    for _ in range(rng.randint(1, 4)):
        at, other = rng.randrange(len(parts)), rng.randrange(len(parts))
        match rng.randrange(7):
            case 0 if len(parts) > 1:
                del parts[at]
            case 1:
                parts.insert(at, parts[other])
            case 2:
                parts[at], parts[other] = parts[other], parts[at]
            case 3:
                parts.insert(at, rng.choice(_CODES) + rng.choice(_OPERANDS))
            case 4:
                parts[at] = damage(parts[at], rng)
            case 5:
                stop = min(at + rng.randint(1, 6), len(parts))
                parts[at:at] = parts[at:stop] * rng.choice((1, 2, 50))
            case _:
                parts[at] = parts[at][:1] + rng.choice(_OPERANDS)
    return b"".join(parts)


def _operations(data: bytes) -> list[bytes]:
    """Each with its operand; by lines where Python 2 wrote what pickletools takes for no text."""
    try:
        starts = [position for _, _, position in pickletools.genops(data)] + [len(data)]
    except ValueError:
        return data.splitlines(keepends=True)
    return [data[start:stop] for start, stop in pairwise(starts)]


_OPERANDS = (
    b"",
    b"\0",
    b"\1",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\0\0\0\0",
    b"\xff\xff\xff\x7f",
    b"0\n",
    b"-1\n",
    b"99999999999999999999\n",
    b"cos\nsystem\n",
    b"os\nsystem\n",
    b"numpy\nndarray\n",
    b"\5hello",
    b"\0" * 8,
    b"\xff" * 8,
    b"'x'\n",
    b"builtins\neval\n",
    b"numpy.core.multiarray\nscalar\n",
)
