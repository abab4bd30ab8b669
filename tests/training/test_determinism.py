# SPDX-License-Identifier: GPL-3.0-or-later
"""Same input and seed: the same bytes on machines of a family, near numbers on others."""

import json

import pytest

from tests.training import determinism
from tests.training.determinism import KNOWN, TOLERANCES


@pytest.fixture(scope="module")
def results(small_capture, one_thread):
    return determinism.computed(small_capture)


@pytest.fixture(scope="module")
def known():
    return json.loads(KNOWN.read_text("utf-8"))


def test_equal_input_and_seed_have_equal_bytes(results, small_capture):
    assert determinism.digests(determinism.computed(small_capture)) == determinism.digests(results)


def test_a_machine_of_a_known_family_has_its_bytes(results, known):
    if determinism.family() not in known["families"]:
        pytest.skip("python -m tests.training.determinism has not been run on such a machine.")
    assert determinism.digests(results) == known["families"][determinism.family()]


def test_every_machine_is_within_the_tolerance(results, known):
    distances = determinism.distances(results, known)
    assert {name: distances[name] <= most for name, most in TOLERANCES.items()} == dict.fromkeys(
        TOLERANCES, True
    ), distances
