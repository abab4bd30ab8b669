# SPDX-License-Identifier: GPL-3.0-or-later
"""Job folders as a worker leaves them, without a worker."""

from __future__ import annotations

import functools
import json
import os
import struct
import subprocess
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
        "format": "gaussianspeech-job-2",
        "command": {"name": "train avatar", "options": []},
        "config": {"kind": changes.pop("kind", "avatar"), "data": changes.pop("data", "/data")},
        "cwd": "/",
        "created": changes.pop("created", 1000.0),
        "process": {"pid": os.getpid(), "started": start_time()} if alive else None,
        "runs": 1,
    }
    (folder / "job.json").write_text(json.dumps(about))
    status = {"state": state, "step": 300, "total": 1200, "loss": 0.0123, "eta": 90.0} | changes
    (folder / "status.json").write_text(json.dumps(status))
    return folder


@functools.cache
def start_time() -> float:
    """When this process started, as the engine's Python knows it."""
    code = f"import psutil; print(psutil.Process({os.getpid()}).create_time())"
    python = os.environ["GAUSSIANSPEECH_PYTHON"]
    done = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


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
