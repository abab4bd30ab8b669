# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest


@pytest.fixture
def head(engine_ready):
    assert engine_ready.ops.gaussianspeech.add_head() == {"FINISHED"}
    return engine_ready.context.object


def test_head_is_selected_and_active(engine_ready, head):
    assert engine_ready.context.selected_objects == [head]
    assert engine_ready.context.view_layer.objects.active == head


def test_head_stands_upright_and_faces_minus_y(head):
    size = np.array(head.dimensions)
    assert 0.2 < size[2] < 0.45
    nose = min(head.data.vertices, key=lambda vertex: vertex.co.y).co
    assert abs(nose.x) < 0.01


def test_head_has_one_key_per_expression_from_zero_to_one(head):
    keys = head.data.shape_keys.key_blocks
    assert keys[0].name == "Basis"
    assert "jawOpen" in keys
    assert len(keys) == 53
    assert all((key.value, key.slider_min, key.slider_max) == (0, 0, 1) for key in keys[1:])


def test_jaw_open_lowers_the_lower_lip(engine_ready, head):
    lips = [
        vertex.index
        for vertex in head.data.vertices
        if any(head.vertex_groups[group.group].name == "lower_lip" for group in vertex.groups)
    ]
    keys = head.data.shape_keys.key_blocks
    lowered = np.mean([keys["jawOpen"].data[i].co.z - keys["Basis"].data[i].co.z for i in lips])
    assert lowered < -0.01


def test_every_triangle_is_smooth_and_has_uv_and_material(head):
    mesh = head.data
    assert all(polygon.use_smooth and polygon.loop_total == 3 for polygon in mesh.polygons)
    uv = np.empty(2 * len(mesh.loops), np.float32)
    mesh.uv_layers[0].uv.foreach_get("vector", uv)
    assert uv.min() >= 0
    assert uv.max() <= 1
    assert np.ptp(uv) > 0.5
    used = {mesh.materials[polygon.material_index].name for polygon in mesh.polygons}
    assert {"Head Skin", "Head Lips", "Head Teeth", "Head Eye White", "Head Tongue"} <= used
    assert not mesh.validate()


def test_second_head_shares_the_materials(engine_ready, head):
    engine_ready.ops.gaussianspeech.add_head()
    second = engine_ready.context.object
    assert second != head
    assert list(second.data.materials) == list(head.data.materials)


def test_head_is_recognised_after_saving(engine_ready, head, addon, tmp_path):
    path = str(tmp_path / "head.blend")
    engine_ready.ops.wm.save_as_mainfile(filepath=path)
    engine_ready.ops.wm.open_mainfile(filepath=path)
    found = addon("heads").active_head(engine_ready.context)
    assert found.gaussianspeech_head.id == "default"
    assert found.gaussianspeech_head.vertex_count == len(found.data.vertices)


def test_missing_head_file_is_one_report_and_adds_nothing(engine_ready, tmp_path):
    missing = tmp_path / "nobody.pkl"
    with pytest.raises(RuntimeError, match=r"nobody\.pkl"):
        engine_ready.ops.gaussianspeech.add_head(head=str(missing))
    assert not engine_ready.data.objects
    assert not engine_ready.data.meshes
    status = engine_ready.context.window_manager.gaussianspeech_status
    assert status.is_error
    assert "nobody.pkl" in status.message
    assert status.hint
    assert engine_ready.ops.gaussianspeech.add_head() == {"FINISHED"}
    assert not status.is_error


def test_the_default_avatar_is_bound_at_once(head):
    bound = head.gaussianspeech_avatar
    assert (bound.source, bound.enabled) == ("default", True)
    assert bound.gaussians > 1000


def test_the_avatar_can_be_left_away(engine_ready):
    engine_ready.ops.gaussianspeech.add_head(with_avatar=False)
    assert engine_ready.context.object.gaussianspeech_avatar.source == ""


def test_an_avatar_that_cannot_be_loaded_is_reported_and_the_head_stays(engine_ready, tmp_path):
    missing = tmp_path / "nobody.safetensors"
    engine_ready.ops.gaussianspeech.add_head(avatar=str(missing))
    assert engine_ready.context.object.gaussianspeech_avatar.source == ""
    status = engine_ready.context.window_manager.gaussianspeech_status
    assert status.is_error
    assert "nobody.safetensors" in status.message


def test_an_identity_is_another_person_with_the_same_keys(engine_ready, head):
    ops = engine_ready.ops.gaussianspeech
    assert ops.add_head(identity=7) == {"FINISHED"}
    other = engine_ready.context.object
    assert other.gaussianspeech_head.source == "default#7"
    assert not other.gaussianspeech_avatar.source
    assert list(other.data.shape_keys.key_blocks.keys()) == list(
        head.data.shape_keys.key_blocks.keys()
    )
    first, second = (
        np.array([vertex.co for vertex in item.data.vertices]) for item in (head, other)
    )
    apart = np.linalg.norm(first - second, axis=1)
    assert apart.mean() > 0.002
    assert ops.add_head(identity=7) == {"FINISHED"}
    again = np.array([vertex.co for vertex in engine_ready.context.object.data.vertices])
    np.testing.assert_array_equal(again, second)
