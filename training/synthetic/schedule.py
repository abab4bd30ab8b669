# SPDX-License-Identifier: GPL-3.0-or-later
"""The schedule of a capture: expression and pose of the head at each timestep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.heads.head import Head
from engine.motion.arkit import sides
from engine.motion.performance import Performance
from training.data.layout_head_param import HeadParam
from training.synthetic.faces import EYES, MOUTHS, WHOLE, Face

_ROUND = ("mouth", "eyes", "mouth", "speech", "mouth", "eyes", "whole", "speech")
"""Kinds of timesteps in turn, so that any number of them is a balanced capture; the mouth moves
most, and is the hardest."""
_TURNS = ((0, 0, 0), (18, 0, 0), (-18, 0, 0), (0, 10, 0), (0, -12, 0), (10, -6, 7), (-10, 6, -7))
"""Degrees of turning to the head's left, nodding down, and tilting to its left shoulder, taken in
turn, at a turning of 1; they change the light on the face, and what hides behind what."""
_SWAY = (1.5, 0.004)
"""Degrees and metres of random motion between timesteps, as a living head has it."""
_EXACT = 1e-6
"""Metres: farther off than this, vertices are stored beside the expression."""


class Spoken(NamedTuple):
    """A performance that is rendered.

    Attributes:
        name: of its files in the capture.
        performance: of the captured head.
    """

    name: str
    performance: Performance


@dataclass(frozen=True, eq=False)
class TimestepPose:
    """The head at one timestep.

    Attributes:
        name: what it shows, for people.
        kind: "mouth", "eyes", "whole" or "speech".
        param: the head's expression and pose, as stored.
        vertices: (V, 3) float32 head space, before the head's pose.
        frame: of which performance, and which of its frames; ``None`` for made faces.
    """

    name: str
    kind: str
    param: HeadParam
    vertices: Float
    frame: tuple[str, int] | None = None


def schedule(
    head: Head,
    spoken: Sequence[Spoken],
    count: int,
    seed: int,
    turning: float = 1.0,
    *,
    faces: bool = True,
) -> list[TimestepPose]:
    """The first ``count`` timesteps of an endless schedule; a longer capture begins the same.

    Args:
        head: an ARKit head.
        spoken: performances of that head; frames are picked such that each is as unlike those
            before it as can be.
        count: timesteps wanted.
        seed: of head poses and mixed faces.
        turning: factor of how far the head turns.
        faces: whether made faces come between the frames of speech.

    Raises:
        BadInputError: the head lacks ARKit expressions, a performance is of another head, or there
            are neither faces nor enough speech.
    """
    _check(head, spoken)
    if not faces and count > (frames := sum(s.performance.frames for s in spoken)):
        raise BadInputError(
            f"{count} timesteps of speech alone were asked for; the recordings have {frames}.",
            "Give more with --audio, lower --timesteps, or film faces too.",
        )
    streams = {
        "mouth": _faces(head, MOUTHS, np.random.default_rng([seed, 2])),
        "eyes": _faces(head, EYES, np.random.default_rng([seed, 3])),
        "whole": _faces(head, WHOLE, np.random.default_rng([seed, 4])),
        "speech": _speech(head, spoken),
    }
    rng = np.random.default_rng([seed, 5])
    made: list[TimestepPose] = []
    while len(made) < count:
        for kind in _ROUND if faces else ("speech",):
            for name, expression, vertices, frame in islice(streams[kind], 1):
                yaw, nod, tilt = _TURNS[len(made) % len(_TURNS)]
                matrix = head_pose((turning * yaw, turning * nod, turning * tilt), rng)
                exact = float(np.abs(head.deform(expression) - vertices).max()) <= _EXACT
                param = HeadParam(
                    head.id, expression, head.expression_names, matrix, None if exact else vertices
                )
                made.append(TimestepPose(name, kind, param, vertices, frame))
    return made[:count]


def head_pose(degrees: tuple[float, float, float], rng: np.random.Generator) -> Float:
    """(4, 4) float32 head space to world: a turn about the neck, and a little sway.

    Args:
        degrees: turn to the left, nod down, tilt to the left shoulder.
        rng: of the sway.
    """
    angles = np.deg2rad(np.array(degrees) + rng.uniform(-_SWAY[0], _SWAY[0], 3))
    (cy, cx, cz), (sy, sx, sz) = np.cos(angles), np.sin(angles)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    tilt = np.array([[cz, sz, 0], [-sz, cz, 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ nod @ tilt
    # The pivot lies in the neck, so the head goes where it looks.
    pivot = np.array([0.0, -0.09, -0.03])
    matrix[:3, 3] = pivot - matrix[:3, :3] @ pivot + rng.uniform(-_SWAY[1], _SWAY[1], 3)
    return matrix.astype(np.float32)


def expression_of(head: Head, face: Face) -> Float:
    """(E,) weights of a face on a head."""
    weights = np.zeros(len(head.expression_names), np.float32)
    for name, weight in face.items():
        for side in sides(name):
            weights[head.expression_index(side)] = weight
    return weights


_Act = tuple[str, Float, Float, tuple[str, int] | None]


def _faces(
    head: Head, faces: Sequence[tuple[str, Mapping[str, float]]], rng: np.random.Generator
) -> Iterator[_Act]:
    """The listed faces, then mixtures of two of them without end."""
    for name, face in faces:
        expression = expression_of(head, face)
        yield name, expression, head.deform(expression), None
    everything = [*MOUTHS, *EYES, *WHOLE]
    while True:
        first, second = rng.choice(len(everything), 2, replace=False)
        amounts = rng.uniform(0.3, 0.9, 2)
        (one, face), (other, more) = everything[first], everything[second]
        mixed = amounts[0] * expression_of(head, face) + amounts[1] * expression_of(head, more)
        expression = np.clip(mixed, 0, 1).astype(np.float32)
        yield f"{one} and {other}", expression, head.deform(expression), None


def _speech(head: Head, spoken: Sequence[Spoken]) -> Iterator[_Act]:
    """Frames of the performances, the most unlike ones first."""
    frames = [(number, frame) for number, s in enumerate(spoken) for frame in range(s[1].frames)]
    if not frames:
        return
    curves = np.concatenate([item.performance.expression for item in spoken])
    for index in farthest_first(curves):
        number, frame = frames[index]
        name, performance = spoken[number]
        expression = performance.expression[frame].astype(np.float32)
        vertices = head.template + performance.offsets(frame, frame + 1)[0]
        yield f"{name} {frame / performance.fps:.2f} s", expression, vertices, (name, frame)


def farthest_first(points: Float) -> Iterator[int]:
    """Indices of (N, D) points: the first far from their mean, each next one far from all before.

    Gonzalez 1985: every prefix covers the points within twice the best possible radius.
    """
    chosen = int(np.argmax(np.linalg.norm(points - points.mean(0), axis=1)))
    distance = np.full(len(points), np.inf)
    for _ in range(len(points)):
        yield chosen
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen], axis=1))
        distance[chosen] = -1.0
        chosen = int(np.argmax(distance))


def _check(head: Head, spoken: Sequence[Spoken]) -> None:
    wanted = {s for _, face in (*MOUTHS, *EYES, *WHOLE) for name in face for s in sides(name)}
    if missing := sorted(wanted - set(head.expression_names)):
        raise BadInputError(
            f"The head '{head.id}' lacks the ARKit expressions {', '.join(missing[:4])} …",
            "Film the default head.",
        )
    for name, performance in spoken:
        if performance.head != head.id or performance.expression_names != head.expression_names:
            raise BadInputError(
                f"The performance {name} is of the head '{performance.head}', not '{head.id}'.",
                "Make it again for the head that is filmed.",
            )
