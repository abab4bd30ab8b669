# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import trimesh

from engine.core.errors import BadInputError
from engine.heads import load_head


@pytest.fixture(scope="module")
def ball():
    return trimesh.creation.icosphere(subdivisions=3, radius=0.1)


@pytest.mark.parametrize("suffix", ["obj", "ply", "glb", "off"])
def test_vertices_keep_their_order(ball, tmp_path, suffix):
    path = tmp_path / f"own.{suffix}"
    ball.export(path)
    head = load_head(path)
    np.testing.assert_allclose(head.template, ball.vertices, atol=1e-6)
    np.testing.assert_array_equal(head.faces, ball.faces)
    assert head.expression_names == ()


def test_texture_seams_do_not_split_vertices(ball, tmp_path):
    lines = ["v {} {} {}".format(*vertex) for vertex in ball.vertices]
    lines += [f"vt {corner / 5000} 0.5" for corner in range(3 * len(ball.faces))]
    for number, face in enumerate(ball.faces):
        corners = (f"{v + 1}/{3 * number + c + 1}" for c, v in enumerate(face))
        lines.append("f " + " ".join(corners))
    path = tmp_path / "seams.obj"
    path.write_text("\n".join(lines))
    assert load_head(path).vertex_count == len(ball.vertices)


def test_the_same_mesh_has_the_same_id(ball, tmp_path):
    for name in ("a.ply", "b.ply"):
        ball.export(tmp_path / name)
    assert load_head(tmp_path / "a.ply").id == load_head(tmp_path / "b.ply").id


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("text.obj", b"this is no mesh", r"text\.obj"),
        ("cut.ply", b"ply\nformat ascii 1.0\nelement vertex 9", r"cut\.ply"),
        ("empty.glb", b"", r"empty\.glb"),
    ],
)
def test_what_is_no_mesh_is_named(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BadInputError, match=message):
        load_head(tmp_path / name)


@pytest.mark.parametrize("corner", [-1, -(2**31), 642, 2**31 - 1])
def test_triangles_of_vertices_that_are_not_there_are_refused(ball, tmp_path, corner):
    path = tmp_path / "own.ply"
    ball.export(path)
    data = path.read_bytes()
    path.write_bytes(data[:-4] + corner.to_bytes(4, "little", signed=True))
    with pytest.raises(BadInputError, match="vertices that it does not have"):
        load_head(path)


def test_a_box_is_no_head(tmp_path):
    trimesh.creation.box().export(tmp_path / "box.obj")
    with pytest.raises(BadInputError, match="no head"):
        load_head(tmp_path / "box.obj")


def test_several_meshes_are_refused(ball, tmp_path):
    scene = trimesh.Scene([ball, ball.copy().apply_translation([1, 0, 0])])
    scene.export(tmp_path / "two.glb")
    with pytest.raises(BadInputError, match="2 meshes"):
        load_head(tmp_path / "two.glb")


def test_a_missing_mesh_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"nobody\.obj"):
        load_head(tmp_path / "nobody.obj")
