# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np

from engine.motion.face.movement import Movement, path, pulses


def test_a_path_holds_between_movements_and_never_jumps():
    curve = path([Movement(0.2, 0.4, (1.0,)), Movement(0.5, 0.4, (-1.0,))], 100, 100.0, 1)[:, 0]
    assert not curve[:21].any()
    np.testing.assert_allclose(curve[91:], -1.0)
    assert np.abs(np.diff(curve)).max() < 0.2


def test_a_movement_before_the_clip_is_over_as_it_begins():
    curve = path([Movement(-1.0, 0.5, (2.0,))], 5, 25.0, 1)
    np.testing.assert_allclose(curve, 2.0)


def test_pulses_peak_hold_and_return():
    curve = pulses([0.5], [3.0], 0.2, 0.3, 100, 100.0, hold=0.05)
    np.testing.assert_allclose(curve[46:55], 3.0)
    assert not curve[:26].any()
    assert not curve[85:].any()
