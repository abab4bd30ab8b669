# SPDX-License-Identifier: GPL-3.0-or-later
"""How good an avatar of one video is: printed, never asserted.

    python -m tests.benchmarks.video_person --audio SPEECH.wav --out DIR [--seconds 6] [--steps 600]
                                            [--steady 0.1 1] [--size 360 640] [--seed 101]

Needs the extra ``tracking``. A video of another person of the default head is tracked, and an
avatar trained on what was tracked; beside it one on the true camera, head and motion. Both are
compared with the film in frames that neither saw (the last tenth), and with the person as a
camera sees them 20° aside, which no picture shows. Their positions and sizes differ by what no
video shows: each goes round its own head. Backgrounds are black.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.spatial.transform import Rotation

from engine.avatar import load_avatar
from engine.avatar.with_head import load_with_head
from engine.jobs import folder as jobs
from engine.jobs.worker import JobHandle
from engine.rendering.frames import FrameRenderer
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend
from tests.benchmarks.machine import processor
from tests.benchmarks.tracking import quiet
from tests.benchmarks.tracking_truth import filmed
from training.avatar.run import train
from training.data.multiview import MultiViewCapture
from training.person.config import PersonSettings
from training.person.one_camera import for_one_camera
from training.tracking.film import open_film, pictures
from training.tracking.observations import FrameFit, Intrinsics
from training.tracking.output import CaptureWriter
from training.tracking.run import track_videos
from training.tracking.scan import GOOD, Scan
from training.tracking.settings import TrackSettings
from training.tracking.several import one_camera
from training.tracking.track import Track

ASIDE = 20.0


class TrueMasks:
    """What the person covers, rendered."""

    def __init__(self, masks):
        self.masks = masks

    def mask(self, frame, _width, _height):
        return self.masks[frame]


def rendered(avatar, vertices, expression, matrix, camera, backdrop=0.0):
    """(H, W, 3) uint8 before one grey."""
    plain = np.full((camera.height, camera.width, 3), backdrop, np.float32)
    renderer = FrameRenderer(avatar, choose_backend("cpu"), camera, plain)
    return renderer.submit(vertices, expression, matrix.astype(np.float32)).numpy()[0]


def true_capture(folder, video, truth):
    """The capture that a tracker without errors would write."""
    film = open_film(video, 1280)
    count = len(truth.times)
    fit = FrameFit(
        truth.matrices[:, :3, :3].astype(float),
        truth.matrices[:, :3, 3].astype(float),
        truth.performance.expression[:count].astype(float),
    )
    camera = Intrinsics(float(truth.K[0, 0]), truth.K[:2, 2].astype(float))
    scan = Scan(
        np.zeros((count, 478, 2), np.float32),
        np.full(count, GOOD, np.int8),
        np.zeros(count, np.intp),
        film.fps,
        np.ones(count),
        np.inf,
    )
    track = Track(truth.head, camera, fit, np.zeros(count), scan, np.zeros(0))
    shown = Camera(np.eye(4, dtype=np.float32), truth.K, film.width, film.height)
    avatar = load_avatar("default", truth.head, other_identity=True)
    black, white = (
        np.stack(
            [
                rendered(
                    avatar,
                    truth.vertices(frame),
                    truth.performance.expression[frame],
                    truth.matrices[frame],
                    shown,
                    backdrop,
                )
                for frame in range(count)
            ]
        ).astype(np.float32)
        for backdrop in (0.0, 1.0)
    )
    masks = TrueMasks(1 - (white - black).mean(3) / 255)
    writer = CaptureWriter(folder, [one_camera(film, camera, scan)], track, 600)
    for frame, image in pictures(film):
        if frame < count:
            writer.write_view(frame, image, None, masks)
    writer.finish([], {"made by": "tests.benchmarks.video_person"})


def trained(capture, folder, steps, steady):
    """The avatar of a capture, trained as ``train person`` does."""
    opened = MultiViewCapture.open(capture)
    settings = PersonSettings(preset="quick", avatar_steps=steps, scale=1.0, backend="cpu").avatar
    settings = replace(for_one_camera(settings, opened), steady=steady)
    jobs.adopt_job(folder, None, config={})
    with JobHandle(folder) as job:
        train(capture, settings, folder, job)
    return load_with_head(folder / "avatar.safetensors")


def psnr(a, b):
    error = np.square((a.astype(float) - b) / 255).mean()
    return -10 * np.log10(error)


def aside_of(middle, matrix):
    """A matrix to the camera as of one that went round a point of the head."""
    at = matrix[:3, :3] @ middle + matrix[:3, 3]
    turn = np.eye(4)
    turn[:3, :3] = Rotation.from_euler("Y", ASIDE, degrees=True).as_matrix()
    turn[:3, 3] = at - turn[:3, :3] @ at
    return turn @ matrix


def scores(truth, capture, trained_avatar):
    """PSNR of held-out frames, and of them 20° aside, against the person's own pictures."""
    own, head = load_avatar("default", truth.head, other_identity=True), trained_avatar.head
    steps = json.loads((capture.folder / "capture.json").read_text())["timesteps"]
    seconds = {step["timestep_index"]: step["seconds"] for step in steps}
    found = {True: [], False: []}
    for view in capture.split("test"):
        frame = int(np.abs(truth.times - seconds[view.timestep]).argmin())
        expression = view.expression.numpy()
        matrix = view.camera.viewmat.astype(float) @ view.head_matrix.numpy()
        true_matrix, camera = truth.matrices[frame].astype(float), view.camera
        true_camera = replace(camera, viewmat=np.eye(4, dtype=np.float32), K=truth.K)
        our_camera = replace(camera, viewmat=np.eye(4, dtype=np.float32))
        for moved, row in found.items():
            ours, theirs = matrix, true_matrix
            if moved:
                ours, theirs = aside_of(head.eyes, matrix), aside_of(truth.head.eyes, true_matrix)
            image = rendered(
                trained_avatar.avatar, head.deform(expression), expression, ours, our_camera
            )
            weights = truth.performance.expression[frame]
            wanted = rendered(own, truth.vertices(frame), weights, theirs, true_camera)
            row.append(psnr(image, wanted))
    return float(np.mean(found[False])), float(np.mean(found[True]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--steady", type=float, nargs="+", default=[0.1, 1.0])
    parser.add_argument("--size", type=int, nargs=2, default=(360, 640))
    parser.add_argument("--seed", type=int, default=101)
    chosen = parser.parse_args()
    video = chosen.out / "film.mp4"
    chosen.out.mkdir(parents=True, exist_ok=True)
    truth = filmed(
        video, chosen.audio, size=tuple(chosen.size), seed=chosen.seed, seconds=chosen.seconds
    )
    captures = {"tracked": chosen.out / "tracked", "true": chosen.out / "true"}
    jobs.adopt_job(captures["tracked"], None, config={})
    start = time.perf_counter()
    with JobHandle(captures["tracked"]) as job:
        track_videos([video], captures["tracked"], TrackSettings(), job, quiet)
    tracking = time.perf_counter() - start
    true_capture(captures["true"], video, truth)
    table = Table(title=f"avatar of one video, {chosen.steps} steps, {processor()}")
    for column in ("parameters", "steady", "held-out dB", f"{ASIDE:g}° aside dB", "minutes"):
        table.add_column(column, justify="right")
    for name, folder in captures.items():
        for steady in chosen.steady:
            start = time.perf_counter()
            avatar = trained(folder, chosen.out / f"{name}-{steady:g}", chosen.steps, steady)
            minutes = (time.perf_counter() - start) / 60
            row = scores(truth, MultiViewCapture.open(folder), avatar)
            print(name, steady, row, minutes, flush=True)
            table.add_row(name, f"{steady:g}", *(f"{v:.2f}" for v in row), f"{minutes:.1f}")
    Console(width=120).print(table)
    print(f"tracking: {tracking / len(truth.times):.2f} s a frame")


if __name__ == "__main__":
    main()
