# SPDX-License-Identifier: GPL-3.0-or-later
"""The shipped model is made by one command, and its record makes it again."""

import json
import shutil
from dataclasses import replace

import pytest

from engine.core.errors import BadInputError, CancelledError
from engine.heads import load_head
from engine.motion.model.checkpoint import load_model
from training.assets.prepare import Preparation, prepare
from training.assets.starter import RECORD, StarterTraining, train_starter
from training.assets.synthesise import Synthesis, synthesise
from training.speech.config import TrainingConfig

QUICK = TrainingConfig(steps=2, batch=2, frames=30, warm_up=1, validate_every=1)

needs_flite = pytest.mark.skipif(shutil.which("flite") is None, reason="flite is not installed")


def _plan(out, **changes):
    plan = StarterTraining(
        out, hours=10 / 3600, seed=3, programs=("flite",), validation=1, training=QUICK
    )
    return replace(plan, **changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    out = tmp_path_factory.mktemp("starter")
    return out, train_starter(_plan(out))


@needs_flite
def test_the_asset_says_what_it_was_made_with(made):
    out, path = made
    notes = load_model(path, load_head("default")).notes
    record = json.loads((out / RECORD).read_text())
    assert notes["made_with"] == record
    assert record["settings"]["training"]["seed"] == record["settings"]["seed"] == 3
    assert all(voice.startswith("flite ") for voice in record["voices"])
    assert "2." in record["programs"]["flite"]


@needs_flite
def test_the_same_record_makes_the_same_model_after_a_break(made, tmp_path):
    _, whole = made

    def stop(fraction, message):
        if fraction > 0.6:
            raise CancelledError

    with pytest.raises(CancelledError):
        train_starter(_plan(tmp_path), stop)
    assert train_starter(_plan(tmp_path)).read_bytes() == whole.read_bytes()


@needs_flite
def test_a_folder_with_another_run_is_refused(made):
    out, _ = made
    with pytest.raises(BadInputError, match="other settings"):
        train_starter(_plan(out, seed=4))


@needs_flite
def test_too_few_sequences_are_refused(made, tmp_path):
    out, _ = made
    with pytest.raises(BadInputError, match=r"holds \d+ sequences"):
        train_starter(_plan(tmp_path, sequences=out / "sequences", validation=24))


@needs_flite
@pytest.mark.slow
def test_workers_prepare_the_same_sequences(tmp_path):
    synthesise(Synthesis(tmp_path / "clips", hours=5 / 3600, programs=("flite",)))
    alone = prepare(Preparation(tmp_path / "clips", tmp_path / "alone"))
    shared = prepare(Preparation(tmp_path / "clips", tmp_path / "shared", workers=2))
    assert [f.read_bytes() for f in alone] == [f.read_bytes() for f in shared]
