# SPDX-License-Identifier: GPL-3.0-or-later
"""GaussianAvatars' folders: who they are and what they do, in and out."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from engine.avatar import flame_motion
from engine.avatar.flame_motion import load_motion, performance_of
from engine.avatar.gaussian_avatars import FIELDS
from engine.avatar.ply import write_columns
from engine.avatar.with_head import load_with_head
from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.heads.flame import load_flame
from engine.heads.flame_param import MOVING, FlameParam, load_flame_param, save_flame_param
from engine.heads.identity import Identity
from engine.heads.skinning import flame_vertices
from engine.motion.face.pose import pose_matrices
from engine.motion.factored import TOLERANCE, factored
from engine.motion.performance import Performance
from tests.engine.heads.flame_people import TEETH, identity
from training.cli import main

FRAMES = 70


@pytest.fixture(scope="module")
def param():
    """A person who talks, nods, looks about and walks."""
    random = np.random.default_rng(2)
    shape, static = identity()
    time = np.linspace(0, 3, FRAMES)[:, None]

    def wave(size, amount):
        return amount * np.sin(time * random.uniform(1, 4, size) + random.uniform(0, 6, size))

    values = {
        "expr": wave(100, 1.0),
        "rotation": wave(3, 0.3),
        "neck_pose": wave(3, 0.2),
        "jaw_pose": np.abs(wave(3, 1.0)) * [0.3, 0.05, 0],
        "eyes_pose": wave(6, 0.3),
        "translation": np.array([0.2, 1.5, 0.1]) + wave(3, 0.05),
    }
    return replace(
        FlameParam.neutral(TEETH, FRAMES, shape),
        static_offset=static,
        **{name: array.astype(np.float32) for name, array in values.items()},
    )


@pytest.fixture
def folder(param, tmp_path):
    """As GaussianAvatars writes it: one splat a triangle."""
    made = tmp_path / "306"
    made.mkdir()
    save_flame_param(param, made / "flame_param.npz")
    columns = np.zeros((10_144, len(FIELDS)), np.float32)
    columns[:, FIELDS.index("rot_0")] = 1
    columns[:, FIELDS.index("opacity")] = 2
    columns[:, FIELDS.index("f_dc_0")] = 1
    columns[:, FIELDS.index("binding_0")] = np.arange(10_144)
    write_columns(made / "point_cloud.ply", FIELDS, columns)
    return made


def full_model(person, param):
    """(T, V, 3) in the world, the definition."""
    pose = np.hstack([param.rotation, param.neck_pose, param.jaw_pose, param.eyes_pose])
    return flame_vertices(
        person.model,
        torch.zeros(0, dtype=torch.float64),
        torch.from_numpy(param.expr).double(),
        torch.from_numpy(pose).double(),
        torch.from_numpy(param.translation).double(),
    ).numpy()


def played(performance, head):
    poses = pose_matrices(performance.head_rotation, head.neck)
    vertices = head.template + performance.offsets()
    return np.einsum("tij,tvj->tvi", poses[:, :3, :3], vertices) + poses[:, None, :3, 3]


def test_the_poses_of_a_folder_are_those_of_the_full_model(person, param):
    performance = performance_of(param, person.model, person.head, 25.0)
    shown, exact = played(performance, person.head), full_model(person, param)
    # Where it stands in the world is left out: one translation for all of the clip.
    placed = (exact - shown).mean(axis=(0, 1))
    assert np.linalg.norm(exact - shown - placed, axis=-1).max() < 5e-5
    assert np.linalg.norm(placed) > 1
    assert performance.expression[:, :100] == pytest.approx(param.expr)
    assert performance.head == person.head.id


def test_what_changes_from_frame_to_frame_beside_the_pose_is_kept(person, param):
    few = {n: getattr(param, n)[:3] for n in ("expr", "rotation", "neck_pose", "jaw_pose")}
    few |= {n: getattr(param, n)[:3] for n in ("eyes_pose", "translation")}
    dynamic = 1e-3 * np.random.default_rng(4).standard_normal((3, TEETH, 3)).astype(np.float32)
    still = replace(param, dynamic_offset=np.zeros_like(dynamic), **few)
    moved = replace(still, dynamic_offset=dynamic)
    difference = [
        performance_of(p, person.model, person.head, 25.0).offsets() for p in (still, moved)
    ]
    apart = np.linalg.norm(difference[1] - difference[0], axis=-1)
    assert apart.mean() == pytest.approx(np.linalg.norm(dynamic, axis=-1).mean(), rel=0.1)


def test_a_long_clip_takes_as_many_components_as_it_has_and_no_more():
    random = np.random.default_rng(0)
    rows = random.standard_normal((300, 7)) @ random.standard_normal((7, 60))
    weights, basis = factored(iter(np.split(rows, 5)), TOLERANCE)
    assert basis.shape == (7, 60)
    assert np.abs(weights @ basis - rows).max() < 1e-4
    with pytest.raises(BadInputError, match="no frames"):
        factored(iter(()), TOLERANCE)


def test_a_folder_comes_in_with_its_identity(folder, model_file, person):
    avatar, head = load_with_head(folder, model_file)
    assert np.allclose(head.template, person.head.template, atol=1e-6)
    assert np.abs(head.template - load_flame(model_file).template).max() > 0.005
    assert avatar.count == 10_144
    with pytest.raises(BadInputError, match="is another: shape coefficients differ by up to 1"):
        from engine.avatar import load_avatar

        load_avatar(folder / "point_cloud.ply", load_flame(model_file))
    assert load_head(folder / "point_cloud.ply", model_file).id == head.id
    assert load_head(folder / "flame_param.npz", model_file).id == head.id


def test_a_folder_plays_and_goes_out_as_it_came(folder, model_file, param, tmp_path, capsys):
    ply, motion = folder / "point_cloud.ply", folder / "flame_param.npz"
    picture = tmp_path / "a.png"
    command = ["render", str(motion), "--avatar", str(ply), "--head", str(model_file)]
    command += ["--size", "64x64", "--frame", "9", "--out", str(picture)]
    assert main(command) == 0
    with Image.open(picture) as image:
        assert np.asarray(image).std() > 10
    out = tmp_path / "out" / "point_cloud.ply"
    command = ["export", "avatar", str(ply), "--head", str(model_file), "--out", str(out)]
    assert main(command) == 0
    back = load_flame_param(out.with_name("flame_param.npz"))
    for name in ("shape", "static_offset", "expr", "rotation", "neck_pose", "jaw_pose"):
        assert np.array_equal(getattr(back, name), getattr(param, name)), name
    assert np.array_equal(back.eyes_pose, param.eyes_pose)
    # By way of this project's own file, which carries the person, but no motion.
    kept = tmp_path / "306.safetensors"
    assert main([*command[:-1], str(kept)]) == 0
    again = tmp_path / "again" / "point_cloud.ply"
    capsys.readouterr()
    assert main(["export", "avatar", str(kept), "--out", str(again), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 1
    back = load_flame_param(again.with_name("flame_param.npz"))
    assert np.array_equal(back.shape, param.shape)
    assert np.array_equal(back.static_offset, param.static_offset)
    assert again.read_bytes() == out.read_bytes()


def test_its_poses_become_a_performance(folder, model_file, person, param, tmp_path):
    kept = tmp_path / "306.safetensors"
    command = ["export", "avatar", str(folder), "--head", str(model_file), "--out", str(kept)]
    assert main(command) == 0
    out = tmp_path / "a.performance.npz"
    motion = folder / "flame_param.npz"
    assert main(["retarget", str(motion), "--head", str(kept), "--out", str(out)]) == 0
    made = Performance.load(out)
    assert (made.frames, made.head) == (FRAMES, load_head(kept).id)
    exact = performance_of(param, person.model, person.head, 25.0)
    assert np.allclose(made.offsets(), exact.offsets(), atol=1e-5)
    with pytest.raises(BadInputError, match="no FLAME head"):
        load_motion(motion, load_head("default"), kept)


def test_frames_of_single_files_are_in_the_order_of_their_numbers(param, tmp_path):
    for number in range(12):
        one = replace(
            param, **{name: getattr(param, name)[:1] for name in (*MOVING, "dynamic_offset")}
        )
        jaw = np.full((1, 3), 0.01 * number, np.float32)
        save_flame_param(replace(one, jaw_pose=jaw), tmp_path / f"{number}.npz")
    found, _ = flame_motion._of_gaussian_avatars(tmp_path)
    assert np.allclose(found.jaw_pose[:, 0], 0.01 * np.arange(12))


def test_expressions_beyond_what_the_avatar_saw_are_held_near_it(person, param):
    seen = np.zeros((2, len(person.head.expression_names)), np.float32)
    seen[0, :100], seen[1, :100] = -0.5, 0.5
    held = performance_of(
        param, person.model, person.head, 25.0, Identity.of(person.head, seen)
    ).expression
    assert 0.5 < np.abs(held[:, :100]).max() <= 0.75
    inside = np.abs(param.expr) <= 0.5
    assert np.array_equal(held[:, :100][inside], param.expr[inside])
    # The jaw is a joint, not a component of scans.
    free = performance_of(param, person.model, person.head, 25.0).expression
    assert np.array_equal(held[:, 100:], free[:, 100:])
