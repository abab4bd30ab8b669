# SPDX-License-Identifier: GPL-3.0-or-later
"""The landmarks of a head as a linear model of its identity and its expression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.heads.head import Head
from engine.heads.surface import Surface
from engine.motion.lip_contact import lip_gap
from training.tracking.identity_space import IdentitySpace
from training.tracking.landmark_map import LandmarkMap
from training.tracking.landmarks import EYES, INNER_LOWER, INNER_UPPER, IRISES, LIPS, OVAL, POINTS

_LEAST_DEVIATION = 0.0004
"""Metres; the least standard deviation of a landmark."""
_SHARES = ((OVAL, 0.15), (LIPS, 2.5), (EYES, 1.5), (IRISES, 1.5))
"""Factors of the landmarks' weights: the outline slides, lips and eyes are what is looked at."""

_OWN_LIP = 0.001
"""Metres: deviation of the edge of an inner lip, as the detector sees it, among people."""
_UNSEEN = ("tongueOut",)
"""Expressions that no landmark shows."""
_DEVIATIONS = {
    "jawForward": 0.08,
    "jawLeft": 0.1,
    "jawRight": 0.1,
    "mouthLeft": 0.1,
    "mouthRight": 0.1,
    "mouthFrown": 0.15,
    "mouthShrug": 0.2,
    "mouthDimple": 0.2,
    "mouthStretch": 0.25,
    "noseSneer": 0.15,
    "cheekPuff": 0.15,
    "cheekSquint": 0.2,
    "eyeBlink": 0.6,
    "jawOpen": 0.5,
    "mouthLowerDown": 0.5,
    "mouthUpperUp": 0.5,
    "mouthClose": 0.1,
}
"""Prior deviations by start of the name, where they differ from :data:`_DEVIATION`: what is rare in
speech, or looks like a turn of the head or another face, is small. So are lips that are closed over
an open jaw: a chin that is long looks like a jaw that always hangs."""
_DEVIATION = 0.4
_LASTING = 0.2
"""Of an expression's mean over all frames, against that of the expression: what is always so is
rather the face."""
_PASSING = ("mouthLowerDown", "mouthUpperUp", "eyeBlink", "eyeLook")
"""Starts of the names of expressions whose mean is nothing of the kind: lips part, eyes move."""


@dataclass(frozen=True, eq=False)
class FaceModel:
    """Landmarks X = rest + Σ aᵢ·Iᵢ + Σ eₖ·Bₖ in head space, metres.

    Attributes:
        rest: (478, 3) of the neutral mean head, as the detector sees it.
        normals: (478, 3) unit, of the skin there.
        identity: (I, 478, 3) of unit normal coefficients.
        mean: (I,) the coefficients of the mean person.
        expression: (E, 478, 3), as the detector sees it.
        aspect: (5, 478, 3) what the view adds.
        low, high: (E,) bounds of the weights.
        deviation: (E,) of the weights, for the prior.
        lasting: (E,) of their means over all frames, for the prior; infinite where there is none.
        pairs: (N, 2) expressions of the left and the right half of the face.
        spread: (478,) metres: deviation of a landmark across the line of sight.
        share: (478,) weight of a landmark against others.
        parting: (E, P) metres by which each expression parts each pair of the inner lips.
        names: E names.
    """

    rest: Double
    normals: Double
    identity: Double
    mean: Double
    expression: Double
    aspect: Double
    low: Double
    high: Double
    deviation: Double
    lasting: Double
    pairs: NDArray[np.intp]
    spread: Double
    share: Double
    parting: Double
    names: tuple[str, ...]


def arkit_face_model(head: Head, space: IdentitySpace, marks: LandmarkMap) -> FaceModel:
    """The model of a head on the default topology with ARKit's expressions.

    Args:
        head: neutral; of the default head's mesh.
        space: identities of that head.
        marks: where the landmarks lie.

    Raises:
        BadInputError: the map was made for other expressions or shapes.
    """
    if marks.expression_names != head.expression_names or len(marks.identity) != len(space.basis):
        raise BadInputError(
            f"The landmarks were measured on other expressions or shapes than '{head.id}' has.",
            "Make the map again: python -m training.assets.landmark_map.",
        )
    template = head.template.astype(np.float64)
    normals = Surface(template, head.faces, np.zeros(len(template))).normals
    normals = np.einsum("lc,lcd->ld", marks.weights, normals[marks.corners])
    names = head.expression_names
    high = np.array([0.0 if name in _UNSEEN else 1.0 for name in names])
    gap = lip_gap(head.expression_basis, names, head.landmarks)
    deviation = np.array([_prior(name) for name in names])
    passing = np.array([name.startswith(_PASSING) for name in names])
    return FaceModel(
        rest=(marks.on_mesh(head.template) + marks.offset).astype(np.float64),
        normals=normals / np.linalg.norm(normals, axis=1, keepdims=True),
        identity=(marks.on_mesh(space.basis) + marks.identity).astype(np.float64),
        mean=space.mean.astype(np.float64),
        aspect=marks.aspect.astype(np.float64),
        expression=(marks.on_mesh(head.expression_basis) + marks.response).astype(np.float64),
        low=np.zeros(len(names)),
        high=high,
        deviation=deviation,
        lasting=np.where(passing, np.inf, _LASTING * deviation),
        pairs=_sides(names),
        spread=np.maximum(marks.deviation, _LEAST_DEVIATION).astype(np.float64),
        share=landmark_shares(),
        parting=np.zeros((len(names), 0)) if gap is None else gap.parting,
        names=names,
    )


def landmark_shares() -> Double:
    """(478,) weight of a landmark against others."""
    share = np.ones(POINTS)
    for points, factor in _SHARES:
        share[list(points)] = factor
    return share


def with_own_lips(model: FaceModel) -> FaceModel:
    """The model with two more coefficients at the end of its identity, of :func:`own_lips`."""
    return with_own_offsets(model, own_lips())


def with_own_offsets(model: FaceModel, rows: Double) -> FaceModel:
    """The model with more coefficients at the end of its identity.

    They move no skin, but where the detector sees it: of one person it is wrong in all pictures
    alike, by what neither the shape nor the motion of the face explains.

    Args:
        model: of the head.
        rows: (N, 478, 3) metres of unit normal coefficients.
    """
    return replace(
        model,
        identity=np.concatenate([model.identity, rows]),
        mean=np.concatenate([model.mean, np.zeros(len(rows))]),
    )


def own_lips() -> Double:
    """(2, 478, 3) metres: the edges of a person's upper and lower inner lip, as the detector sees.

    Of many people it is wrong by a millimetre, which would open or close the mouth for ever.
    """
    moved = np.zeros((2, POINTS, 3))
    for row, points in zip(moved, (INNER_UPPER, INNER_LOWER), strict=True):
        row[list(points[1:-1]), 1] = _OWN_LIP
    return moved


def _sides(names: Sequence[str]) -> NDArray[np.intp]:
    """Pairs that move alike; eyes that look aside are mirrored by In and Out."""
    index = {name: row for row, name in enumerate(names)}
    pairs = []
    for name, row in index.items():
        if not name.endswith("Left") or name in ("jawLeft", "mouthLeft"):
            continue
        other = name.removesuffix("Left") + "Right"
        if name.startswith("eyeLookIn"):
            other = "eyeLookOutRight"
        elif name.startswith("eyeLookOut"):
            other = "eyeLookInRight"
        if other in index:
            pairs.append((row, index[other]))
    return np.array(pairs, np.intp).reshape(-1, 2)


def _prior(name: str) -> float:
    return next((d for start, d in _DEVIATIONS.items() if name.startswith(start)), _DEVIATION)


def weights_of(expression: Double) -> Float:
    """Weights of a head, float32."""
    return np.ascontiguousarray(expression, np.float32)
