# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from engine.characters.head_gltf import write_head
from engine.core.errors import BadInputError
from engine.gltf import mesh_nodes, read_document, read_geometry
from engine.gltf.accessors import read_floats
from engine.heads.default import load_default_head
from engine.motion.face.pose import pose_matrices
from engine.motion.performance import Performance


@pytest.fixture(scope="module")
def head():
    return load_default_head()


@pytest.fixture(scope="module")
def performance(head):
    random = np.random.default_rng(0)
    weights = random.uniform(0, 1, (7, len(head.expression_names))).astype(np.float32)
    weights[:, 3:] *= random.uniform(0, 1, weights[:, 3:].shape) > 0.5
    weights[:, 1] = 0
    turns = random.normal(0, 0.1, (7, 3)).astype(np.float32)
    basis = head.expression_basis
    return Performance(
        24.0, weights, basis, weights, head.expression_names, head.id, head_rotation=turns
    )


def played(path, frame):
    """Vertices of a frame as any viewer of glTF has them."""
    document = read_document(path)
    (node,) = mesh_nodes(document)
    geometry = read_geometry(document, node)
    tracks = {}
    for channel in document.json["animations"][0]["channels"]:
        sampler = document.json["animations"][0]["samplers"][channel["sampler"]]
        kind = {"weights": 1, "rotation": 4, "translation": 3}[channel["target"]["path"]]
        tracks[channel["target"]["path"]] = read_floats(document, sampler["output"], kind)
    targets = document.json["meshes"][0]["primitives"][0]["targets"]
    deltas = [read_floats(document, target["POSITION"], 3) for target in targets]
    weights = tracks["weights"].reshape(-1, len(targets))[frame]
    primitive = document.json["meshes"][0]["primitives"][0]
    vertices = read_floats(document, primitive["attributes"]["POSITION"], 3)
    vertices = vertices + np.einsum("k,kvc->vc", weights, np.stack(deltas))
    x, y, z, w = tracks["rotation"][frame]
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    matrix = np.eye(3) + 2 * w * cross + 2 * cross @ cross
    return vertices @ matrix.T + tracks["translation"][frame], geometry, node


def test_a_viewer_of_the_file_sees_the_performance_s_vertices(tmp_path, head, performance):
    write_head(performance, head, tmp_path / "a.glb")
    poses = pose_matrices(performance.head_rotation, head.neck)
    for frame in (0, 4):
        shown, geometry, node = played(tmp_path / "a.glb", frame)
        wanted = head.template + performance.offsets(frame, frame + 1)[0]
        wanted = wanted @ poses[frame][:3, :3].T + poses[frame][:3, 3]
        pairs = np.unique(np.stack([head.faces.ravel(), head.uv_faces.ravel()], axis=1), axis=0)
        assert np.abs(shown - wanted[pairs[:, 0]]).max() < 1e-6
    corners = geometry.vertices[geometry.faces]
    assert np.allclose(corners, head.template[head.faces])
    assert head.expression_names[1] not in node.targets
    assert head.expression_names[0] in node.targets


def test_a_performance_of_another_head_is_refused(tmp_path, head, performance):
    with pytest.raises(BadInputError, match="not 'default'"):
        write_head(replace(performance, head="other"), head, tmp_path / "a.glb")


def test_a_still_head_is_a_file_too(tmp_path, head, performance):
    zeros = np.zeros_like
    still = replace(
        performance,
        weights=zeros(performance.weights),
        expression=zeros(performance.weights),
        head_rotation=zeros(performance.head_rotation),
    )
    write_head(still, head, tmp_path / "a.glb")
    document = read_document(tmp_path / "a.glb")
    assert "animations" not in document.json
    assert np.isfinite(read_geometry(document, mesh_nodes(document)[0]).vertices).all()
