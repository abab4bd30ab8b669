# SPDX-License-Identifier: GPL-3.0-or-later
"""The hash of a mesh's triangles, by which an avatar's file names the mesh it is bound to."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def topology_hash(faces: torch.Tensor) -> str:
    """SHA-256 of (F, 3) triangles as little-endian int32, in hexadecimal digits."""
    data = np.ascontiguousarray(faces.cpu().numpy(), "<i4").tobytes()
    return hashlib.sha256(data).hexdigest()
