# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture as tracking leaves it, of pictures of the default avatar, without a video."""

from types import SimpleNamespace

import numpy as np
from scipy.spatial.transform import Rotation

from engine.avatar import load_avatar
from engine.heads import load_head
from engine.rendering.frames import FrameRenderer
from engine.splatting.camera import Camera
from engine.splatting.cpu.backend import CpuBackend
from training.tracking.film import Film
from training.tracking.observations import FrameFit, Intrinsics
from training.tracking.output import CaptureWriter
from training.tracking.report import write_report
from training.tracking.scan import GOOD, Scan
from training.tracking.several import one_camera
from training.tracking.sound import Said
from training.tracking.track import Track

SIZE, FPS = (96, 128), 25.0
VIEWS = 4


def true_fit(frames):
    """A head that turns while its mouth opens and closes; the lips touch in the first frame."""
    head = load_head("default")
    t = np.arange(frames) / FPS
    expression = np.zeros((frames, len(head.expression_names)))
    expression[:, head.expression_index("jawOpen")] = 0.3 * np.sin(6 * t)
    flip = Rotation.from_euler("X", 180, degrees=True)
    turns = np.stack([15 * np.sin(9 * t), 3 * np.cos(9 * t), 0 * t], 1)
    rotation = (flip * Rotation.from_euler("YXZ", turns, degrees=True)).as_matrix()
    return FrameFit(rotation, np.tile([0.0, -0.01, 0.5], (frames, 1)), expression)


def made_capture(folder, fit, tracked, *, spoken=True):
    """Write pictures of a fit with what a tracker makes of them.

    Args:
        folder: of the capture.
        fit: what is filmed.
        tracked: what the tracker says.
        spoken: whether there is a recording, of all frames.
    """
    head, count = load_head("default"), len(fit.expression)
    focal, centre = 0.9 * SIZE[1], np.array(SIZE) / 2
    film = Film(folder / "made.mp4", *SIZE, FPS, count, sound=spoken)
    points = np.zeros((count, 478, 2), np.float32)
    scan = Scan(
        points,
        np.full(count, GOOD, np.int8),
        np.zeros(count, np.intp),
        FPS,
        np.ones(count),
        np.ones(count),
        np.zeros(count, bool),
    )
    intrinsics = Intrinsics(focal, centre)
    error = np.full(count, 0.01)
    track = Track(head, intrinsics, tracked, error, scan, np.zeros(1))
    cameras = [one_camera(film, intrinsics, scan)]
    writer = CaptureWriter(folder, cameras, track, 600, largest=1280)
    writer.timestep = {frame: step for step, frame in enumerate(range(0, count, count // VIEWS))}
    writer.views = np.array([*writer.timestep])
    pictures, masks = _pictures(head, fit, writer.timestep, focal, centre)
    given = SimpleNamespace(mask=lambda frame, _w, _h: masks[frame])
    for frame in writer.timestep:
        writer.write_view(frame, pictures[frame], None, given)
    recordings = []
    if spoken:
        (folder / "speech").mkdir()
        (folder / "speech" / "said.wav").write_bytes(b"sound")
        said = Said((), (), "de", np.zeros(count), ())
        writer.write_motion(folder / "speech" / "said", 0, count, said)
        recordings = [("said", 0, count)]
    write_report(folder, cameras, [0.0], track, "made", None)
    writer.finish(recordings, {"video": "made.mp4"}, "de")


def _pictures(head, fit, frames, focal, centre):
    K = np.array([[focal, 0, centre[0]], [0, focal, centre[1]], [0, 0, 1]], np.float32)
    camera = Camera(np.eye(4, dtype=np.float32), K, *SIZE)
    avatar, shown = load_avatar("default", head), []
    for grey in (0.0, 1.0):
        plain = np.full((SIZE[1], SIZE[0], 3), grey, np.float32)
        renderer = FrameRenderer(avatar, CpuBackend(), camera, plain)
        for frame in frames:
            matrix = np.eye(4, dtype=np.float32)
            matrix[:3, :3], matrix[:3, 3] = fit.rotation[frame], fit.translation[frame]
            weights = fit.expression[frame].astype(np.float32)
            shown.append(renderer.submit(head.deform(weights), weights, matrix).numpy()[0])
    black, white = np.split(np.stack(shown).astype(np.float32), 2)
    masks = 1 - (white - black).mean(axis=3) / 255
    return dict(zip(frames, black.astype(np.uint8), strict=True)), dict(
        zip(frames, masks, strict=True)
    )
