# SPDX-License-Identifier: GPL-3.0-or-later
"""How well a known head is tracked: printed, never asserted.

    python -m tests.benchmarks.tracking --audio SPEECH.wav [--begin 0] [--seconds 5]
                                        [--size 480 640] [--seeds 101 102] [--cases CASE...]
                                        [--known focal | head] [--no-calibration]
                                        [--turn 22] [--around 0 35 -35] [--cycles]
                                        [--out FOLDER]

Needs the extra ``tracking``. Each video shows another person of the default head, who speaks the
audio, turns and nods before a phone that sways. All persons are filmed plainly, the first in the
other cases, too (:mod:`tests.benchmarks.film_defects`). --out keeps videos, landmarks and the
table, and what is there is not filmed or searched again. The persons move as an alignment beside
the audio says (NAME.phones.json); the tracker recognises the sounds by itself in any case.
The tracker gets only the film, or what --known says besides: the focal length, or also the
neutral head, with poses and expressions left to find (the detector is not calibrated on a head
that is known). --around films with calibrated cameras so many degrees aside, the first in front;
--cycles the synthetic person in Cycles, whose looks the tracker does not know, in place of the
default avatar.
It knows neither size nor position of a head, so the found neutral face is laid on the true one by
one similarity a video; vertices, lips and poses are compared after that. "always" is the part of
the pose's error that all frames share, about the head's axes; "size" how much larger than the true
head the found one is. A closure is a p, b or m in whose
middle the true lips touch (less than 0.3 mm apart); it is kept where the found lips touch within
40 ms. Seconds are those of the processor.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile
from scipy.spatial.transform import Rotation

from engine.recognition.segmentation import load_segmentation
from engine.rendering.video import write_video
from engine.splatting.camera import Camera
from tests.benchmarks.film_defects import CASES
from tests.benchmarks.machine import processor
from tests.benchmarks.tracking_truth import Shot, camera_aside
from training.tracking.face_model import arkit_face_model
from training.tracking.film import open_film
from training.tracking.film_sound import write_sound
from training.tracking.first_poses import initial_poses
from training.tracking.fitting import fit_frames, project
from training.tracking.identity_space import default_space
from training.tracking.landmark_map import load_landmark_map
from training.tracking.landmarks import eye_distance
from training.tracking.mediapipe_faces import HandDetector, PersonSegmenter, open_detector
from training.tracking.observations import Intrinsics, Observations
from training.tracking.own_looks import film_pictures
from training.tracking.rig import RigCamera
from training.tracking.scan import scan
from training.tracking.several import merged, tracked_cameras, view_of
from training.tracking.sound import listen
from training.tracking.track import Track, track_scan

TOUCHING = 0.3
KEPT = 0.04
FILM = "film.mp4"


def cut_sound(source, path, begin, seconds):
    samples, rate = soundfile.read(source)
    first = round(begin * rate)
    soundfile.write(path, samples[first : first + round(seconds * rate)], rate)


def quiet(_share, _message):
    pass


def of_known_head(truth, found):
    """Poses and expressions of the true neutral head, seen by the true camera."""
    space, marks, nobody = default_space(), load_landmark_map(), np.zeros(0)
    model = arkit_face_model(truth.head, space, marks)
    model = replace(model, identity=np.zeros((0, *model.rest.shape)), mean=nobody)
    if len(found.good) < len(found.state):
        raise SystemExit("A frame was dropped: this is measured on plain videos.")
    good, camera = found.good, Intrinsics(float(truth.K[0, 0]), truth.K[:2, 2].astype(float))
    points, none = found.points[good].astype(float), np.zeros(len(good))
    seen = Observations(points, good / found.fps, found.takes[good], none, found.trust[good])
    fit = fit_frames(model, seen, camera, nobody, initial_poses(model, seen, camera))
    away = np.linalg.norm(project(model, nobody, camera, fit) - seen.points, axis=2).mean(1)
    return Track(truth.head, camera, fit, away / eye_distance(seen.points), found, nobody)


def film_of(around):
    return FILM if not around else f"aside{around:+g}.mp4"


def scanned(folder, arounds):
    """Films of the cameras, and what they show."""
    films = [open_film(folder / film_of(around), 1280) for around in arounds]
    found = []
    for film in films:
        place = folder if len(films) == 1 else folder / f"scan-{film.path.stem}"
        place.mkdir(exist_ok=True)
        with closing(open_detector()) as detector, closing(HandDetector()) as hands:
            found.append(scan(film, detector, hands, place, quiet, alone=len(films) == 1))
    return films, found


def together(films, found, truth, arounds):
    """One scan of several cameras, and their views."""
    rig = [
        RigCamera(film.path.stem, Camera(camera_aside(around), truth.K, film.width, film.height))
        for film, around in zip(films, arounds, strict=True)
    ]
    cameras = tracked_cameras(rig, films, found)
    views = tuple(view_of(camera) for camera in cameras)
    return merged(cameras, views), views


def tracked(folder, truth, known, arounds, *, calibrate):
    """The track of a folder's films, and processor seconds a frame of searching and of fitting."""
    start = time.process_time()
    films, scans = scanned(folder, arounds)
    film, found, views = films[0], scans[0], ()
    if len(films) > 1:
        found, views = together(films, scans, truth, arounds)
    searched = time.process_time() - start
    count = len(found.state)
    write_sound(film, folder / "sound.wav", count)
    said = listen(folder / "sound.wav", None, count, film.fps, quiet)
    start = time.process_time()
    focal = float(truth.K[0, 0]) if known == "focal" else None
    if known == "head":
        track = of_known_head(truth, found)
    else:
        with closing(open_detector(still=True)) as still, closing(PersonSegmenter()) as persons:
            shown = still if calibrate else None
            track = track_scan(
                film,
                found,
                focal,
                quiet,
                closure=said.closure,
                still=shown,
                views=views,
                filmed=film_pictures(films, persons, [None] * len(films)),
            )
    fitted = time.process_time() - start
    return track, searched / count, fitted / count


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


def kept_closures(truth, true_gaps, gaps):
    """Closures that are kept, of how many; gaps are of all frames."""
    near = max(1, round(KEPT * truth.performance.fps))
    frames = closures(truth, true_gaps)
    kept = sum(gaps[max(0, f - near) : f + near + 1].min() < TOUCHING for f in frames)
    return f"{kept}/{len(frames)}"


def away(truth, head, frames, expression, rotation):
    """How far a head is from the true one in some frames: millimetres and degrees by name."""
    face, lips = head.regions["face"], head.regions["lips"]
    scale, R, shift = similarity(
        head.template[face].astype(np.float64), truth.head.template[face].astype(np.float64)
    )

    def laid(vertices):
        return scale * vertices @ R.T + shift

    neutral = 1e3 * np.linalg.norm(laid(head.template) - truth.head.template, axis=1)
    true = np.array([truth.vertices(frame) for frame in frames])
    wrong = 1e3 * np.linalg.norm(laid(head.deform(expression)) - true, axis=2)
    turned = rotation @ R.T @ np.swapaxes(truth.matrices[frames, :3, :3], 1, 2)
    always = (
        Rotation.from_matrix(
            np.swapaxes(truth.matrices[frames, :3, :3], 1, 2)
            @ turned
            @ truth.matrices[frames, :3, :3]
        )
        .as_rotvec(degrees=True)
        .mean(0)
    )
    return {
        "identity mm": float(neutral[face].mean()),
        "face mm": float(wrong[:, face].mean()),
        "lips mm": float(wrong[:, lips].mean()),
        "size %": 100 * float(1 / scale - 1),
        "pose °": float(np.degrees(Rotation.from_matrix(turned).magnitude()).mean()),
        "always ° xyz": " ".join(f"{angle:.1f}" for angle in always),
    }


def scores(truth, track):
    """Figures of one video by name."""
    head, good = track.head, track.scan.good
    every = np.arange(len(track.scan.state))
    true_gaps = lip_gap_of(truth.head, np.array([truth.vertices(frame) for frame in every]))
    gaps = lip_gap_of(head, head.deform(track.fit.expression))
    return {
        "frames": f"{len(good)}/{len(every)}",
        "dropped": " ".join(f"{name} {n}" for name, n in track.scan.dropped().items()),
        "smeared": len(good) - len(track.scan.sharp),
        "takes": len(track.scan.cuts) + 1,
        "reprojection % of eyes": 100 * float(np.nanmean(track.error)),
        "identity rms": float(np.sqrt(np.mean(track.identity**2))) if len(track.identity) else 0.0,
        **away(truth, head, good, track.fit.expression[good], track.fit.rotation[good]),
        "opening r": float(np.corrcoef(true_gaps[good], gaps[good])[0, 1]),
        "p/b/m": kept_closures(truth, true_gaps, gaps),
        "false closures": int(((gaps < TOUCHING) & (true_gaps > 1.5))[good].sum()),
        "focal %": 100 * (track.camera.focal / truth.K[0, 0] - 1),
    }


def degraded(case, path, audio, pictures):
    """Write the film of a case, which is a file once it is whole."""
    if path.is_file():
        return
    frames = (case.degrade(image, frame, mouth) for frame, (image, mouth) in enumerate(pictures()))
    write_video(path, frames, case.fps, audio, quality=case.quality)


def table_of(rows):
    """The rows as Markdown."""
    lines = ["| " + " | ".join(rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    for row in rows:
        cells = (f"{cell:.2f}" if isinstance(cell, float) else str(cell) for cell in row.values())
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def measured(chosen, folder):
    """The rows of all videos, as they are done."""
    audio = folder / "said.wav"
    cut_sound(chosen.audio, audio, chosen.begin, chosen.seconds)
    given = None
    if (phones := chosen.audio.with_suffix(".phones.json")).is_file():
        given = load_segmentation(phones).stretch(chosen.begin, chosen.seconds)
    shown = {}
    for name in chosen.cases:
        case = CASES[name]
        for seed in chosen.seeds if name == "plain" else chosen.seeds[:1]:
            place = folder / f"{name}-{seed}"
            place.mkdir(exist_ok=True)
            options = {"fps": case.fps, "cut": case.cut, "seed": seed, "size": tuple(chosen.size)}
            shot = Shot(audio, seconds=chosen.seconds, turn=chosen.turn, given=given, **options)
            for around in chosen.around:
                key = seed, case.fps, case.cut, around

                def pictures(shot=shot, around=around, key=key):
                    if key not in shown:
                        shown[key] = [*shot.pictures(around, cycles=chosen.cycles)]
                    return shown[key]

                degraded(case, place / film_of(around), audio, pictures)
            calibrate = chosen.calibration
            track, searching, fitting = tracked(
                place, shot.truth, chosen.known, chosen.around, calibrate=calibrate
            )
            row = {"case": name, "person": seed, **scores(shot.truth, track)}
            yield row | {"search s/frame": searching, "fit s/frame": fitting}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--begin", type=float, default=0.0, help="seconds of the audio left out")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--size", type=int, nargs=2, default=[480, 640])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103])
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--turn", type=float, default=22.0, help="degrees to which heads turn")
    parser.add_argument(
        "--cycles", action="store_true", help="film the synthetic person in Cycles (needs bpy)"
    )
    parser.add_argument("--known", choices=["focal", "head"])
    parser.add_argument("--calibration", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument(
        "--around", type=float, nargs="+", default=[0.0], help="degrees of calibrated cameras"
    )
    parser.add_argument("--out", type=Path)
    chosen = parser.parse_args()
    if chosen.around[0]:
        parser.error("poses are compared before the first camera: give --around 0 first")
    if chosen.known and len(chosen.around) > 1:
        parser.error("of calibrated cameras nothing else is known: leave out --known or --around")
    with tempfile.TemporaryDirectory() as name:
        folder = chosen.out or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for row in measured(chosen, folder):
            rows.append(row)
            print(row, flush=True)
            (folder / "table.md").write_text(table_of(rows))
    print(f"{processor()}\n\n{table_of(rows)}")


if __name__ == "__main__":
    main()
