# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech models on disk, and what is said when they do not fit."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engine.core.errors import BadInputError
from engine.motion.model import checkpoint
from engine.motion.model.checkpoint import head_for_model, load_model, save_model, set_basis
from engine.motion.model.config import STARTER, SpeechModelConfig, for_head
from engine.motion.model.network import SpeechModel

REPOSITORY = Path(__file__).resolve().parents[4]


def _model(head, **changes):
    torch.manual_seed(0)
    small = replace(STARTER, dimension=16, heads=2, feed_forward=16, past=4, **changes)
    model = SpeechModel(for_head(small, head)).eval()
    set_basis(model, head)
    return model


@pytest.fixture
def saved(head, tmp_path):
    path = tmp_path / "voice.safetensors"
    save_model(path, _model(head), head, "voice", {"seed": 3})
    return path


def test_a_model_comes_back_as_it_was(head, saved):
    loaded = load_model(saved, head)
    assert (loaded.name, loaded.head, loaded.notes) == ("voice", "default", {"seed": 3})
    for ours, theirs in zip(
        loaded.model.state_dict().values(), _model(head).state_dict().values(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=0, rtol=0)
    assert not loaded.model.training


def test_a_loaded_model_moves_the_heads_own_basis(head, saved):
    basis = load_model(saved, head).model.mapper.basis
    np.testing.assert_array_equal(basis.numpy(), head.expression_basis)


def test_half_precision_halves_the_file(head, saved, tmp_path):
    small = tmp_path / "half.safetensors"
    save_model(small, _model(head), head, "voice", half=True)
    assert small.stat().st_size < 0.6 * saved.stat().st_size
    assert load_model(small, head).model.audio.audio.weight.dtype == torch.float32


def test_a_learned_basis_is_stored(head, tmp_path):
    model = _model(head, learned_basis=True, components=3)
    torch.nn.init.normal_(model.mapper.basis)
    save_model(tmp_path / "m.safetensors", model, head, "m")
    loaded = load_model(tmp_path / "m.safetensors", head).model
    torch.testing.assert_close(loaded.mapper.basis, model.mapper.basis)


def test_a_head_with_other_expressions_is_refused_by_name(head, saved):
    names = ("sneer", *head.expression_names[1:])
    with pytest.raises(BadInputError, match=r"voice\.safetensors.*browDownLeft"):
        load_model(saved, replace(head, expression_names=names))


def test_a_learned_basis_of_the_first_default_head_moves_the_present_one(
    head, tmp_path, monkeypatch
):
    """Its teeth were moved after 0.1.0, whose models still open."""
    first = "5a563fc9ac6dddef0b996e76264a141bf34c6273710d7739e09be7ce9c345dee"
    path = tmp_path / "model.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "template_digest", lambda _head: first)
        save_model(path, _model(head, learned_basis=True, components=3), head, "m")
    assert load_model(path, head).model.config.learned_basis


def test_a_learned_basis_is_refused_on_another_mesh(head, tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, _model(head, learned_basis=True, components=3), head, "m")
    with pytest.raises(BadInputError, match="mesh"):
        load_model(path, replace(head, template=head.template * np.float32(1.1)))


def test_a_missing_model_is_named(head, tmp_path):
    with pytest.raises(BadInputError, match=r"gone\.safetensors"):
        load_model(tmp_path / "gone.safetensors", head)


@pytest.mark.parametrize("content", [b"", b"no model", bytes(100)])
def test_a_damaged_file_is_named(head, tmp_path, content):
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=r"bad\.safetensors"):
        load_model(path, head)


def test_a_truncated_file_is_named(head, saved):
    saved.write_bytes(saved.read_bytes()[:-100])
    with pytest.raises(BadInputError, match=r"voice\.safetensors"):
        load_model(saved, head)


def test_other_safetensors_are_refused(head, tmp_path):

    save_file({"x": torch.zeros(3)}, str(tmp_path / "x.safetensors"))
    with pytest.raises(BadInputError, match="not a speech model"):
        load_model(tmp_path / "x.safetensors", head)


def _mesh(head):
    """The same head as an artist's mesh: no expressions, no names."""
    nothing = np.zeros((0, head.vertex_count, 3), np.float32)
    return replace(head, id="mesh", expression_basis=nothing, expression_names=())


def _components(head, seed):
    """The same head with numbered expressions, as a FLAME version has them."""
    basis = np.random.default_rng(seed).normal(size=(6, head.vertex_count, 3)) * 1e-3
    names = tuple(f"expr_{i:03d}" for i in range(6))
    return replace(
        head, id="flame", expression_basis=basis.astype(np.float32), expression_names=names
    )


def test_a_model_of_arkit_expressions_finds_them_on_a_plain_mesh(head, saved):
    found = head_for_model(saved, _mesh(head))
    assert found.id == "mesh"
    np.testing.assert_array_equal(
        load_model(saved, found).model.mapper.basis.numpy(), found.expression_basis
    )


def test_a_model_of_a_heads_own_expressions_takes_the_head_as_it_is(head, tmp_path):
    flame = _components(head, 0)
    save_model(tmp_path / "m.safetensors", _model(flame), flame, "m")
    assert head_for_model(tmp_path / "m.safetensors", flame) is flame
    assert load_model(tmp_path / "m.safetensors", flame).head == "flame"


def test_numbered_expressions_of_another_version_are_refused(head, tmp_path):
    save_model(tmp_path / "m.safetensors", _model(_components(head, 0)), _components(head, 0), "m")
    other = _components(head, 1)
    found = head_for_model(tmp_path / "m.safetensors", other)
    with pytest.raises(BadInputError, match=r"m\.safetensors.*same names but are others"):
        load_model(tmp_path / "m.safetensors", found)


def test_a_model_of_other_expressions_is_refused_whatever_the_head(head, tmp_path):
    flame = _components(head, 0)
    save_model(tmp_path / "m.safetensors", _model(flame), flame, "m")
    found = head_for_model(tmp_path / "m.safetensors", _mesh(head))
    with pytest.raises(BadInputError, match=r"m\.safetensors is for the head 'flame'"):
        load_model(tmp_path / "m.safetensors", found)


def test_an_encoder_beside_the_model_is_found_wherever_both_are(head, tmp_path):
    save_model(tmp_path / "m.safetensors", _model(head), head, "m", encoder_source="./m.wav2vec2")
    with pytest.raises(BadInputError, match=r"no folder .*m\.wav2vec2"):
        load_model(tmp_path / "m.safetensors", head)
    (tmp_path / "m.wav2vec2").mkdir()
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    loaded = load_model(moved / "m.safetensors", head).model
    assert loaded.config.encoder_source == str(moved / "m.wav2vec2")


def test_a_file_that_says_too_little_is_refused(head, tmp_path):

    about = json.dumps({"format": "gaussianspeech-speech-model-1", "name": "m"})
    save_file({"x": torch.zeros(3)}, str(tmp_path / "x.safetensors"), {"gaussianspeech": about})
    with pytest.raises(BadInputError, match="lacks 'head'"):
        load_model(tmp_path / "x.safetensors", head)


def test_a_model_of_a_newer_version_is_refused(head, saved):
    from safetensors import safe_open

    with safe_open(str(saved), "pt") as file:
        about = json.loads(file.metadata()["gaussianspeech"])
    about["config"]["antennae"] = 2
    save_file(load_file(str(saved)), str(saved), {"gaussianspeech": json.dumps(about)})
    with pytest.raises(BadInputError, match="antennae"):
        load_model(saved, head)


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": 10**6},
        {"lip_layers": 10**6},
        {"dimension": 64.0},
        {"heads": True},
        {"feature_rate": float("nan")},
        {"feature_rate": "50"},
        {"styles": 5},
        {"dropout": None},
    ],
    ids=str,
)
def test_a_configuration_that_the_tensors_do_not_fit_takes_no_memory(head, saved, change):
    from safetensors import safe_open

    with safe_open(str(saved), framework="pt") as file:
        about = json.loads(file.metadata()["gaussianspeech"])
    about["config"] |= change
    save_file(load_file(str(saved)), str(saved), {"gaussianspeech": json.dumps(about)})
    with pytest.raises(BadInputError) as caught:
        load_model(saved, head)
    assert len(caught.value.message) <= 300


def test_a_tensor_with_nan_is_named(head, saved):
    from safetensors import safe_open

    with safe_open(str(saved), framework="pt") as file:
        about = file.metadata()
    tensors = load_file(str(saved))
    name = min(tensors)
    tensors[name] = torch.full_like(tensors[name], torch.nan)
    save_file(tensors, str(saved), about)
    with pytest.raises(BadInputError, match=name):
        load_model(saved, head)


def test_a_model_is_loaded_without_torchs_compiler():
    code = (
        "import sys\n"
        "from engine.heads import load_head\n"
        "from engine.motion.model.ids import STARTER_FILE\n"
        "from engine.motion.model.checkpoint import load_model\n"
        "load_model(STARTER_FILE, load_head('default'))\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"  # Importing it takes longer than everything else.


@pytest.mark.parametrize(
    "change",
    [
        {"encoder_source": None},
        {"encoder_source": 3},
        {"encoder": []},
        {"past": 1.5},
        {"past": 10**9},
        {"ahead": -1},
        {"feature_rate": "100"},
        {"feature_start": 1e300},
        {"dropout": None},
        {"learned_basis": 0},
        {"styles": [1]},
        {"styles": None},
    ],
    ids=repr,
)
def test_a_configuration_of_other_types_is_refused_in_a_line(head, change):
    known = _model(head).config.to_dict()
    with pytest.raises(BadInputError, match="speech model"):
        SpeechModelConfig.from_dict(known | change)
