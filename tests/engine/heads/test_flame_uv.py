# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME's UV layout from the template OBJ."""

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.heads.flame import load_flame
from engine.heads.flame_uv import give_template, with_template_uv
from tests.engine.heads.flame_people import SKIN, TEETH, identity, model_arrays, write_model


@pytest.fixture(scope="module")
def layout():
    """Texture coordinates, one more than vertices, and the triangles of them: one has a seam."""
    uv = np.random.default_rng(0).random((SKIN + 1, 2)).astype(np.float32)
    faces = model_arrays()["f"].astype(int)
    corners = faces.copy()
    corners[7, 1] = SKIN
    return uv, faces, corners


def write_obj(path, uv, faces, corners, start=0):
    lines = ["# FLAME", *(f"v 0 0 {i}" for i in range(SKIN)), *(f"vt {u} {v}" for u, v in uv)]
    for face, corner in zip(faces, corners, strict=True):
        turned = [(start + i) % 3 for i in range(3)]
        lines.append("f " + " ".join(f"{face[i] + 1}/{corner[i] + 1}/1" for i in turned))
    path.write_text("\n".join(lines))
    return path


def seen(head):
    return head.uv[head.uv_faces]


def test_the_obj_beside_the_model_is_taken(tmp_path, layout):
    model = write_model(tmp_path / "flame2023.npz")
    uv, faces, corners = layout
    write_obj(tmp_path / "head_template.obj", uv, faces, corners)
    shape, static = identity()
    head = load_flame(model, shape=shape, static_offset=static[0])
    assert head.vertex_count == TEETH
    same = np.sort(faces, axis=1)
    twice = {tuple(row) for row in same.tolist() if (same == row).all(axis=1).sum() > 1}
    alone = [i for i, row in enumerate(same.tolist()) if tuple(row) not in twice]
    np.testing.assert_array_equal(seen(head)[: len(faces)][alone], uv[corners][alone])
    assert head.uv_faces.max() < len(head.uv)
    teeth = seen(head)[len(faces) :]
    assert teeth.shape == (168, 3, 2)
    assert teeth.max() < 0.1


def test_a_template_that_was_given_counts_from_then_on(tmp_path, layout, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    model = write_model(tmp_path / "flame2023.npz")
    path = write_obj(tmp_path / "elsewhere.obj", *layout)
    cylinder = load_flame(model)
    give_template(cylinder, path)
    truth = with_template_uv(cylinder, path)
    path.unlink()
    shape, static = identity()
    head = load_flame(model, shape=shape, static_offset=static[0])
    np.testing.assert_array_equal(seen(head), seen(truth))
    assert not np.array_equal(seen(head), seen(cylinder))
    with pytest.raises(BadInputError, match="There is no file"):
        give_template(head, path)
    np.testing.assert_array_equal(seen(load_flame(model)), seen(truth))


def test_triangles_may_be_in_any_order(tmp_path, layout):
    head = load_head(write_model(tmp_path / "flame2023.npz"))
    uv, faces, _ = layout
    order = np.random.default_rng(1).permutation(len(faces))
    plain = write_obj(tmp_path / "plain.obj", uv, faces, faces)
    mixed = write_obj(tmp_path / "mixed.obj", uv, faces[order], faces[order], start=1)
    np.testing.assert_array_equal(
        seen(with_template_uv(head, mixed)), seen(with_template_uv(head, plain))
    )


def test_what_is_no_template_is_named(tmp_path, layout):
    head = load_head(write_model(tmp_path / "flame2023.npz"))
    uv, faces, corners = layout
    with pytest.raises(BadInputError, match="There is no file"):
        with_template_uv(head, tmp_path / "none.obj")
    path = write_obj(tmp_path / "part.obj", uv, faces[:100], corners[:100])
    with pytest.raises(BadInputError, match="is not FLAME's template"):
        with_template_uv(head, path)
    path = write_obj(tmp_path / "short.obj", uv[:10], faces, corners)
    with pytest.raises(BadInputError, match="texture coordinate that is not there"):
        with_template_uv(head, path)
    path.write_text("f 1/x 2/y 3/z")
    with pytest.raises(BadInputError, match="cannot be read as an OBJ"):
        with_template_uv(head, path)
    path.write_text("f 1 2 3\nvt 0 0")
    with pytest.raises(BadInputError, match="cannot be read as an OBJ"):
        with_template_uv(head, path)
    with pytest.raises(BadInputError, match="is no FLAME head"):
        with_template_uv(load_head("default"), path)
