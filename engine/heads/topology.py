# SPDX-License-Identifier: GPL-3.0-or-later
"""What tells in a file which mesh an avatar is bound to."""

from __future__ import annotations

import hashlib

import numpy as np
import torch


def faces_digest(faces: torch.Tensor) -> str:
    """Hex digest that tells one head's triangles from another's."""
    data = np.ascontiguousarray(faces.cpu().numpy(), "<i4").tobytes()
    return hashlib.sha256(data).hexdigest()
