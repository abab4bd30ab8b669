# SPDX-License-Identifier: GPL-3.0-or-later
"""How good an avatar of one video is: printed, never asserted.

    python -m tests.benchmarks.video_person --audio SPEECH.wav --out DIR [--begin 0] [--seconds 4]
                                            [--size 240 320] [--seed 101] [--steps 600] [--scale 1]
                                            [--refine 1] [--refine-steps 1000] [--steady 1]
                                            [--cycles] [--hair 1] [--around 0 35 -35]

Needs the extra ``tracking``. A video of another person of the default head is tracked, refined by
its pictures in --refine rounds as ``train person`` does it, and an avatar trained on each; beside
them one on the true camera, head and motion. All are compared with the film in frames that none of
them saw (the last tenth), and with the person as a camera sees them 20° aside, which no picture
shows. Their positions and sizes differ by what no video shows: each goes round its own head.
Backgrounds are black. With --cycles the film is of the synthetic person, whose looks neither the
tracker nor the avatar that a refinement begins with knows, and whose hair --hair makes longer or
shorter than that avatar's; --around films with calibrated cameras so many degrees aside, the first
in front. Of both the mesh alone is compared. Errors of the mesh are those of
tests.benchmarks.tracking, over all frames. What --out has is not filmed,
tracked or trained again. Minutes are the processor's.
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
from engine.recognition.segmentation import load_segmentation
from engine.rendering.frames import FrameRenderer
from engine.rendering.video import write_video
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend
from tests.benchmarks.machine import processor
from tests.benchmarks.tracking import (
    FILM,
    away,
    cut_sound,
    film_of,
    kept_closures,
    lip_gap_of,
)
from tests.benchmarks.tracking_truth import Shot, camera_aside
from training.avatar.run import train
from training.data.multiview import MultiViewCapture
from training.person.capture_stages import PersonTraining, capture_stages, refined
from training.person.config import PersonSettings
from training.person.one_camera import for_one_camera
from training.tracking.film import open_film, pictures
from training.tracking.observations import FrameFit, Intrinsics
from training.tracking.output import CaptureWriter
from training.tracking.refined_capture import filmed_at
from training.tracking.run import track_videos
from training.tracking.scan import GOOD, Scan
from training.tracking.settings import TrackSettings
from training.tracking.several import one_camera
from training.tracking.track import Track

ASIDE = 20.0
STEPS_PART = 3
"""Of an avatar's steps those of a refinement, in a person's training."""


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
        np.full(count, np.inf),
        np.zeros(count, bool),
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
    writer = CaptureWriter(folder, [one_camera(film, camera, scan)], track, 600, largest=1280)
    for frame, image in pictures(film):
        if frame in writer.timestep:
            writer.write_view(frame, image, None, masks)
    writer.finish([], {"made by": "tests.benchmarks.video_person"})


def refined_captures(tracked, folder, settings):
    """The captures that the rounds of a person's training make of a tracked one, by round."""
    plan = PersonTraining(tracked, folder, "person", settings=settings)
    if not refined(plan).capture.is_dir():
        jobs.adopt_job(folder, None, config={})
        with JobHandle(folder) as job:
            for stage in capture_stages(plan):
                stage.run(job, 0, stage.name)
    rounds = range(1, settings.refine + 1)
    return [refined(replace(plan, settings=replace(settings, refine=n))).capture for n in rounds]


def trained(capture, folder, settings, steady):
    """The avatar of a capture, trained as ``train person`` does."""
    avatar = folder / "avatar.safetensors"
    if not (folder / "scores.json").is_file():
        opened = MultiViewCapture.open(capture)
        chosen = replace(for_one_camera(settings.avatar, opened), steady=steady)
        jobs.adopt_job(folder, None, config={})
        with JobHandle(folder) as job:
            train(capture, chosen, folder, job, report=False)
    return load_with_head(avatar)


def mesh_errors(truth, folder):
    """How far a capture's head is from the true one, over all its timesteps."""
    capture = MultiViewCapture.open(folder)
    head, poses = capture.head, capture.poses()
    at = filmed_at(folder)
    frames = [int(np.abs(truth.times - at[step][1]).argmin()) for step in poses]
    expression = np.stack([pose.expression for pose in poses.values()])
    views = capture.split("train").frames
    front = [view for view in views if view.camera_id == Path(FILM).stem] or views
    viewmat = front[0].camera.viewmat.astype(float)
    rotation = np.stack([viewmat[:3, :3] @ pose.head_matrix[:3, :3] for pose in poses.values()])
    row = away(truth, head, frames, expression, rotation)
    true_gaps = lip_gap_of(truth.head, np.stack([truth.vertices(frame) for frame in frames]))
    gaps = lip_gap_of(head, head.deform(expression))
    return [row["face mm"], row["lips mm"], row["pose °"], kept_closures(truth, true_gaps, gaps)]


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


def above_the_chin(truth, frame, matrix, camera):
    """(H, W, 1) where a picture shows the head without its neck, of which masks decide the end."""
    chin = truth.vertices(frame)[truth.head.landmarks["chin"][0]]
    ends = np.stack([chin, chin - [0, 0.01, 0]]) @ matrix[:3, :3].T + matrix[:3, 3]
    flat = ends @ camera.K.T
    here, below = flat[:, :2] / flat[:, 2:]
    y, x = np.mgrid[: camera.height, : camera.width]
    return ((np.stack([x, y], axis=-1) - here) @ (below - here) < 0)[..., None]


def scores(truth, capture, trained_avatar):
    """PSNR of held-out frames, and of them 20° aside, against the person's own pictures.

    Of the head above its chin.
    """
    own, head = load_avatar("default", truth.head, other_identity=True), trained_avatar.head
    record = json.loads((capture.folder / "capture.json").read_text())
    steps, filmed = record["timesteps"], truth.K.copy()
    filmed[0, 0] = filmed[1, 1] = record["made_of"].get("focal_pixels", truth.K[0, 0])
    seconds = {step["timestep_index"]: step["seconds"] for step in steps}
    found = {True: [], False: []}
    for view in capture.split("test"):
        frame = int(np.abs(truth.times - seconds[view.timestep]).argmin())
        expression = view.expression.numpy()
        matrix = view.camera.viewmat.astype(float) @ view.head_matrix.numpy()
        true_matrix, camera = truth.matrices[frame].astype(float), view.camera
        # The same window of the picture.
        window = camera.K @ np.linalg.inv(filmed)
        true_camera = replace(
            camera, viewmat=np.eye(4, dtype=np.float32), K=(window @ truth.K).astype(np.float32)
        )
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
            counted = above_the_chin(truth, frame, theirs, true_camera)
            row.append(psnr(image * counted, wanted * counted))
    return float(np.mean(found[False])), float(np.mean(found[True]))


def shot_of(chosen):
    """The truth of the films, which are filmed where they are not there."""
    audio = chosen.out / "said.wav"
    cut_sound(chosen.audio, audio, chosen.begin, chosen.seconds)
    given = None
    if (phones := chosen.audio.with_suffix(".phones.json")).is_file():
        given = load_segmentation(phones).stretch(chosen.begin, chosen.seconds)
    options = {"size": tuple(chosen.size), "seed": chosen.seed, "seconds": chosen.seconds}
    shot = Shot(audio, given=given, **options)
    for around in chosen.around:
        if not (video := chosen.out / film_of(around)).is_file():
            shown = shot.pictures(around, cycles=chosen.cycles, hair_length=chosen.hair)
            fps = float(shot.truth.performance.fps)
            write_video(video, (image for image, _ in shown), fps, audio)
    return shot.truth


def calibrated(chosen, truth):
    """The file of the cameras, of the films' names; none of a single one, which nobody knows."""
    if len(chosen.around) == 1:
        return None
    lens = {"w": chosen.size[0], "h": chosen.size[1], "fl_x": truth.K[0, 0], "fl_y": truth.K[1, 1]}
    lens |= {"cx": truth.K[0, 2], "cy": truth.K[1, 2]}
    frames = []
    for around in chosen.around:
        placed = np.linalg.inv(camera_aside(around).astype(float)) @ np.diag([1, -1, -1, 1])
        named = {"camera_id": Path(film_of(around)).stem, "transform_matrix": placed.tolist()}
        frames.append(named | {name: float(value) for name, value in lens.items()})
    cameras = chosen.out / "cameras.json"
    cameras.write_text(json.dumps({"frames": frames}))
    return cameras


def tracked_capture(folder, videos, cameras=None):
    """Track a film, or those of calibrated cameras, and say what that took."""
    if (folder / "transforms_train.json").is_file():
        return
    jobs.adopt_job(folder, None, config={})
    start = time.process_time()
    with JobHandle(folder) as job:
        summary = track_videos(videos, folder, TrackSettings(cameras=cameras), job)
    taken = (time.process_time() - start) / summary["frames"]
    print(f"tracking: {taken:.2f} s of processor time a frame", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--begin", type=float, default=0.0, help="seconds of the audio left out")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320))
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--refine", type=int, default=1)
    parser.add_argument("--refine-steps", type=int, default=1000)
    parser.add_argument(
        "--cycles", action="store_true", help="film the synthetic person in Cycles (needs bpy)"
    )
    parser.add_argument("--hair", type=float, default=1.0, help="with --cycles: its length")
    parser.add_argument(
        "--around", type=float, nargs="+", default=[0.0], help="degrees of calibrated cameras"
    )
    parser.add_argument("--steady", type=float, nargs="+", default=[1.0])
    chosen = parser.parse_args()
    if chosen.around[0]:
        parser.error("poses are compared before the first camera: give --around 0 first")
    chosen.out.mkdir(parents=True, exist_ok=True)
    truth = shot_of(chosen)
    videos = [chosen.out / film_of(around) for around in chosen.around]
    settings = PersonSettings(
        preset="quick",
        avatar_steps=chosen.steps,
        scale=chosen.scale,
        refine=chosen.refine,
        backend="cpu",
        threads=1,
    )
    captures = {"tracked": chosen.out / "tracked"}
    tracked_capture(captures["tracked"], videos, calibrated(chosen, truth))
    start = time.process_time()
    wanted = replace(settings, avatar_steps=STEPS_PART * chosen.refine_steps)
    rounds = refined_captures(captures["tracked"], chosen.out / "person", wanted)
    captures |= {f"refined {number}": folder for number, folder in enumerate(rounds, 1)}
    print(f"refining: {(time.process_time() - start) / 60:.1f} minutes", flush=True)
    if chosen.cycles or len(videos) > 1:
        for name, folder in captures.items():
            print(name, mesh_errors(truth, folder), flush=True)
        return
    captures["true"] = chosen.out / "true"
    if not (captures["true"] / "transforms_train.json").is_file():
        true_capture(captures["true"], videos[0], truth)
    table = Table(title=f"avatar of one video, {chosen.steps} steps, {processor()}")
    errors = ("face mm", "lips mm", "pose °", "p, b, m")
    columns = ("parameters", "steady", *errors, "held-out dB", f"{ASIDE:g}° aside dB", "minutes")
    for column in columns:
        table.add_column(column, justify="right")
    for name, folder in captures.items():
        wrong = mesh_errors(truth, folder)
        for steady in chosen.steady:
            start = time.process_time()
            avatar = trained(folder, chosen.out / f"{name}-{steady:g}", settings, steady)
            minutes = (time.process_time() - start) / 60
            row = [steady, *wrong, *scores(truth, MultiViewCapture.open(folder), avatar), minutes]
            print(name, row, flush=True)
            cells = (value if isinstance(value, str) else f"{value:.2f}" for value in row)
            table.add_row(name, *cells)
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
