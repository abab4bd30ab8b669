# SPDX-License-Identifier: GPL-3.0-or-later
"""Job folders as a worker leaves them, without a worker."""

from __future__ import annotations

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path


def make_job(root: Path, name: str, state: str = "running", **changes) -> Path:
    """A job's folder; ``alive`` decides whether its process is this one or one that is gone.

    ``kind``, ``data`` and ``created`` go into job.json, everything else into status.json.
    """
    folder = root / name
    (folder / "checkpoints").mkdir(parents=True)
    alive = changes.pop("alive", state in ("running", "starting"))
    about = {
        "format": "gaussianspeech-job-1",
        "command": ["python", "-m", "training", "train", "avatar"],
        "config": {"kind": changes.pop("kind", "avatar"), "data": changes.pop("data", "/data")},
        "cwd": "/",
        "created": changes.pop("created", 1000.0),
        "process": [os.getpid(), start_time()] if alive else [1, "before the flood"],
        "runs": 1,
    }
    (folder / "job.json").write_text(json.dumps(about))
    status = {"state": state, "step": 300, "total": 1200, "loss": 0.0123, "eta": 90.0} | changes
    (folder / "status.json").write_text(json.dumps(status))
    return folder


def start_time() -> str:
    """When this process started, as the training's own code tells it."""
    code = f"from engine.jobs import process as detached; print(detached.start_time({os.getpid()}))"
    repository = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, cwd=repository
    )
    return done.stdout.strip()


def write_picture(path: Path, size: int = 32, shade: int = 120) -> None:
    """A grey PNG."""
    rows = (b"\0" + bytes([shade] * 3 * size)) * size

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
