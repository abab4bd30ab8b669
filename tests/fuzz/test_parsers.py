# SPDX-License-Identifier: GPL-3.0-or-later
"""Some inputs of each harness, always the same ones: ``python -m tests.fuzz`` runs more of them."""

import json
import os
import time

import pytest

from engine.core.errors import BadInputError
from tests.fuzz.campaign import Campaign
from tests.fuzz.harness import Harness
from tests.fuzz.harnesses import HARNESSES
from tests.fuzz.watched import Judge

INPUTS = 200
"""Of each harness, by its cost fewer: some eight seconds of the processor in all."""


@pytest.fixture(scope="module")
def campaign():
    campaign = Campaign(list(HARNESSES.values()))
    campaign.run(inputs=INPUTS)
    campaign.close()
    return campaign


@pytest.mark.parametrize("name", HARNESSES)
def test_what_is_damaged_is_refused_in_a_line_or_harmless(campaign, name):
    assert campaign.inputs[name] == max(INPUTS // HARNESSES[name].cost, 1)
    assert [finding for finding in campaign.findings if finding.harness == name] == []


def test_the_same_number_gives_the_same_input():
    harness = HARNESSES["job"]
    assert harness.input(3, 7) == harness.input(3, 7)
    assert harness.input(3, 7) != harness.input(4, 7)
    assert harness.input(3, 100) in harness.seeds


def harness_of(parse, **bounds):
    return Harness(
        "own", "own.txt", lambda folder: (folder / "a").write_text("valid"), parse, **bounds
    )


@pytest.fixture
def verdict(tmp_path):
    judge = Judge(tmp_path)
    (tmp_path / "own").mkdir()

    def give(parse, *, valid=False, **bounds):
        found = judge.verdict(harness_of(parse, **bounds), b"input", valid=valid)
        return found and found[0]

    return give


def refuse(message):
    raise BadInputError(message)


def spin(path):
    end = time.process_time() + 0.2
    while time.process_time() < end:
        pass


def grow(path):
    # Far more than the system may take away meanwhile of what the process held before.
    bytearray(256 << 20)


def test_a_refusal_in_one_line_breaks_no_rule(verdict):
    assert verdict(lambda path: refuse("no")) is None
    assert verdict(lambda path: refuse("no\nwith\x1b[0m lines")) is None


def test_other_exceptions_are_named_by_where_they_escaped(verdict):
    assert verdict(lambda path: json.loads("{")).startswith("escape JSONDecodeError")


def test_a_valid_input_must_be_accepted(verdict):
    assert verdict(lambda path: refuse("no"), valid=True) == "refused"


def test_what_takes_too_long_or_too_much_is_seen(verdict):
    assert verdict(spin, seconds=0.1) == "slow"
    assert verdict(grow, memory=8) == "memory"


@pytest.mark.parametrize(
    "act",
    [
        lambda path: os.system("true"),
        lambda path: (path.parents[2] / "elsewhere").write_text("x"),
        lambda path: (path.parents[2] / "nothing").unlink(),
    ],
)
def test_what_runs_or_writes_elsewhere_is_seen(verdict, act):
    def parse(path):
        try:
            act(path)
        except OSError:
            refuse("no")

    assert verdict(parse) is not None


def test_a_file_left_behind_is_seen(verdict):
    assert verdict(lambda path: path.with_name("left").write_text("x")).startswith(
        "escape Assertion"
    )
