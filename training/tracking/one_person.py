# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether takes show one person: each is fitted with its own face, and with the other's.

Another's face meets the landmarks worse than the take's own, however poses and expressions make up
for it. Comparing the faces themselves tells less: what a take hardly shows, depth above all,
differs between takes of one person, too. For that reason the better of two takes with each other's
face counts: of one person, the face of the take that shows more meets both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from engine.core.arrays import Double
from engine.core.progress import Progress, subprogress
from engine.heads.default import load_default_head
from training.tracking.face_model import FaceModel, arkit_face_model, with_own_lips
from training.tracking.film import Film
from training.tracking.first_poses import initial_poses
from training.tracking.fitting import cost, fit_frames, fit_identity
from training.tracking.identity_space import default_space
from training.tracking.landmark_map import load_landmark_map
from training.tracking.observations import Intrinsics, Observations
from training.tracking.scan import Scan
from training.tracking.varied_frames import varied

OTHER = 1.75
"""Cost of the fit (:func:`training.tracking.fitting.cost`) with another take's face against that
with the own, from which the face is another's. Of takes of one person, however filmed, it was 1.59
at most; of two persons it has a median of 2.5, and only heads that are much alike stay below
(docs/tracking.md has the figures). A tenth more than that of one person is margin."""
_FRAMES = 16
"""Of different poses and mouths, by which a take is judged."""
_LONG = 2.0
"""Seconds of good frames from which a take is judged."""


@dataclass(frozen=True, eq=False)
class Take:
    """A take, as it is judged.

    Attributes:
        name: for messages.
        seen: some of its frames.
    """

    name: str
    seen: Observations


def other_faces(film: Film, found: Scan, focal: float, progress: Progress) -> list[str]:
    """What to tell the user of takes that show another face than most do, one sentence each.

    Args:
        film: the video, or several joined; its takes are those of each video, from cut to cut.
        found: what it shows.
        focal: pixels of the film's pictures.
        progress: called with the share done; may raise to cancel.
    """
    space, marks = default_space(), load_landmark_map()
    model = with_own_lips(arkit_face_model(load_default_head(), space, marks))
    camera = Intrinsics(focal, np.array([film.width / 2, film.height / 2]))
    takes = judged_takes(film, found, model, camera)
    reference, apart = strangers(model, [take.seen for take in takes], camera, progress)
    return [
        f"{takes[number].name} shows another face than {takes[reference].name}: either's meets the "
        f"other {times:.1f} times as badly as its own (of one person {OTHER:g} at most). All takes "
        "become one person: leave it out if it is another's."
        for number, times in apart.items()
    ]


def strangers(
    model: FaceModel, takes: Sequence[Observations], camera: Intrinsics, progress: Progress
) -> tuple[int, dict[int, float]]:
    """Which takes show another person.

    Args:
        model: of the head, with the identities of people.
        takes: frames of each.
        camera: theirs.
        progress: called with the share done; may raise to cancel.

    Returns:
        The take that most are like, the first where there is none; and those that are not like it,
        with how many times as badly the other's face meets the landmarks as their own.
    """
    if len(takes) < 2:
        return 0, {}
    return _apart(len(takes), compared(model, takes, camera, progress))


def compared(
    model: FaceModel, takes: Sequence[Observations], camera: Intrinsics, progress: Progress
) -> Callable[[int, int], float]:
    """How many times as badly two takes are met by each other's face as by their own.

    Args:
        model: of the head, with the identities of people.
        takes: frames of each.
        camera: theirs.
        progress: called with the share done; may raise to cancel, also in what is given back.

    Returns:
        A function of the numbers of two takes.
    """
    faces = []
    for number, seen in enumerate(takes):
        part = subprogress(progress, number / len(takes), (number + 1) / len(takes))
        start = initial_poses(model, seen, camera)
        face, _, _ = fit_identity(model, seen, camera, start, free_focal=False, progress=part)
        faces.append(face)

    @cache
    def misfit(take: int, face: int) -> float:
        progress(1.0, "comparing the faces of the takes")
        return _misfit(model, takes[take], camera, faces[face])

    def worse(one: int, other: int) -> float:
        pairs = ((one, other), (other, one))
        return min(misfit(take, face) / misfit(take, take) for take, face in pairs)

    return worse


def judged_takes(film: Film, found: Scan, model: FaceModel, camera: Intrinsics) -> list[Take]:
    """The takes that are long enough to be judged.

    Args:
        film: the video, or several joined.
        found: what it shows.
        model: of the head.
        camera: of the film.
    """
    good = found.good
    long = [
        rows
        for take in np.unique(found.takes)
        if len(rows := good[found.takes[good] == take]) >= _LONG * found.fps
    ]
    videos = [int(np.searchsorted(film.begins, rows[0], side="right")) - 1 for rows in long]
    takes = []
    for rows, video in zip(long, videos, strict=True):
        name, begin = film.take_of(rows[0]).path.name, film.begins[video]
        if videos.count(video) > 1:
            name = f"{name} from {(rows[0] - begin) / found.fps:.1f} s on"
        none = np.zeros(len(rows))
        points = found.points[rows].astype(np.float64)
        seen = Observations(points, rows / found.fps, found.takes[rows], none, found.trust[rows])
        takes.append(Take(name, seen.picked(varied(model, seen, camera, _FRAMES))))
    return takes


def _apart(count: int, worse: Callable[[int, int], float]) -> tuple[int, dict[int, float]]:
    """The take that most are like, else the first; and what is said of those that are not."""
    first: dict[int, float] = {}
    for reference in range(count):
        others = {number: worse(number, reference) for number in range(count)}
        apart = {number: times for number, times in others.items() if times > OTHER}
        if 2 * len(apart) < count:
            return reference, apart
        first = apart if reference == 0 else first
    return 0, first


def _misfit(model: FaceModel, seen: Observations, camera: Intrinsics, face: Double) -> float:
    """Cost of the frames of a take with a face."""
    nobody = np.zeros(0)
    person = replace(
        model,
        rest=model.rest + np.tensordot(face, model.identity, 1),
        identity=np.zeros((0, *model.rest.shape)),
        mean=nobody,
    )
    fit = fit_frames(person, seen, camera, nobody, initial_poses(person, seen, camera))
    return cost(person, seen, camera, fit)
