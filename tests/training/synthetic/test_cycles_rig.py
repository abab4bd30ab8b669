# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender renders lies where the capture's cameras say, and a tiny capture is one."""

import numpy as np
import pytest
from PIL import Image as Picture

from engine.core.errors import MissingDependencyError
from engine.heads import load_head
from engine.heads.axes import head_to_blender
from training.cli import main
from training.data.multiview import MultiViewCapture
from training.synthetic.cameras import camera_rig
from training.synthetic.settings import CaptureSettings

bpy = pytest.importorskip("bpy", reason="Blender's Python module is not installed")

POINTS = np.array(
    [[0, 0, 0], [0.09, 0.1, 0.02], [-0.08, 0.11, -0.05], [0.06, -0.12, 0.04], [-0.07, -0.08, 0.06]],
    np.float32,
)
"""Head space, metres."""


@pytest.fixture
def bulbs():
    """A scene of small glowing spheres at the points."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.world = None
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 16, False
    scene.render.film_transparent = True
    material = bpy.data.materials.new("glow")
    for point in head_to_blender(POINTS):
        bpy.ops.mesh.primitive_uv_sphere_add(radius=0.006, location=point.tolist())
        bpy.context.object.data.materials.append(material)
    return scene


def test_blender_sees_points_where_the_cameras_project_them(bulbs, tmp_path):
    from scipy import ndimage

    from training.synthetic.cycles_rig import aim, new_camera

    new_camera(bulbs)
    rig = camera_rig(load_head("default"), CaptureSettings(scale=0.12))
    for number in (0, 1, 8):
        camera = rig[number].camera
        aim(bulbs, camera)
        bulbs.render.filepath = str(tmp_path / "bulbs.png")
        bpy.ops.render.render(write_still=True)
        with Picture.open(tmp_path / "bulbs.png") as picture:
            alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        blobs, count = ndimage.label(alpha > 30)
        assert count == len(POINTS)
        centres = ndimage.center_of_mass(alpha.astype(float), blobs, range(1, count + 1))
        found = np.array(centres)[:, ::-1] + 0.5
        seen = POINTS @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        expected = (seen @ camera.K.T)[:, :2] / seen[:, 2:]
        nearest = np.linalg.norm(found[None] - expected[:, None], axis=-1).min(1)
        assert nearest.max() < 0.15


def test_a_gpu_that_is_not_there_is_told(bulbs):
    from training.synthetic.cycles_rig import GPU_KINDS, use_gpu

    preferences = bpy.context.preferences.addons["cycles"].preferences
    preferences.refresh_devices()
    if any(device.type in GPU_KINDS for device in preferences.devices):
        pytest.skip("Blender finds a GPU here")
    with pytest.raises(MissingDependencyError) as caught:
        use_gpu(bulbs)
    assert "--device cpu" in caught.value.hint
    assert bulbs.cycles.device == "CPU"


def test_a_tiny_capture_can_be_opened_to_train_on(tmp_path, monkeypatch):
    # Baked at every vertex of the head, the light costs five times as much as the pictures.
    monkeypatch.setattr("training.synthetic.run.LIGHT_SAMPLES", 2)
    folder = tmp_path / "capture"
    options = "--scale 0.04 --cameras 2 --timesteps 1 --samples 1 --no-sample-voice --threads 2"
    assert main(["capture", "--out", str(folder), *options.split()]) == 0
    capture = MultiViewCapture.open(folder)
    (trained,), (tested,) = capture.split("train"), capture.split("test")
    assert trained.image.shape == tested.image.shape == (64, 44, 3)
    for view in (trained, tested):
        camera = view.camera
        seen = view.vertices.numpy() @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
        column, row = (
            ((seen @ camera.K.T)[:, :2] / seen[:, 2:]).astype(int)[capture.head.regions["face"]].T
        )
        # At 44 pixels of width the face's outline is a good part of it.
        assert view.alpha.numpy()[row, column].mean() > 0.92
        assert view.alpha[0].max() < 0.05
