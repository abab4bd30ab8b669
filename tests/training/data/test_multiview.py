# SPDX-License-Identifier: GPL-3.0-or-later
import json
import shutil
from dataclasses import replace

import numpy as np
import torch

from engine.avatar import load_avatar, splats
from engine.heads import load_head
from engine.heads.shaped_head import shaped_head
from engine.splatting.cpu.backend import CpuBackend
from tests.training.tracking.made_capture import made_capture, true_fit
from training.data.layout import CANONICAL_HEAD, read_transforms, transforms_path, write_transforms
from training.data.layout_head_param import load_head_param, save_head_param, save_identity
from training.data.multiview import MultiViewCapture
from training.data.recordings import RECORD, SPEECH
from training.data.split_file import SPLIT
from training.synthetic.small_capture import FRONT


def test_the_front_camera_is_kept_from_training(small_capture):
    capture = MultiViewCapture.open(small_capture)
    assert capture.test_camera == FRONT
    assert len(capture.split("train")) == 9
    assert {frame.camera_id for frame in capture.split("train").frames} == {"left", "right", "low"}
    for split in ("val", "test"):
        assert {frame.camera_id for frame in capture.split(split).frames} == {FRONT}


def test_of_one_camera_other_timesteps_are_kept_from_training(small_capture, tmp_path):
    folder = shutil.copytree(small_capture, tmp_path / "capture")
    listed = read_transforms(transforms_path(folder, "train"))
    left = [frame for frame in listed if frame.camera_id == "left"]
    write_transforms(transforms_path(folder, "train"), left[:2])
    write_transforms(transforms_path(folder, "val"), left[2:])
    write_transforms(transforms_path(folder, "test"), left[2:])
    capture = MultiViewCapture.open(folder)
    assert [frame.timestep for frame in capture.split("train").frames] == [0, 1]
    assert [frame.timestep for frame in capture.split("test").frames] == [2]
    assert capture.test_camera == "left"


def test_of_a_video_every_picture_is_in_a_split_and_test_recordings_are_in_no_training(tmp_path):
    """The recording to test on lies before the pictures that the files keep."""
    made_capture(tmp_path, true_fit(40), true_fit(40), spoken=False)
    speech = tmp_path / SPEECH
    speech.mkdir()
    for name in ("a", "b", "c"):
        (speech / f"{name}.wav").touch()
        (speech / f"{name}.performance.npz").touch()
    (speech / SPLIT).write_text(json.dumps({"training": ["a", "c"], "test": ["b"]}))
    record = json.loads((tmp_path / RECORD).read_text())
    for step, entry in zip("abcc", record["timesteps"], strict=True):
        entry |= {"performance": f"{SPEECH}/{step}.performance.npz", "frame": 0}
    (tmp_path / RECORD).write_text(json.dumps(record))
    listed = read_transforms(transforms_path(tmp_path, "train"))
    assert [frame.timestep for frame in listed] == [0, 1]
    capture = MultiViewCapture.open(tmp_path)
    steps = {n: [f.timestep for f in capture.split(n).frames] for n in ("train", "val", "test")}
    assert steps == {"train": [0], "val": [2], "test": [1, 3]}


def test_a_capture_may_be_of_another_person_of_the_default_head(small_capture, tmp_path):
    folder = shutil.copytree(small_capture, tmp_path / "capture")
    offset = np.full_like(load_head("default").template, 0.001)
    person = shaped_head(np.array([0.5, -1.0], np.float32), offset)
    save_identity(person, folder / CANONICAL_HEAD)
    for path in sorted((folder / "head_param").glob("*.npz")):
        save_head_param(replace(load_head_param(path), head=person.id), path)
    capture = MultiViewCapture.open(folder)
    assert capture.head.id == person.id
    assert np.allclose(capture.head.template, person.template)
    assert np.allclose(capture.head.source.shape, [0.5, -1.0])


def test_a_view_is_what_the_avatar_rendered_there(small_capture):
    capture = MultiViewCapture.open(small_capture, background=(0.2, 0.4, 0.6))
    view = capture.split("train")[4]
    avatar = load_avatar("default", capture.head)
    gaussians = splats(
        avatar,
        torch.from_numpy(capture.head.deform(view.expression.numpy())),
        view.expression,
        view.head_matrix,
        torch.from_numpy(view.camera.position),
    )
    picture = CpuBackend().render(gaussians, view.camera, torch.tensor([0.2, 0.4, 0.6]))
    assert view.image.shape == (64, 44, 3)
    assert view.image.dtype == view.alpha.dtype == torch.float32
    assert torch.allclose(view.alpha, picture.alpha, atol=1 / 255)
    assert torch.allclose(view.image, picture.rgb.clamp(0, 1), atol=4 / 255)


def test_vertices_stand_in_the_world(small_capture):
    capture = MultiViewCapture.open(small_capture)
    view = capture.split("test")[2]
    matrix = view.head_matrix.numpy()
    expected = capture.head.deform(view.expression.numpy()) @ matrix[:3, :3].T + matrix[:3, 3]
    assert not np.allclose(matrix, np.eye(4))
    assert np.allclose(view.vertices.numpy(), expected, atol=1e-6)


def test_scale_keeps_where_points_fall_in_the_picture(small_capture):
    full = MultiViewCapture.open(small_capture).split("test")[0]
    half = MultiViewCapture.open(small_capture, scale=0.5).split("test")[0]
    assert half.image.shape == (32, 22, 3)
    point = np.array([0.02, -0.03, 0.1, 1.0])
    pixels = []
    for view in (full, half):
        x, y, z = view.camera.K @ (view.camera.viewmat @ point)[:3]
        pixels.append([x / z / view.camera.width, y / z / view.camera.height])
    assert np.allclose(*pixels, atol=1e-6)
