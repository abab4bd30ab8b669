# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures that are kept in ``golden/``, so that a change of the look is seen.

``GAUSSIANSPEECH_GOLDEN=write`` writes them anew instead of comparing with them. A picture that
differs is written beside the kept one and their difference, ten times as strong, into a temporary
folder that the failure names.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent / "golden"
VARIABLE = "GAUSSIANSPEECH_GOLDEN"


def check(name: str, picture: np.ndarray, decibels: float) -> None:
    """Compare a picture with the kept one.

    Args:
        name: of the file, without its ending.
        picture: (H, W, 3) in [0, 1] as a screen shows it, top row first.
        decibels: peak signal-to-noise ratio that it has at least.
    """
    path, shown = FOLDER / f"{name}.png", (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)
    if os.environ.get(VARIABLE) == "write":
        write_png(path, shown)
        return
    kept = read_png(path)
    assert kept.shape == shown.shape, f"{path.name} is {kept.shape}, the picture {shown.shape}"
    difference = shown.astype(np.float64) - kept
    found = -10 * np.log10(max(np.mean((difference / 255) ** 2), 1e-10))
    if found < decibels:
        folder = Path(tempfile.mkdtemp(prefix="golden-"))
        stronger = np.clip(128 + 10 * difference, 0, 255).astype(np.uint8)
        write_png(folder / f"{name}.png", np.concatenate([kept, shown, stronger], axis=1))
        raise AssertionError(
            f"{name} is {found:.1f} dB from the kept picture, at least {decibels} are asked for: "
            f"kept, found and difference are in {folder}. {VARIABLE}=write keeps the new one."
        )


def write_png(path: Path, pixels: np.ndarray) -> None:
    """An (H, W, 3) uint8 picture."""
    height, width, _ = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = np.zeros((height, 1 + 3 * width), np.uint8)
    rows[:, 1:] = pixels.reshape(height, -1)
    rows[:, 4:] -= pixels.reshape(height, -1)[:, :-3]
    rows[:, 0] = 1  # Each byte is stored as its difference from the pixel to its left.
    data = b"\x89PNG\r\n\x1a\n"
    for kind, body in (
        (b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""),
    ):  # fmt: skip
        data += struct.pack(">I", len(body)) + kind + body
        data += struct.pack(">I", zlib.crc32(kind + body))
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)


def read_png(path: Path) -> np.ndarray:
    """What :func:`write_png` wrote."""
    data = path.read_bytes()
    width, height = struct.unpack_from(">II", data, 16)
    at, packed = 8, b""
    while at < len(data):
        (size,) = struct.unpack_from(">I", data, at)
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + size]
        at += 12 + size
    rows = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, 1 + 3 * width)
    assert (rows[:, 0] == 1).all(), f"{path.name} was written by another program"
    return np.cumsum(rows[:, 1:].reshape(height, width, 3), axis=1, dtype=np.uint8)
