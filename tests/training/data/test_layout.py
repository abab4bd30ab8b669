# SPDX-License-Identifier: GPL-3.0-or-later
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.splatting.camera import Camera, look_at
from training.data.layout import Frame, read_transforms, write_transforms
from training.data.multiview_pictures import scaled_camera


def opengl_pixels(entry, points):
    """Where points fall, by the definition of the layout: the oracle of its axes.

    Camera to world, x right, y up, looking along −z; pixels from the top left corner.
    """
    to_world = np.array(entry["transform_matrix"])
    x, y, z = (np.linalg.inv(to_world) @ np.append(points, np.ones((len(points), 1)), 1).T)[:3]
    return np.stack(
        [entry["fl_x"] * x / -z + entry["cx"], -entry["fl_y"] * y / -z + entry["cy"]], 1
    )


def pixels(camera, points):
    seen = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    return (seen @ camera.K.T)[:, :2] / seen[:, 2:]


def a_frame(camera, kind="head"):
    param = "head_param/00000.npz" if kind == "head" else "flame_param/00000.npz"
    return Frame(0, 3, "cam", camera, "images/a.jpg", "fg_masks/a.png", param, kind)


@given(
    around=st.floats(-170, 170),
    above=st.floats(-60, 60),
    shift=st.tuples(st.floats(-30, 30), st.floats(-30, 30)),
)
def test_cameras_survive_the_way_to_disk_and_back(tmp_path_factory, around, above, shift):
    a, e = np.deg2rad(around), np.deg2rad(above)
    eye = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)], np.float32)
    camera = look_at(eye, np.zeros(3, np.float32), width=110, height=160, vertical_fov=0.35)
    camera.K[:2, 2] += shift
    path = tmp_path_factory.mktemp("layout") / "transforms_train.json"
    write_transforms(path, [a_frame(camera)])
    (read,) = read_transforms(path)
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (20, 3))
    assert np.allclose(pixels(read.camera, points), pixels(camera, points), atol=1e-2)
    entry = json.loads(path.read_text())["frames"][0]
    assert np.allclose(opengl_pixels(entry, points), pixels(camera, points), atol=1e-2)


def test_keys_are_those_of_the_layout(tmp_path):
    camera = Camera(np.eye(4, dtype=np.float32), np.diag([50, 50, 1.0]).astype(np.float32), 4, 6)
    path = tmp_path / "transforms_val.json"
    write_transforms(path, [a_frame(camera, "flame")])
    assert set(json.loads(path.read_text())["frames"][0]) == {
        "timestep_index", "camera_index", "camera_id", "cx", "cy", "fl_x", "fl_y", "h", "w",
        "camera_angle_x", "camera_angle_y", "transform_matrix", "file_path", "fg_mask_path",
        "flame_param_path",
    }  # fmt: skip


def test_what_all_frames_share_may_stand_once(tmp_path):
    path = tmp_path / "transforms_train.json"
    frame = {
        "timestep_index": 1,
        "camera_index": 2,
        "transform_matrix": np.eye(4).tolist(),
        "file_path": "images/a.png",
        "flame_param_path": "flame_param/00001.npz",
    }
    shared = {"w": 40, "h": 60, "cx": 21.5, "cy": 29, "camera_angle_x": 0.5}
    path.write_text(json.dumps(shared | {"frames": [frame]}))
    (read,) = read_transforms(path)
    assert read.camera_id == "02"
    assert read.mask is None
    assert (read.camera.width, read.camera.height) == (40, 60)
    focal = 20 / np.tan(0.25)
    assert np.allclose(read.camera.K, [[focal, 0, 21.5], [0, focal, 29], [0, 0, 1]])


@pytest.mark.parametrize("row", [[0, 0, 0, 0], [0, 0, 0, 2], [1, 0, 0, 1]])
def test_a_camera_whose_matrix_is_no_motion_is_named(tmp_path, row):
    path = tmp_path / "transforms_train.json"
    frame = {
        "timestep_index": 1,
        "camera_index": 2,
        "transform_matrix": [*np.eye(4)[:3].tolist(), row],
        "file_path": "images/a.png",
        "flame_param_path": "flame_param/00001.npz",
    }
    path.write_text(json.dumps({"w": 40, "h": 60, "camera_angle_x": 0.5, "frames": [frame]}))
    with pytest.raises(BadInputError, match="is no rotation and translation"):
        read_transforms(path)


@pytest.mark.parametrize("scale", [0.375, 0.5, 1.0, 0.07])
def test_a_scaled_camera_has_whole_pixels_and_the_same_view(scale):
    K = np.array([[4600, 0, 561], [0, 4600, 790], [0, 0, 1]], np.float32)
    scaled = scaled_camera(Camera(np.eye(4, dtype=np.float32), K, 1100, 1604), scale)
    assert (scaled.width, scaled.height) == (round(1100 * scale), round(1604 * scale))
    assert np.allclose(scaled.K[0] / scaled.width, K[0] / 1100)
    assert np.allclose(scaled.K[1] / scaled.height, K[1] / 1604)
