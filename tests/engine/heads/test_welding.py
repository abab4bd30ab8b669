# SPDX-License-Identifier: GPL-3.0-or-later
from dataclasses import replace

import numpy as np
import pytest
import trimesh

from engine.heads import load_head
from engine.heads.head import Head, Skeleton
from engine.heads.retarget import carry_basis, with_arkit_expressions
from engine.heads.welding import weld


def head_of(vertices, faces, source="a.glb", basis=None):
    vertices, faces = np.asarray(vertices, np.float32), np.asarray(faces, np.int32)
    if basis is None:
        basis = np.zeros((0, len(vertices), 3), np.float32)
    return Head(
        id="split",
        template=vertices,
        faces=faces,
        uv=np.zeros((1, 2), np.float32),
        uv_faces=np.zeros_like(faces),
        expression_basis=basis,
        expression_names=tuple(f"shape {i}" for i in range(len(basis))),
        skeleton=Skeleton(
            ("root",),
            np.array([-1], np.int32),
            np.zeros((1, 3), np.float32),
            np.ones((len(vertices), 1), np.float32),
        ),
        provenance={"source": source},
    )


def soup(head, source="a.stl"):
    """Three vertices for each triangle."""
    corners = head.faces.ravel()
    return head_of(
        head.template[corners],
        np.arange(len(corners)).reshape(-1, 3),
        source,
        head.expression_basis[:, corners],
    )


@pytest.fixture(scope="module")
def default():
    return load_head("default")


def test_a_head_of_single_triangles_becomes_whole(default):
    whole = weld(soup(default))
    # What touches at a point alone stays apart.
    assert default.vertex_count <= whole.head.vertex_count < default.vertex_count + 20
    np.testing.assert_array_equal(
        whole.head.template[whole.head.faces], default.template[default.faces]
    )
    np.testing.assert_array_equal(
        whole.head.template[whole.index], default.template[default.faces.ravel()]
    )
    np.testing.assert_array_equal(whole.index[whole.first], np.arange(len(whole.first)))


def test_only_files_that_split_vertices_are_joined(default):
    split = soup(default, "a.obj")
    assert weld(split).head is split
    assert weld(default).head is default
    whole = replace(default, provenance={"source": "a.glb"})
    assert weld(whole).head is whole


SQUARE = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]


def test_two_borders_are_joined_and_vertices_in_one_place_are_not():
    # A square of two triangles, and a third that touches a corner of it.
    vertices = [SQUARE[i] for i in (0, 1, 2, 0, 2, 3)] + [[1, 1, 0], [2, 1, 0], [2, 2, 0]]
    whole = weld(head_of(vertices, [[0, 1, 2], [3, 4, 5], [6, 7, 8]]))
    assert whole.index[0] == whole.index[3]
    assert whole.index[2] == whole.index[4] != whole.index[6]
    assert whole.head.vertex_count == 7


def test_borders_that_run_the_same_way_or_of_more_than_two_are_not_joined():
    flipped = [SQUARE[i] for i in (0, 1, 2, 0, 3, 2)]
    same = head_of(flipped, [[0, 1, 2], [3, 4, 5]])
    # Its diagonals run from 2 to 0 and from 2 to 0.
    assert weld(same).head is same
    lips = [SQUARE[i] for i in (0, 1, 2, 0, 2, 3)] * 2
    four = head_of(lips, np.arange(12).reshape(-1, 3))
    assert weld(four).head is four


@pytest.mark.slow
def test_the_default_heads_expressions_come_onto_single_triangles(default, tmp_path):
    corners = default.faces.ravel()
    faces = np.arange(len(corners)).reshape(-1, 3)
    trimesh.Trimesh(default.template[corners], faces, process=False).export(tmp_path / "a.stl")
    head = with_arkit_expressions(load_head(tmp_path / "a.stl"))
    assert head.vertex_count == len(corners)
    truth = default.expression_basis[:, corners]
    error = np.linalg.norm(head.expression_basis - truth, axis=2)
    assert error.mean() < 1e-4
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    jaw = head.expression_basis[head.expression_index("jawOpen")][:, 1]
    assert np.median(jaw[lower] - jaw[upper]) < -0.005
    back = carry_basis(head, default, head.expression_basis)
    jaw_row = head.expression_index("jawOpen")
    there = default.expression_basis[default.expression_index("jawOpen")]
    error = np.linalg.norm(back[jaw_row] - there, axis=1)[default.regions["lips"]]
    assert error.mean() < 7e-4  # There and back; by a head that is whole it is 5.4e-4.
