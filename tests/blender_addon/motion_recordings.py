# SPDX-License-Identifier: GPL-3.0-or-later
"""Recordings of face motion in files."""

from __future__ import annotations

import numpy as np
import pytest

FPS = 24


def recording(path, *, frames=49, rotation=True, fps=FPS):
    """A jaw that opens and a head that nods; the curves that were written."""
    modules = pytest.importorskip("engine.motion.interchange.curve_files")
    curves = pytest.importorskip("engine.motion.interchange.face_curves")
    column = pytest.importorskip("engine.motion.arkit").COLUMN
    weights, turned = np.zeros((frames, 52), np.float32), np.zeros((frames, 3), np.float32)
    weights[:, column["jawOpen"]] = 0.5 - 0.5 * np.cos(np.arange(frames) / 6)
    turned[:, 0] = 0.1 * np.sin(np.arange(frames) / 5) * rotation
    modules.write_curves(curves.FaceCurves(fps, weights, turned), path)
    return weights[:, column["jawOpen"]], turned
