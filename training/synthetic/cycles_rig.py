# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene in Cycles: the person of :mod:`training.synthetic.person`, lights and one camera."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import bpy
import mathutils
import numpy as np
from PIL import Image as Picture

from engine.core.arrays import Pixels
from engine.core.errors import GaussianSpeechError, MissingDependencyError
from engine.heads.axes import HEAD_TO_BLENDER
from engine.heads.head import Head
from engine.splatting.camera import Camera
from training.synthetic.person.person import build_person
from training.synthetic.person.studio import light_studio, prepare_rendering
from training.synthetic.schedule import TimestepPose

Device = Literal["cpu", "gpu"]

GPU_KINDS = ("OPTIX", "CUDA", "HIP", "METAL", "ONEAPI")
"""As Cycles calls them, the quicker first where a device is of two kinds."""

_SENSOR = 36.0
_OPENGL = np.diag([1.0, -1.0, -1.0, 1.0])


class CyclesRig:
    """A Blender scene with the person, the lights and one camera; there is one at a time."""

    def __init__(
        self,
        head: Head,
        samples: int,
        *,
        threads: int | None = None,
        device: Device = "cpu",
        hair_length: float = 1.0,
    ) -> None:
        """Build the scene in an empty file.

        Args:
            head: who is filmed.
            samples: of Cycles, a pixel.
            threads: of Cycles; all processors by default.
            device: whether a GPU renders.
            hair_length: on the skull, beside that of the usual cut.

        Raises:
            MissingDependencyError: a GPU is wanted and Blender finds none.
        """
        # Cycles looks for devices here, and prints what it finds.
        with silenced():
            self._build(head, samples, threads or os.cpu_count() or 1, hair_length)
            if device == "gpu":
                use_gpu(self._scene)

    def _build(self, head: Head, samples: int, threads: int, hair_length: float) -> None:
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self._scene: Any = bpy.context.scene
        light_studio(self._scene)
        prepare_rendering(self._scene, samples)
        render = self._scene.render
        render.threads_mode = "FIXED"
        render.threads = threads
        render.dither_intensity = 0.0
        render.image_settings.file_format = "PNG"
        render.image_settings.color_mode = "RGBA"
        render.image_settings.color_depth = "8"
        render.image_settings.compression = 10
        self._person = build_person(self._scene, head, hair_length=hair_length)
        new_camera(self._scene)

    def pose(self, pose: TimestepPose) -> None:
        """Pose the person."""
        matrix = HEAD_TO_BLENDER @ pose.param.head_matrix @ HEAD_TO_BLENDER.T
        self._person.root.matrix_world = mathutils.Matrix(matrix.tolist())
        self._person.pose(pose.vertices, pose.param.expression)

    def shoot(self, camera: Camera, seed: int) -> Pixels:
        """Take a picture.

        Args:
            camera: world is the capture's; square pixels.
            seed: of Cycles' noise; another one for each picture lets training average it out.

        Returns:
            (H, W, 4) uint8 sRGB, colour not multiplied by alpha.

        Raises:
            GaussianSpeechError: Blender rendered nothing.
        """
        aim(self._scene, camera)
        self._scene.cycles.seed = seed
        with tempfile.TemporaryDirectory(prefix="gaussianspeech-") as folder:
            path = Path(folder) / "picture.png"
            self._scene.render.filepath = str(path)
            with silenced():
                bpy.ops.render.render(write_still=True)
            if not path.is_file():
                raise GaussianSpeechError(
                    "Blender rendered no picture.",
                    "See that there is room in the folder for temporary files, and memory.",
                )
            with Picture.open(path) as picture:
                return np.asarray(picture.convert("RGBA"))


def use_gpu(scene: Any) -> None:
    """Let a GPU render: of the first kind that Blender finds one of.

    Raises:
        MissingDependencyError: there is none.
    """
    preferences = bpy.context.preferences.addons["cycles"].preferences
    for kind in GPU_KINDS:
        try:
            preferences.compute_device_type = kind
        except TypeError:
            # Blender is not built for this kind on this system.
            continue
        preferences.refresh_devices()
        if any(device.type == kind for device in preferences.devices):
            for device in preferences.devices:
                device.use = device.type == kind
            scene.cycles.device = "GPU"
            return
    preferences.compute_device_type = "NONE"
    raise MissingDependencyError(
        "Blender finds no GPU that Cycles can use here.", "Render with --device cpu."
    )


def aim(scene: Any, camera: Camera) -> None:
    """Give a scene's camera and picture the place, lens and size of a camera.

    Args:
        scene: its camera has a horizontal sensor fit.
        camera: head space as the world, square pixels.
    """
    item, render = scene.camera, scene.render
    render.resolution_x, render.resolution_y = camera.width, camera.height
    to_world = np.linalg.inv(camera.viewmat.astype(np.float64)) @ _OPENGL
    item.matrix_world = mathutils.Matrix((HEAD_TO_BLENDER @ to_world).tolist())
    item.data.lens = float(camera.K[0, 0]) * item.data.sensor_width / camera.width
    # Blender shifts the picture's frame, in units of its width; +y is up.
    item.data.shift_x = (0.5 * camera.width - float(camera.K[0, 2])) / camera.width
    item.data.shift_y = (float(camera.K[1, 2]) - 0.5 * camera.height) / camera.width


def new_camera(scene: Any) -> None:
    """Add the camera that :func:`aim` places."""
    data: Any = bpy.data.cameras.new("camera")
    data.sensor_fit, data.sensor_width = "HORIZONTAL", _SENSOR
    data.clip_start = 0.01
    scene.camera = bpy.data.objects.new("camera", data)
    scene.collection.objects.link(scene.camera)


@contextmanager
def silenced() -> Iterator[None]:
    """Keep what Blender prints from the command's results; it writes to the file descriptor."""
    sys.stdout.flush()
    kept = os.dup(1)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        try:
            yield
        finally:
            os.dup2(kept, 1)
            os.close(kept)
