# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a known head is tracked: printed, never asserted.

    python -m tests.benchmarks.tracking --audio SPEECH.wav [--seconds 5] [--seeds 101 102]
                                        [--cases plain noise blur 15fps hand cut]
                                        [--known focal | head] [--no-calibration]

Needs the extra ``tracking``. Each video shows another person of the default head, who speaks the
audio, turns and nods before a phone that sways; the tracker gets only the film, or what --known
says besides: the focal length, or also the neutral head, with poses and expressions left to find
(the detector is not calibrated on a head that is known).
It knows neither size nor position of a head, so the found neutral face is laid on the true one by
one similarity a video; vertices, lips and poses are compared after that. "always" is the part of
the pose's error that all frames share, about the head's axes. A closure is a p, b or m in whose
middle the true lips touch (less than 0.3 mm apart); it is kept where the found lips touch within
40 ms.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table
from scipy import ndimage
from scipy.spatial.transform import Rotation

from tests.benchmarks.machine import processor
from tests.benchmarks.tracking_truth import filmed
from training.tracking.face_model import arkit_face_model
from training.tracking.film import open_film, write_sound
from training.tracking.fitting import (
    Intrinsics,
    Observations,
    fit_frames,
    initial_poses,
    project,
)
from training.tracking.identity_space import default_space
from training.tracking.landmark_map import load_landmark_map
from training.tracking.landmarks import eye_distance
from training.tracking.mediapipe_faces import HandDetector, open_detector
from training.tracking.scan import scan
from training.tracking.sound import listen
from training.tracking.track import Track, track_scan

TOUCHING = 0.3
KEPT = 0.04


def quiet(_share, _message):
    pass


def noisy(image, frame, _mouth):
    rng = np.random.default_rng(frame)
    return (image + rng.normal(0, 12, image.shape)).clip(0, 255).astype(np.uint8)


def blurred(image, frame, _mouth):
    """Defocus, and now and then a frame that motion has smeared."""
    sigma = (1.5, 6.0 if frame % 23 == 7 else 1.5, 0)
    return ndimage.gaussian_filter(image, sigma)


def covered(image, frame, mouth):
    """A drawn hand that comes before the mouth for half a second of every two."""
    if frame % 50 < 38:
        return image
    picture = Image.fromarray(image)
    pen = ImageDraw.Draw(picture)
    x, y, width = mouth
    unit = width / 3
    for finger in range(4):
        left, top = x + (finger - 2) * 1.1 * unit, y - (2.2 if finger in (1, 2) else 1.8) * unit
        box = [left, top, left + unit, y + 3 * unit]
        pen.rounded_rectangle(box, unit / 2, fill=(205, 155, 130), outline=(150, 100, 80), width=2)
    pen.ellipse([x - 2.6 * unit, y + unit, x + 2.8 * unit, y + 6 * unit], fill=(205, 155, 130))
    return np.asarray(picture)


OPTIONS = {
    "plain": {},
    "noise": {"degrade": noisy},
    "blur": {"degrade": blurred},
    "15fps": {"fps": 15.0},
    "hand": {"degrade": covered},
    "cut": {"cut": True},
}


def of_known_head(truth, found):
    """Poses and expressions of the true neutral head, seen by the true camera."""
    space, marks, nobody = default_space(), load_landmark_map(), np.zeros(0)
    model = arkit_face_model(truth.head, space, marks)
    model = replace(model, identity=np.zeros((0, *model.rest.shape)), mean=nobody)
    if len(found.good) < len(found.state):
        raise SystemExit("A frame was dropped: this is measured on plain videos.")
    good, camera = found.good, Intrinsics(float(truth.K[0, 0]), truth.K[:2, 2].astype(float))
    seen = Observations(found.points[good].astype(float), good / found.fps, found.takes[good])
    fit = fit_frames(model, seen, camera, nobody, initial_poses(model, seen, camera))
    away = np.linalg.norm(project(model, nobody, camera, fit) - seen.points, axis=2).mean(1)
    return Track(truth.head, camera, fit, away / eye_distance(seen.points), found, nobody)


def tracked(video, folder, truth, known, *, calibrate):
    """The track of a video, and seconds a frame of looking and of fitting."""
    film = open_film(video, 1280)
    start = time.perf_counter()
    with closing(open_detector()) as detector, closing(HandDetector()) as hands:
        found = scan(film, detector, hands, folder, quiet)
    looked = time.perf_counter() - start
    count = len(found.state)
    write_sound(film, folder / "sound.wav", count)
    said = listen(folder / "sound.wav", None, count, film.fps, quiet)
    start = time.perf_counter()
    focal = float(truth.K[0, 0]) if known == "focal" else None
    if known == "head":
        track = of_known_head(truth, found)
    else:
        with closing(open_detector(still=True)) as still:
            shown = still if calibrate else None
            track = track_scan(film, found, focal, quiet, closure=said.closure, still=shown)
    fitted = time.perf_counter() - start
    return track, looked / count, fitted / count


def similarity(source, target):
    """Scale, rotation and shift that lay points (N, 3) on others (Umeyama 1991)."""
    a, b = source.mean(0), target.mean(0)
    u, s, v = np.linalg.svd((target - b).T @ (source - a))
    sign = np.array([1, 1, np.sign(np.linalg.det(u @ v))])
    scale = (s * sign).sum() / np.square(source - a).sum()
    R = u * sign @ v
    return scale, R, b - scale * R @ a


def lip_gap_of(head, vertices):
    upper, lower = head.landmarks["inner_lip_upper"], head.landmarks["inner_lip_lower"]
    return 1e3 * (vertices[:, upper, 1] - vertices[:, lower, 1]).max(1)


def closures(truth, gaps):
    """Frames in the middle of p, b and m in which the true lips touch."""
    frames = []
    for phone in truth.performance.phones:
        frame = round(0.5 * (phone.start + phone.end) * truth.performance.fps)
        near = range(max(0, frame - 1), min(len(gaps), frame + 2))
        if phone.label.rstrip("012") in ("P", "B", "M") and near:
            best = min(near, key=lambda f: gaps[f])
            if gaps[best] < TOUCHING:
                frames.append(best)
    return frames


def scores(truth, track):
    """Figures of one video by name."""
    head, good = track.head, track.scan.good
    face, lips = head.regions["face"], head.regions["lips"]
    scale, R, shift = similarity(
        head.template[face].astype(np.float64), truth.head.template[face].astype(np.float64)
    )

    def laid(vertices):
        return scale * vertices @ R.T + shift

    neutral = 1e3 * np.linalg.norm(laid(head.template) - truth.head.template, axis=1)
    true = np.array([truth.vertices(frame) for frame in good])
    found = head.deform(track.fit.expression[good])
    wrong = 1e3 * np.linalg.norm(laid(found) - true, axis=2)
    turned = track.fit.rotation[good] @ R.T @ np.swapaxes(truth.matrices[good, :3, :3], 1, 2)
    always = (
        Rotation.from_matrix(
            np.swapaxes(truth.matrices[good, :3, :3], 1, 2) @ turned @ truth.matrices[good, :3, :3]
        )
        .as_rotvec(degrees=True)
        .mean(0)
    )
    every = np.arange(len(track.scan.state))
    true_gaps = lip_gap_of(truth.head, np.array([truth.vertices(frame) for frame in every]))
    gaps = lip_gap_of(head, head.deform(track.fit.expression))
    near = max(1, round(KEPT * truth.performance.fps))
    frames = closures(truth, true_gaps)
    kept = sum(gaps[max(0, f - near) : f + near + 1].min() < TOUCHING for f in frames)
    return {
        "frames": f"{len(good)}/{len(every)}",
        "reprojection % of eyes": 100 * float(np.nanmean(track.error)),
        "identity mm": float(neutral[face].mean()),
        "face mm": float(wrong[:, face].mean()),
        "lips mm": float(wrong[:, lips].mean()),
        "pose °": float(np.degrees(Rotation.from_matrix(turned).magnitude()).mean()),
        "always ° xyz": " ".join(f"{angle:.1f}" for angle in always),
        "opening r": float(np.corrcoef(true_gaps[good], gaps[good])[0, 1]),
        "p/b/m": f"{kept}/{len(frames)}",
        "false closures": int(((gaps < TOUCHING) & (true_gaps > 1.5))[good].sum()),
        "focal %": 100 * (track.camera.focal / truth.K[0, 0] - 1),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102])
    parser.add_argument("--cases", nargs="+", choices=OPTIONS, default=list(OPTIONS))
    parser.add_argument("--known", choices=["focal", "head"])
    parser.add_argument("--calibration", action=argparse.BooleanOptionalAction, default=True)
    chosen = parser.parse_args()
    table = Table(title=f"tracking, {processor()}")
    rows = []
    for case in chosen.cases:
        for seed in chosen.seeds if case == "plain" else chosen.seeds[:1]:
            with tempfile.TemporaryDirectory() as name:
                folder = Path(name)
                truth = filmed(
                    folder / "film.mp4",
                    chosen.audio,
                    seed=seed,
                    seconds=chosen.seconds,
                    **OPTIONS[case],
                )
                track, looking, fitting = tracked(
                    folder / "film.mp4",
                    folder,
                    truth,
                    chosen.known,
                    calibrate=chosen.calibration,
                )
            row = {"case": case, "person": seed, **scores(truth, track)}
            rows.append(row | {"look s/frame": looking, "fit s/frame": fitting})
            print(rows[-1], flush=True)
    for column in rows[0]:
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            *(f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values())
        )
    Console(width=220).print(table)


if __name__ == "__main__":
    main()
