# SPDX-License-Identifier: GPL-3.0-or-later
"""``status.json``: whole, bounded, and of known types."""

import json
import math
import threading

import pytest

from engine.core.errors import BadInputError
from engine.jobs.status import JobStatus, State, read_status, write_status

GOOD = {"state": "running", "step": 3, "total": 9, "loss": 0.5, "eta": 3.2, "message": "x"}


def test_a_reader_never_sees_half_a_status(tmp_path):
    stop = threading.Event()

    def write():
        step = 0
        while not stop.is_set():
            step += 1
            write_status(tmp_path, JobStatus(State.RUNNING, step, message="x" * 5000))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        steps = [read_status(tmp_path).step for _ in range(300)]
    finally:
        stop.set()
        thread.join()
    assert steps == sorted(steps)
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def test_a_loss_that_is_no_number_is_left_out(tmp_path):
    write_status(tmp_path, JobStatus(State.RUNNING, loss=math.nan, eta=math.inf))
    status = read_status(tmp_path)
    assert status.loss is None
    assert status.eta is None


def test_fields_that_a_later_version_adds_are_ignored(tmp_path):
    (tmp_path / "status.json").write_text(json.dumps(GOOD | {"terms": {"rgb": 0.1}}))
    assert read_status(tmp_path).step == 3


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"state": "dancing"}',
        '{"state": "running',
        '{"state": "running", "loss": NaN}',
        "[" * 100_000,
        json.dumps(GOOD) + " " * (1 << 20),
        *(
            json.dumps(GOOD | change)
            for change in (
                {"state": "cancelling"},
                {"state": 5},
                {"step": "3"},
                {"step": -1},
                {"step": 1.5},
                {"step": True},
                {"total": 10**30},
                {"loss": "low"},
                {"eta": [1]},
                {"preview": -1},
                {"message": {"a": 1}},
                {"updated": "now"},
            )
        ),
    ],
    ids=lambda content: content[:70],
)
def test_a_damaged_status_is_a_clear_error(tmp_path, content):
    (tmp_path / "status.json").write_text(content)
    with pytest.raises(BadInputError, match=r"status\.json"):
        read_status(tmp_path)
