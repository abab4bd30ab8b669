# SPDX-License-Identifier: GPL-3.0-or-later
"""Chunks of frames on other machines, which have the extension from the job alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.one_blender
def test_frames_in_chunks_are_the_pixels_of_one_run(engine_ready, package, tmp_path):
    blender = engine_ready
    blender.ops.gaussianspeech.add_head()
    blender.ops.gaussianspeech.bind_avatar()
    scene, head = blender.context.scene, blender.context.object
    jaw = head.data.shape_keys.key_blocks["jawOpen"]
    for frame, value in ((1, 0.0), (3, 1.0)):
        jaw.value = value
        jaw.keyframe_insert("value", frame=frame)
    blender.ops.gaussianspeech.portrait_camera()
    blender.ops.gaussianspeech.render_avatars()
    render = scene.render
    render.resolution_x, render.resolution_y, render.resolution_percentage = 48, 64, 100
    render.image_settings.file_format = "OPEN_EXR"
    render.filepath = "//frames/"
    scene.frame_start, scene.frame_end = 1, 3

    farm = tmp_path / "farm"
    farm.mkdir()
    shutil.copy(ROOT / "engine" / "farm" / "enable_extension.py", farm)
    shutil.copy(package, farm / "gaussianspeech.zip")
    for name, frames in (("whole", "1 3"), ("chunk", "2 3")):
        folder = tmp_path / name
        folder.mkdir()
        blender.ops.wm.save_as_mainfile(filepath=str(folder / "scene.blend"), copy=True)
        render_chunk(farm, folder / "scene.blend", frames.split(), tmp_path)
    whole, chunk = (pictures(blender, tmp_path / name / "frames") for name in ("whole", "chunk"))
    assert list(whole) == ["0001.exr", "0002.exr", "0003.exr"]
    assert list(chunk) == ["0002.exr", "0003.exr"]
    assert all(np.array_equal(whole[name], chunk[name]) for name in chunk)
    assert all(picture[..., 3].max() > 0.9 for picture in whole.values())
    assert not np.array_equal(whole["0001.exr"], whole["0003.exr"])


def render_chunk(farm, scene, frames, tmp_path):
    """In a Blender of its own, with a user folder in which nothing is installed."""
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path / "nobody")}
    command = [sys.executable, "-P", str(Path(__file__).with_name("farm_chunk.py"))]
    command += [str(farm / "enable_extension.py"), str(scene), *frames]
    run = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr}"


def pictures(blender, folder):
    found = {}
    for path in sorted(folder.iterdir()):
        image = blender.data.images.load(str(path))
        width, height = image.size
        found[path.name] = np.array(image.pixels[:]).reshape(height, width, 4)
    return found
