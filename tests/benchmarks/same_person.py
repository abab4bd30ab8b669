# SPDX-License-Identifier: GPL-3.0-or-later
"""How far takes of one person and of two are told apart: printed, never asserted.

    python -m tests.benchmarks.same_person --audio ONE.wav OTHER.wav [--seconds 3] [--seeds 101 102]
                                           [--size 360 480] --out FOLDER

Needs the extra ``tracking``. Each person of the default head is filmed in the takes of ``TAKES``;
films and landmarks are kept in FOLDER. Of all pairs of takes it is printed how many times as badly
either face meets the other take (:mod:`training.tracking.one_person`), sorted; then the least and
the most of one person and of two.
"""

from __future__ import annotations

import argparse
from contextlib import closing
from pathlib import Path

import numpy as np

from engine.core.progress import no_progress
from engine.heads.default import load_default_head
from engine.recognition.segmentation import load_segmentation
from engine.rendering.video import write_video
from tests.benchmarks.film_defects import CASES
from tests.benchmarks.tracking import cut_sound
from tests.benchmarks.tracking_truth import Shot
from training.tracking.face_model import arkit_face_model, with_own_lips
from training.tracking.film import open_film
from training.tracking.identity_space import default_space
from training.tracking.landmark_map import load_landmark_map
from training.tracking.mediapipe_faces import HandDetector, open_detector
from training.tracking.observations import Intrinsics
from training.tracking.one_person import OTHER, compared, judged_takes
from training.tracking.scan import scan
from training.tracking.track import phone_focal

TAKES = {
    "plain": (0, 22.0, "plain"),
    "mirrored": (1, -14.0, "plain"),
    "compressed": (1, 18.0, "compression"),
    "still, noisy": (0, 5.0, "noise"),
    "defocused": (1, 22.0, "defocus"),
}
"""Which audio is spoken, degrees of turning, and what goes wrong with the film."""


def filmed(folder, chosen, seed, take):
    """The film of a take, which is a file once it is whole."""
    number, turn, name = TAKES[take]
    case, place = CASES[name], folder / f"{seed} {take}"
    place.mkdir(parents=True, exist_ok=True)
    film, sound = place / "film.mp4", place / "said.wav"
    if not film.is_file():
        audio = chosen.audio[number]
        cut_sound(audio, sound, 0.0, chosen.seconds)
        given = None
        if (phones := audio.with_suffix(".phones.json")).is_file():
            given = load_segmentation(phones).stretch(0.0, chosen.seconds)
        options = {"fps": case.fps, "seed": seed, "size": tuple(chosen.size), "turn": turn}
        shot = Shot(sound, seconds=chosen.seconds, given=given, **options)
        pictures = (
            case.degrade(image, frame, mouth)
            for frame, (image, mouth) in enumerate(shot.pictures())
        )
        write_video(film, pictures, case.fps, sound, quality=case.quality)
    return film


def seen_in(film, model):
    """The frames of a film by which it is judged, and its camera."""
    shown = open_film(film, 1280)
    with closing(open_detector()) as detector, closing(HandDetector()) as hands:
        found = scan(shown, detector, hands, film.parent, no_progress)
    camera = Intrinsics(phone_focal(shown), np.array([shown.width, shown.height]) / 2)
    (take,) = judged_takes(shown, found, model, camera)
    return take.seen, camera


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--audio", type=Path, nargs=2, required=True)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", type=int, nargs=2, default=[360, 480])
    parser.add_argument("--seeds", type=int, nargs="+", default=[101, 102, 103, 104])
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args()
    space, marks = default_space(), load_landmark_map()
    model = with_own_lips(arkit_face_model(load_default_head(), space, marks))
    named = [(seed, take) for seed in chosen.seeds for take in TAKES]
    seen, cameras = zip(
        *(seen_in(filmed(chosen.out, chosen, *name), model) for name in named), strict=True
    )
    worse = compared(model, seen, cameras[0], no_progress)
    rows = []
    for one in range(len(named)):
        for other in range(one):
            (a, first), (b, second) = named[other], named[one]
            rows.append((worse(other, one), a == b, f"{a} {first}, {b} {second}"))
            print(*rows[-1], flush=True)
    for same, what in ((True, "one person"), (False, "two persons")):
        times = [row[0] for row in rows if row[1] == same]
        beyond = np.mean([at > OTHER for at in times])
        shown = ", ".join(f"{at:.2f}" for at in np.percentile(times, [0, 5, 50, 95, 100]))
        print(f"{what}: {shown} (0, 5, 50, 95, 100 % of {len(times)}), {beyond:.0%} over {OTHER}")


if __name__ == "__main__":
    main()
