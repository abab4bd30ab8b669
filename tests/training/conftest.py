# SPDX-License-Identifier: GPL-3.0-or-later
import pytest

from engine.heads import load_head
from tests.training.data.small_capture import write_small_capture


@pytest.fixture(scope="session")
def head():
    return load_head("default")


@pytest.fixture(scope="session")
def small_capture(tmp_path_factory):
    """Folder of a 4-camera, 3-timestep, 44×64 capture of the shipped avatar; do not write to it."""
    return write_small_capture(tmp_path_factory.mktemp("small-capture"))
