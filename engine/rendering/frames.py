# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances to pictures: the avatar rendered frame by frame, as a still or a video."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture

from engine.avatar import AvatarPipeline, GaussianAvatar
from engine.avatar.expression import in_order
from engine.avatar.kernels import warm_up
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.files import atomic_write
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.head import Head
from engine.motion.face.pose import pose_matrices
from engine.motion.performance import Performance
from engine.rendering.video import check_sound
from engine.rendering.video import write_video as encode
from engine.splatting.backend import Backend
from engine.splatting.camera import Camera, look_at
from engine.splatting.transfer import Download, upload

Frame = NDArray[np.uint8]

_LENS = 85.0
_SENSOR = 24.0
"""Millimetres: the height of the picture on full-frame film held across."""


def portrait_camera(head: Head, width: int, height: int, *, turn: float = 0.0) -> Camera:
    """A camera that frames a head as a portrait photographer would: 85 mm, eyes above the middle.

    The picture's lower edge lies above the cut of the neck, so it does not show.

    Args:
        head: the head, neutral, in head space.
        width: pixels.
        height: pixels.
        turn: degrees to the head's left from which it is seen; 0 is the front.
    """
    low, high = head.template.min(0).astype(np.float64), head.template.max(0).astype(np.float64)
    # Hair may rise a tenth above the skull.
    bottom = low[1] + 0.15 * (high[1] - low[1])
    top = high[1] + 0.10 * (high[1] - low[1])
    breadth = 1.25 * (high[0] - low[0])
    tall = max(top - bottom, breadth * height / width)
    target = np.array([0.0, 0.5 * (top + bottom), 0.5 * (low[2] + high[2])])
    fov = 2 * math.atan(0.5 * _SENSOR / _LENS)
    distance = 0.5 * tall / math.tan(0.5 * fov) + 0.5 * (high[2] - low[2])
    angle, rise = math.radians(turn), math.radians(2.0)
    towards = np.array(
        [math.sin(angle) * math.cos(rise), math.sin(rise), math.cos(angle) * math.cos(rise)]
    )
    eye = (target + distance * towards).astype(np.float32)
    return look_at(eye, target.astype(np.float32), width=width, height=height, vertical_fov=fov)


def studio_backdrop(width: int, height: int) -> Float:
    """(H, W, 3) display-referred sRGB: grey paper with a pool of light behind the head."""
    y, x = np.mgrid[:height, :width].astype(np.float64)
    size = max(width, height)
    away = np.hypot((x - 0.5 * width) / size, (y - 0.42 * height) / size)
    glow = np.exp(-((away / 0.42) ** 2))[..., None]
    paper = np.array([0.125, 0.135, 0.150]) + glow * np.array([0.235, 0.240, 0.245])
    # Less than one step of eight bits, so that the gradient shows no bands.
    grain = np.random.default_rng(0).uniform(-0.5, 0.5, (height, width, 1)) / 255
    result: Float = (paper + grain).astype(np.float32)
    return result


def render_frame(
    vertices: Float,
    expression: Float | None,
    avatar: GaussianAvatar,
    backend: Backend,
    camera: Camera,
    backdrop: Float | None = None,
) -> Frame:
    """One frame of an avatar that stands at the origin.

    Args:
        vertices: (V, 3) the head's vertices in head space, metres.
        expression: (E,) expression weights for the avatar's colours, or ``None``.
        avatar: the avatar.
        backend: rasteriser.
        camera: world is head space.
        backdrop: (H, W, 3) display-referred sRGB behind the avatar; black by default.

    Returns:
        (H, W, 3) uint8 display-referred sRGB.
    """
    renderer = FrameRenderer(avatar, backend, camera, backdrop)
    frame: Frame = renderer.submit(vertices, expression).numpy()[0]
    return frame


class FrameRenderer:
    """Renders an avatar for one camera; what stays the same lies on the backend's device.

    Args:
        avatar: the avatar, which stands at the origin.
        backend: rasteriser.
        camera: world is head space.
        backdrop: (H, W, 3) display-referred sRGB behind the avatar; black by default.
    """

    def __init__(
        self,
        avatar: GaussianAvatar,
        backend: Backend,
        camera: Camera,
        backdrop: Float | None = None,
    ) -> None:
        self._pipeline = AvatarPipeline(avatar, backend.device)
        self._backend, self._camera = backend, camera
        self._backdrop = None if backdrop is None else upload(backdrop, backend.device)

    @torch.inference_mode()
    def submit(
        self, vertices: Float, expression: Float | None, matrix: Float | None = None
    ) -> Download:
        """Start a frame; its one array is (H, W, 3) uint8 display-referred sRGB.

        Args:
            vertices: (V, 3) the head's vertices in head space, metres.
            expression: (E,) expression weights for the avatar's colours, or ``None``.
            matrix: (4, 4) head space to world; ``None`` for a head that stands at the origin.
        """
        gaussians = self._pipeline.splats(vertices, expression, matrix, self._camera.viewpoint)
        rgb, alpha, _ = self._backend.render(gaussians, self._camera)
        if self._backdrop is not None:
            rgb = torch.addcmul(rgb, 1 - alpha[..., None], self._backdrop)
        # Bytes before the download: a quarter of the transfer, and of the work on the host.
        return Download(rgb.clamp(0, 1).mul_(255).add_(0.5).to(torch.uint8))


def render_performance(
    performance: Performance,
    head: Head,
    avatar: GaussianAvatar,
    backend: Backend,
    camera: Camera,
    progress: Progress = no_progress,
    *,
    backdrop: Float | None = None,
) -> Iterator[Frame]:
    """Render a performance frame by frame, in memory that does not grow with its length.

    On a GPU a frame is submitted before the one before it is downloaded, so that the host's work
    and the transfer cost no time of the device.

    Args:
        performance: what the head does.
        head: the head it was made for.
        avatar: an avatar of that head.
        backend: rasteriser.
        camera: world is head space.
        progress: called before each frame; a cancel it raises ends the work.
        backdrop: (H, W, 3) behind the avatar; black by default.

    Yields:
        (H, W, 3) uint8 display-referred sRGB.

    Raises:
        BadInputError: the performance was made for another head.
    """
    if performance.vertex_count != head.vertex_count or performance.head != head.id:
        raise BadInputError(
            f"The performance is for head '{performance.head}' ({performance.vertex_count} "
            f"vertices), not '{head.id}' ({head.vertex_count} vertices).",
            "Animate the sound again for this head, or retarget the performance.",
        )
    warm_up(backend, subprogress(progress, 0.0, 0.0))
    renderer = FrameRenderer(avatar, backend, camera, backdrop)
    names, wanted = performance.expression_names, head.expression_names
    expression = in_order(performance.expression, names, wanted)
    moved = performance.head_rotation.any()
    poses = pose_matrices(performance.head_rotation, head.neck) if moved else None
    ahead: deque[Download] = deque()
    for start, offsets in performance.offset_chunks():
        for index, offset in enumerate(offsets, start):
            progress(
                index / performance.frames,
                f"Rendering frame {index + 1} of {performance.frames} ({backend.name})",
            )
            psi = None if expression is None else expression[index]
            pose = None if poses is None else poses[index]
            ahead.append(renderer.submit(head.template + offset, psi, pose))
            if len(ahead) > (backend.device.type == "cuda"):
                yield ahead.popleft().numpy()[0]
    for frame in ahead:
        yield frame.numpy()[0]
    progress(1.0, f"Rendered {performance.frames} frames")


def render_still(
    performance: Performance,
    head: Head,
    avatar: GaussianAvatar,
    backend: Backend,
    camera: Camera,
    frame: int,
) -> Frame:
    """One frame of a performance before the studio backdrop: (H, W, 3) uint8 sRGB.

    Args:
        performance: what the head does.
        head: the head it was made for.
        avatar: an avatar of that head.
        backend: rasteriser.
        camera: world is head space.
        frame: index of the frame.
    """
    single = performance.still(frame)
    backdrop = studio_backdrop(camera.width, camera.height)
    return next(render_performance(single, head, avatar, backend, camera, backdrop=backdrop))


def write_video(
    path: str | Path,
    performance: Performance,
    head: Head,
    avatar: GaussianAvatar,
    backend: Backend,
    camera: Camera | None = None,
    sound: str | Path | None = None,
    progress: Progress = no_progress,
) -> None:
    """Render a performance before the studio backdrop into a video with its sound.

    Args:
        path: ``.mp4``, ``.mov`` or ``.mkv``.
        performance: what the head does.
        head: the head it was made for.
        avatar: an avatar of that head.
        backend: rasteriser.
        camera: by default a portrait of 720×720 pixels.
        sound: the audio the performance was made from.
        progress: called before each frame.

    Raises:
        BadInputError: inputs that do not fit each other, or a sound that cannot be decoded.
    """
    if sound is not None:
        check_sound(Path(sound))
    view = camera or portrait_camera(head, 720, 720)
    frames = render_performance(
        performance,
        head,
        avatar,
        backend,
        view,
        progress,
        backdrop=studio_backdrop(view.width, view.height),
    )
    encode(path, frames, performance.fps, sound)


def write_still(path: str | Path, frame: Frame) -> None:
    """Write one frame as a PNG or JPEG, whole or not at all.

    Args:
        path: ``.png``, ``.jpg`` or ``.jpeg``.
        frame: (H, W, 3) uint8.

    Raises:
        BadInputError: another kind of file.
    """
    path = Path(path)
    if path.suffix.lower() not in {".png", ".jpg", ".jpeg"}:
        raise BadInputError(
            f"{path.name} is no kind of picture that can be written.", "Choose .png or .jpg."
        )
    with atomic_write(path) as temporary:
        Picture.fromarray(frame).save(temporary)
