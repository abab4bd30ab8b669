# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacking zlib data from anywhere within a bound: a kilobyte may stand for a megabyte."""

from __future__ import annotations

import zlib


def inflate(data: bytes, most: int) -> bytes:
    """Unpack zlib data (RFC 1950).

    Args:
        data: the whole of it.
        most: bytes that it may unpack to.

    Raises:
        ValueError: damaged, cut off, or more than that; nothing beyond it was unpacked.
    """
    machine = zlib.decompressobj()
    try:
        found = machine.decompress(data, most + 1)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if len(found) > most:
        raise ValueError(f"it unpacks to more than {most} bytes")
    if not machine.eof:
        raise ValueError("it ends in the middle")
    return found
