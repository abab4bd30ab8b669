# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose avatar it is: an invented FLAME file of real size, and a person of strong identity."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from engine.avatar import load_avatar, save_avatar, splats
from engine.avatar.avatar_file import ASSET
from engine.avatar.expression import softly_clamped
from engine.avatar.with_head import load_with_head
from engine.core import soft_range
from engine.core.errors import BadInputError, MissingDependencyError
from engine.heads import load_head
from engine.heads.carried_head import FIRST_FORMAT, FORMAT
from engine.heads.flame import load_flame
from engine.heads.identity import Identity
from engine.motion.performance import Performance
from tests.engine.heads.flame_people import identity, write_model
from training.avatar.config import AvatarSettings
from training.avatar.model import SHAPE, TrainableAvatar, first_colors, new_color
from training.avatar.seeding import on_triangles
from training.cli import main


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("flame") / "flame2023.npz")


@pytest.fixture(scope="module")
def person(model):
    shape, static = identity()
    return load_flame(model, shape=shape, static_offset=static[0])


@pytest.fixture(scope="module")
def avatar(person):
    settings = AvatarSettings(color="sh")
    color = new_color(settings, person)
    binding, shape = on_triangles(person, subdivide_teeth=True)
    grey = torch.full((len(binding), 3), 0.5)
    rows = first_colors(color, person, binding, shape, grey, settings)
    made = TrainableAvatar(person, color, binding, {n: shape[n] for n in SHAPE} | rows)
    seen = np.random.default_rng(0).standard_normal((9, len(person.expression_names)))
    return made.avatar(identity=Identity.of(person, seen.astype(np.float32)))


@pytest.fixture
def saved(avatar, tmp_path):
    save_avatar(avatar, tmp_path / "person.safetensors", half=True)
    return tmp_path / "person.safetensors"


@pytest.fixture
def unknown_machine(tmp_path, monkeypatch):
    """Where no FLAME model was ever read."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("GAUSSIANSPEECH_FLAME", raising=False)


def still(head, path):
    psi = np.zeros((1, len(head.expression_names)), np.float32)
    Performance(25.0, psi, head.expression_basis, psi, head.expression_names, head.id).save(path)
    return path


def of_first_version(path, head):
    """The file as 0.1.0 wrote it."""
    with safe_open(path, framework="pt") as file:
        kept = {n: file.get_tensor(n) for n in file.keys() if not n.startswith("head.")}  # noqa: SIM118
        about = json.loads(file.metadata()[FORMAT]) | {"head": head}
    save_file(kept, path, {FIRST_FORMAT: json.dumps(about)})


def test_an_avatar_of_a_person_is_refused_on_the_mean_flame_head(model, saved):
    mean = load_flame(model)
    with pytest.raises(BadInputError, match=r"another: its neutral face.* mm away"):
        load_avatar(saved, mean)


def test_a_persons_avatar_never_shows_what_the_mean_flame_head_does(model, saved, tmp_path, capsys):
    mean = still(load_flame(model), tmp_path / "mean.performance.npz")
    command = ["render", str(mean), "--out", str(tmp_path / "a.png"), "--head", str(model)]
    assert main([*command, "--avatar", str(saved), "--size", "64x64"]) == 2
    assert "The performance is of head" in capsys.readouterr().err


def test_an_avatar_gives_its_head(saved, person, avatar):
    loaded, head = load_with_head(saved)
    assert head.id == person.id == loaded.head
    assert np.array_equal(head.template, person.template)
    assert np.allclose(head.expression_basis, person.expression_basis, atol=1e-6)
    assert np.allclose(head.skeleton.positions, loaded.identity.joints, atol=1e-5)
    kept = loaded.identity
    assert np.array_equal(kept.source.static_offset, identity()[1][0])
    assert np.array_equal(kept.mean_expression, avatar.identity.mean_expression)
    assert np.array_equal(kept.expression_range, avatar.identity.expression_range)
    shown, meant = splats(loaded, torch.from_numpy(head.template)), avatar
    expected = splats(meant, torch.from_numpy(person.template))
    assert torch.allclose(shown.means, expected.means, atol=1e-4)
    assert not loaded.warnings


def test_a_head_can_be_named_by_the_avatar_that_carries_it(saved, person):
    assert load_head(saved).id == person.id
    assert load_head(str(saved)).skeleton.names == ("root", "neck", "jaw", "left_eye", "right_eye")


def test_the_model_is_found_beside_the_avatar_by_what_it_holds(saved, model, unknown_machine):
    with pytest.raises(MissingDependencyError, match=r"flame2023\.npz"):
        load_with_head(saved)
    beside = saved.parent / "generic_model.npz"
    with np.load(model) as arrays:
        content = dict(arrays)
    # Another model of the usual name is not taken for it.
    np.savez(beside, **(content | {"shapedirs": content["shapedirs"][..., ::-1]}))
    with pytest.raises(MissingDependencyError, match=r"generic_model\.npz is another"):
        load_with_head(saved)
    np.savez(beside, **content)
    assert load_with_head(saved).head.vertex_count == 5143


def test_the_model_is_found_by_the_environment_and_where_it_was_read(
    saved, model, unknown_machine, monkeypatch
):
    monkeypatch.setenv("GAUSSIANSPEECH_FLAME", str(model.parent))
    assert load_with_head(saved).head.vertex_count == 5143
    monkeypatch.delenv("GAUSSIANSPEECH_FLAME")
    assert load_with_head(saved).head.vertex_count == 5143


def test_another_version_of_flame_is_refused(saved, model, tmp_path):
    with np.load(model) as arrays:
        content = dict(arrays)
    content["shapedirs"] = content["shapedirs"][..., ::-1]
    np.savez(tmp_path / "generic_model.npz", **content)
    with pytest.raises(BadInputError, match=r"generic_model\.npz is not the file"):
        load_with_head(saved, tmp_path / "generic_model.npz")
    assert load_with_head(saved, model).avatar.count > 10_000


def test_an_avatar_of_the_first_version_loads_with_a_warning(saved, model, person):
    of_first_version(saved, person.id)
    with pytest.raises(BadInputError, match="version 1"):
        load_with_head(saved)
    loaded, head = load_with_head(saved, model)
    assert head.id != person.id
    (warning,) = loaded.warnings
    assert f"was made for another, '{person.id}'" in warning
    assert not load_with_head("default").avatar.warnings


def test_export_writes_an_old_avatar_with_its_head(saved, model, tmp_path, capsys):
    of_first_version(saved, load_flame(model).id)
    new = tmp_path / "new.safetensors"
    command = ["export", "avatar", str(saved), "--out", str(new), "--head", str(model)]
    assert main(command) == 0
    assert "note: person.safetensors is of version 1" in capsys.readouterr().err
    assert load_with_head(new).head.id == load_flame(model).id


def test_training_goes_on_from_another_persons_avatar_with_a_warning(saved, model):
    mean = load_flame(model)
    given = load_avatar(saved, mean, other_identity=True)
    assert given.head == mean.id
    assert "another person's head" in given.warnings[0]


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "statue"},
        {"kind": ["flame"]},
        {"digest": "../../etc"},
        {"expressions": "jawOpen"},
        {"id": None},
    ],
    ids=str,
)
def test_a_damaged_identity_is_refused_in_a_line(saved, change):
    with safe_open(saved, framework="pt") as file:
        kept = {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
        about = json.loads(file.metadata()[FORMAT])
    about["head"] |= change
    save_file(kept, saved, {FORMAT: json.dumps(about)})
    with pytest.raises(BadInputError, match=r"person\.safetensors"):
        load_with_head(saved)


@pytest.mark.parametrize("name", ["head.template", "head.joints", "head.shape"])
def test_a_missing_or_misshapen_tensor_of_the_head_is_named(saved, name):
    with safe_open(saved, framework="pt") as file:
        kept = {n: file.get_tensor(n) for n in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    for broken in ({}, {name: torch.zeros(2, 2, 2)}):
        save_file({n: t for n, t in kept.items() if n != name} | broken, saved, metadata)
        with pytest.raises(BadInputError, match=name):
            load_with_head(saved)


def test_expressions_far_outside_what_was_trained_on_are_held_near_it(person, avatar):
    from engine.avatar.color import MlpColor

    E, G = len(person.expression_names), avatar.count
    first = torch.zeros(8, 2 + 3 + E)
    first[:, 5:] = torch.randn(8, E, generator=torch.Generator().manual_seed(0))
    color = MlpColor(torch.zeros(G, 2), first, torch.zeros(8), torch.ones(3, 8) / 8, torch.zeros(3))
    low, high = (torch.from_numpy(b) for b in avatar.identity.expression_range)
    held = replace(avatar, color=color)
    free = replace(held, identity=Identity.of(person))
    vertices = torch.from_numpy(person.template)

    def colors(of, psi):
        return splats(of, vertices, psi).colors[0]

    inside = low + 0.7 * (high - low)
    assert torch.allclose(colors(held, inside), colors(free, inside))
    seen = 3 * torch.randn(50, E, generator=torch.Generator().manual_seed(1))
    numbers = soft_range.softly_clamped(seen.numpy(), low.numpy(), high.numpy())
    assert np.allclose(numbers, softly_clamped(seen, low, high), atol=1e-6)
    far, farther = high + 5, high + 50
    assert torch.allclose(colors(held, far), colors(held, farther), atol=1e-4)
    assert torch.allclose(colors(held, far), colors(free, high + 0.25 * (high - low)), atol=1e-3)


def test_the_avatar_that_ships_carries_its_head():
    with safe_open(ASSET, "np") as file:
        (about,) = file.metadata().items()
        joints = file.get_tensor("head.joints")
    assert about[0] == FORMAT
    assert json.loads(about[1])["head"]["kind"] == "default"
    np.testing.assert_array_equal(joints, load_head("default").skeleton.positions)
