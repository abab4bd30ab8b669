# SPDX-License-Identifier: GPL-3.0-or-later
import json
import shutil

import numpy as np
import pytest
from PIL import Image as Picture

from engine.core.errors import BadInputError
from training.data.layout import head_param_path, image_path, mask_path
from training.data.layout_head_param import HeadParam, load_head_param, save_head_param
from training.data.multiview import MultiViewCapture
from training.synthetic.small_capture import FRONT

IMAGE, MASK = image_path(1, 2, ".png"), mask_path(1, 2)


@pytest.fixture
def capture(small_capture, tmp_path):
    """A copy of the small capture, to be spoilt."""
    return shutil.copytree(small_capture, tmp_path / "capture")


def refused(folder, **options):
    with pytest.raises(BadInputError) as caught:
        MultiViewCapture.open(folder, **options)
    assert caught.value.hint
    return caught.value.message


def rewrite(folder, split, change):
    path = folder / f"transforms_{split}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_a_folder_that_is_not_there(tmp_path):
    assert "nowhere" in refused(tmp_path / "nowhere")


def test_another_layout(tmp_path):
    (tmp_path / "images").mkdir()
    assert "transforms_train.json" in refused(tmp_path)


def test_transforms_that_are_no_json(capture):
    (capture / "transforms_train.json").write_text("{frames:")
    assert "transforms_train.json cannot be read" in refused(capture)


def test_transforms_without_frames(capture):
    rewrite(capture, "train", lambda content: content.update(frames=[]))
    assert "lists no frames" in refused(capture)


@pytest.mark.parametrize("key", ["timestep_index", "transform_matrix", "file_path", "w"])
def test_a_frame_that_lacks_a_key(capture, key):
    rewrite(capture, "train", lambda content: content["frames"][3].pop(key))
    assert f"transforms_train.json, frame 3: lacks '{key}'" in refused(capture)


def test_a_matrix_that_is_no_camera(capture):
    def stretch(content):
        content["frames"][0]["transform_matrix"][0][0] = 3.0

    rewrite(capture, "train", stretch)
    assert "frame 0: transform_matrix is no rotation" in refused(capture)


@pytest.mark.parametrize("path", [IMAGE, MASK])
def test_a_missing_picture_or_mask(capture, path):
    (capture / path).unlink()
    message = refused(capture)
    assert path in message
    assert "missing" in message


@pytest.mark.parametrize("path", [IMAGE, MASK])
def test_a_picture_of_another_size_than_the_json_says(capture, path):
    with Picture.open(capture / path) as picture:
        picture.resize((22, 32)).save(capture / path)
    message = refused(capture)
    assert path in message
    assert "22×32 pixels" in message
    assert "44×64" in message


@pytest.mark.parametrize("part", [0.0, 0.3, 0.95])
def test_a_picture_that_was_copied_in_part(capture, part):
    whole = (capture / IMAGE).read_bytes()
    (capture / IMAGE).write_bytes(whole[: int(part * len(whole))])
    message = refused(capture)
    assert IMAGE in message
    assert "cannot be read" in message


def test_a_jpeg_that_was_copied_in_part(capture):
    path = capture / IMAGE
    with Picture.open(path) as picture:
        picture.convert("RGB").save(path, "JPEG")
    whole = path.read_bytes()
    MultiViewCapture.open(capture)
    path.write_bytes(whole[: len(whole) // 2])
    assert "cannot be read" in refused(capture)


def test_no_masks(capture):
    for split in ("train", "val", "test"):
        rewrite(capture, split, lambda c: [frame.pop("fg_mask_path") for frame in c["frames"]])
    assert "no foreground masks" in refused(capture)


def test_masks_whose_folder_is_gone(capture):
    shutil.rmtree(capture / "fg_masks")
    assert "no foreground masks" in refused(capture)


def test_one_camera(capture):
    def only_left(content):
        content["frames"] = [f for f in content["frames"] if f["camera_id"] == "left"]

    for split in ("train", "val", "test"):
        rewrite(capture, split, only_left)
    assert "one camera only ('left')" in refused(capture)


def test_a_test_camera_that_is_not_there(capture):
    assert "'top'" in refused(capture, test_camera="top")


def test_parameters_of_another_head(capture):
    path = capture / head_param_path(2)
    param = load_head_param(path)
    save_head_param(HeadParam("another", *_rest(param)), path)
    message = refused(capture)
    assert head_param_path(2) in message
    assert "'another'" in message


def test_parameters_with_another_number_of_vertices(capture):
    path = capture / head_param_path(1)
    save_head_param(
        HeadParam("default", *_rest(load_head_param(path)), np.zeros((7, 3), np.float32)), path
    )
    assert "7 vertices" in refused(capture)


def test_missing_parameters(capture):
    (capture / head_param_path(0)).unlink()
    assert head_param_path(0) in refused(capture)


def test_damaged_parameters(capture):
    path = capture / head_param_path(2)
    path.write_bytes(path.read_bytes()[:100])
    assert head_param_path(2) in refused(capture)


def test_parameters_that_are_not_finite(capture):
    path = capture / head_param_path(1)
    with np.load(path) as data:
        arrays = dict(data)
    arrays["head_matrix"][0, 3] = np.nan
    np.savez(path, **arrays)
    assert "'head_matrix' holds NaN" in refused(capture)


@pytest.mark.parametrize("scale", [0.0, -1.0, 2.0])
def test_a_scale_that_is_none(small_capture, scale):
    assert f"{scale}" in refused(small_capture, scale=scale)


def test_a_background_that_is_no_colour(small_capture):
    assert "background" in refused(small_capture, background=(255, 255, 255))


def test_a_picture_that_vanished_after_opening(capture):
    views = MultiViewCapture.open(capture).split("train")
    (capture / views.frames[0].image).unlink()
    with pytest.raises(BadInputError, match="cannot be read"):
        views[0]


def test_the_front_camera_is_found_where_no_file_tells_it(capture):
    listed = []
    for split in ("train", "test"):
        listed += json.loads((capture / f"transforms_{split}.json").read_text())["frames"]
        (capture / f"transforms_{split}.json").unlink()
    (capture / "transforms_val.json").unlink()
    (capture / "transforms_train.json").write_text(json.dumps({"frames": listed}))
    opened = MultiViewCapture.open(capture)
    assert opened.test_camera == FRONT
    assert len(opened.split("test")) == 3
    assert len(opened.split("train")) == 9


def _rest(param):
    return param.expression, param.expression_names, param.head_matrix
