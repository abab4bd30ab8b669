# SPDX-License-Identifier: GPL-3.0-or-later
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from engine.avatar import load_avatar
from engine.avatar.gaussian_avatars import FIELDS
from engine.avatar.ply import read_header, write_columns
from engine.heads import load_head
from engine.heads.flame_param import load_flame_param
from engine.motion.performance import Performance
from training.cli import main


@pytest.fixture
def performance(head, tmp_path):
    expression = np.zeros((2, len(head.expression_names)), np.float32)
    expression[1, head.expression_index("jawOpen")] = 0.5
    path = tmp_path / "a.performance.npz"
    Performance(
        25.0, expression, head.expression_basis, expression, head.expression_names, "default"
    ).save(path)
    return path


def test_an_avatar_goes_out_as_a_ply_and_comes_back(head, tmp_path, capsys):
    out = tmp_path / "point_cloud.ply"
    assert main(["export", "avatar", "default", "--out", str(out), "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["gaussians"] == read_header(out).count
    assert "not FLAME" in printed.err
    back = tmp_path / "back.safetensors"
    assert main(["export", "avatar", str(out), "--out", str(back)]) == 0
    first, second = load_avatar("default", head), load_avatar(back, head)
    assert first.positions.equal(second.positions)
    assert first.binding.equal(second.binding)


def test_a_performance_goes_out_as_a_scene_a_frame(head, performance, tmp_path, capsys):
    out = tmp_path / "frames"
    command = ["export", "splats", str(performance), "--out", str(out), "--axes", "z-up", "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["frames"] == 2
    assert sorted(path.name for path in out.iterdir()) == ["frame_00001.ply", "frame_00002.ply"]
    assert read_header(out / "frame_00002.ply").count == load_avatar("default", head).count
    assert main(command) == 2
    assert "already holds 2 frames" in capsys.readouterr().err
    assert main([*command, "--overwrite"]) == 0


def test_an_avatar_of_a_flame_head_takes_its_motion_along(tmp_path, capsys):
    sys.path.insert(0, str(Path(__file__).parents[1] / "heads"))
    import flame_files

    model = tmp_path / "flame2023.pkl"
    flame_files.write_flame_pickle(model, flame_files.flame_arrays())
    face = load_head(model)
    names, frames = face.expression_names, 3
    expression = np.zeros((frames, len(names)), np.float32)
    expression[:, 4] = [0.0, 0.5, 1.0]
    expression[:, names.index("jawOpen")] = [0.0, 1.0, 0.5]
    played = tmp_path / "a.performance.npz"
    Performance(25.0, expression, face.expression_basis, expression, names, face.id).save(played)
    # One splat a triangle, as GaussianAvatars starts.
    count = len(face.faces)
    columns = np.zeros((count, len(FIELDS)), np.float32)
    columns[:, FIELDS.index("rot_0")] = 1
    columns[:, FIELDS.index("binding_0")] = np.arange(count)
    write_columns(tmp_path / "theirs.ply", FIELDS, columns)
    out = tmp_path / "out" / "point_cloud.ply"
    command = ["export", "avatar", str(tmp_path / "theirs.ply"), "--head", str(model)]
    command += ["--out", str(out), "--performance", str(played), "--json"]
    assert main(command) == 0
    # The arc of the jaw, half open, beside a straight line.
    assert 1e-4 < json.loads(capsys.readouterr().out)["vertex_error_m"] < 2e-3
    motion = load_flame_param(out.with_name("flame_param.npz"))
    assert (motion.frames, motion.static_offset.shape) == (frames, (1, face.vertex_count, 3))
    np.testing.assert_allclose(motion.expr[:, 4], [0.0, 0.5, 1.0])
    np.testing.assert_allclose(motion.jaw_pose[:, 0], [0.0, 0.3, 0.15], rtol=1e-6)
    alone = tmp_path / "flame_param.npz"
    command = ["export", "flame", str(played), "--head", str(model), "--out", str(alone)]
    assert main(command) == 0
    np.testing.assert_array_equal(load_flame_param(alone).expr, motion.expr)


def test_bad_input_is_one_line_that_names_it(performance, tmp_path, capsys):
    for command, named in (
        (["avatar", "default", "--out", str(tmp_path / "a.obj")], "a.obj"),
        (["avatar", str(tmp_path / "b.ply"), "--out", str(tmp_path / "c.ply")], "b.ply"),
        (["splats", str(tmp_path / "d.npz"), "--out", str(tmp_path / "e")], "d.npz"),
        (
            ["avatar", "default", "--out", str(tmp_path / "f.ply"), "--performance", "g.npz"],
            "no FLAME parameters",
        ),
    ):
        assert main(["export", *command]) == 2
        error = capsys.readouterr().err.strip()
        assert named in error
        assert "\n" not in error
    assert {path.name for path in tmp_path.iterdir()} == {"a.performance.npz"}


@pytest.mark.parametrize("suffix", [".csv", ".json"])
def test_curves_go_out_and_come_back_on_a_head(head, performance, tmp_path, capsys, suffix):
    out, back = tmp_path / f"a{suffix}", tmp_path / "back.performance.npz"
    assert main(["export", "curves", str(performance), "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 2
    options = ["--head", "default", "--out", str(back), "--timecode-rate", "25"]
    assert main(["retarget", str(out), *options]) == 0
    again, made = Performance.load(back), Performance.load(performance)
    assert again.fps == 25.0
    np.testing.assert_allclose(again.expression, made.expression, atol=1e-6)
    np.testing.assert_array_equal(again.basis, made.basis)


def test_curves_of_an_unknown_kind_are_refused(performance, tmp_path, capsys):
    assert main(["export", "curves", str(performance), "--out", str(tmp_path / "a.bvh")]) == 2
    assert "a.bvh is unknown. End it in .csv or .json." in capsys.readouterr().err
