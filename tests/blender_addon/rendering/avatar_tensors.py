# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of avatars, written without the engine."""

from __future__ import annotations

import json

import numpy as np


def write_tensors(path, faces_sha256, tensors):
    """An avatar of the default head, coloured by spherical harmonics."""
    about = {
        "head": "default", "vertex_count": 8287, "faces_sha256": faces_sha256,
        "color": "sh", "provenance": {},
    }  # fmt: skip
    header, body = {"__metadata__": {"gaussianspeech-avatar-1": json.dumps(about)}}, b""
    for name, tensor in tensors.items():
        kind = "I32" if tensor.dtype.kind == "i" else "F32"
        data = np.ascontiguousarray(tensor, "<i4" if kind == "I32" else "<f4").tobytes()
        header[name] = {
            "dtype": kind, "shape": list(tensor.shape),
            "data_offsets": [len(body), len(body) + len(data)],
        }  # fmt: skip
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
