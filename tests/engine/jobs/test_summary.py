# SPDX-License-Identifier: GPL-3.0-or-later
"""What lists and people are told of a job."""

import pytest

from engine.jobs.summary import duration_text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (3599, "1 h"),
        (12_000, "3 h 20 min"),
        (187_200, "2 d 4 h"),
        (172_800, "2 d"),
    ],
)
def test_times_have_two_units(seconds, text):
    assert duration_text(seconds) == text
