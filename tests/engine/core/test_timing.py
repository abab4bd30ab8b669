# SPDX-License-Identifier: GPL-3.0-or-later
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.core.timing import MAX_FPS, MIN_FPS, frame_count


@given(st.floats(0.2, 3600), st.floats(MIN_FPS, MAX_FPS))
def test_a_clip_has_its_duration_to_half_a_frame(duration, fps):
    assert abs(frame_count(duration, fps) - duration * fps) <= 0.5


def test_ntsc_rates_are_not_rounded_to_whole_frames_per_second():
    assert frame_count(3600.0, 24000 / 1001) == 86314
    assert frame_count(3600.0, 24.0) == 86400


@pytest.mark.parametrize("fps", [0.0, 11.9, 121.0, -25.0, math.nan, math.inf])
def test_a_rate_out_of_range_is_refused_with_the_range(fps):
    with pytest.raises(BadInputError, match="12 to 120"):
        frame_count(1.0, fps)


@pytest.mark.parametrize("duration", [0.0, -1.0, math.nan])
def test_a_clip_without_duration_is_refused(duration):
    with pytest.raises(BadInputError, match="no frames"):
        frame_count(duration, 25.0)
