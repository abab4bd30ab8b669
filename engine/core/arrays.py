# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of the array types; shapes stand in the docstrings of what takes and returns them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]
Double = NDArray[np.float64]
Index = NDArray[np.int32]
Ids = NDArray[np.int64]
Short = NDArray[np.int16]
Mask = NDArray[np.bool_]
Pixels = NDArray[np.uint8]
