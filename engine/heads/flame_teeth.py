# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth for FLAME, which has none: 120 vertices and 168 triangles, as GaussianAvatars' heads count.

Two dental arches of 15 columns and 4 rows each (root and edge outside, edge and root inside),
placed from the head's own mouth and scaled by the distance of its eyes. The construction is this
project's: counts and order (teeth last, upper before lower) fit avatars made elsewhere, the
position of each triangle within the teeth does not.

The upper teeth move with the neck joint, as the skull does, the lower teeth with the jaw; both
follow the identity as the mean of the lips nearby, and no expression bends them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Index
from engine.core.errors import BadInputError
from engine.heads.flame_model import JOINTS, SHAPES, FlameModel

COLUMNS = 15
ROWS = 4
ARCH_VERTICES = COLUMNS * ROWS
_NECK, _JAW, _LEFT_EYE, _RIGHT_EYE = (
    JOINTS.index(name) for name in ("neck", "jaw", "left_eye", "right_eye")
)

_EYE_DISTANCE = 0.062
"""Metres between the eyes of an average adult, for whom the sizes below hold."""


class _Arch(NamedTuple):
    """Sizes of one dental arch in metres, relative to the point where the lips meet.

    Averages of adult dentition; the crowns reach a little past the lip line as an overbite does.
    """

    half_width: float
    depth: float
    behind_lips: float
    edge: float
    root: float


_UPPER = _Arch(half_width=0.027, depth=0.038, behind_lips=0.008, edge=-0.001, root=0.010)
_LOWER = _Arch(half_width=0.025, depth=0.036, behind_lips=0.011, edge=-0.001, root=-0.011)
_FRONT_THICKNESS = 0.003
_MOLAR_THICKNESS = 0.009
_SWEEP = np.deg2rad(80.0)


class Mouth(NamedTuple):
    """Where the lips meet.

    Attributes:
        centre: (3,) metres, between the lips on the head's plane of symmetry.
        upper: vertices of the upper lip near the centre.
        lower: vertices of the lower lip near the centre.
        scale: size of the head against the average adult.
    """

    centre: NDArray[np.float64]
    upper: Index
    lower: Index
    scale: float


def find_mouth(model: FlameModel, lips: Index | None = None) -> Mouth:
    """Find where the lips meet, by the change of the jaw's skinning weight on the face's front.

    Args:
        model: without teeth.
        lips: vertices of the lips where a mask is known; the front of the face otherwise.

    Raises:
        BadInputError: no vertex before the eyes follows the jaw, so this is no face.
    """
    points = model.v_template.astype(np.float64)
    joints = model.J_regressor.astype(np.float64) @ points
    eyes = joints[[_LEFT_EYE, _RIGHT_EYE]]
    distance = float(np.linalg.norm(eyes[0] - eyes[1]))
    jaw = model.weights[:, _JAW] > 0.5
    skin = model.weights[:, [_LEFT_EYE, _RIGHT_EYE]].sum(1) < 0.5
    middle = eyes[:, 0].mean()
    front = (
        skin
        & (np.abs(points[:, 0] - middle) < 0.1 * distance)
        & (points[:, 2] > eyes[:, 2].mean())
        & (points[:, 1] < eyes[:, 1].mean())
    )
    if lips is not None:
        front &= np.isin(np.arange(len(points)), lips)
    front[front] = _outermost(points[front], 0.05 * distance)
    lower_lip, upper_lip = np.flatnonzero(front & jaw), np.flatnonzero(front & ~jaw)
    if not len(lower_lip) or not len(upper_lip) or not distance:
        raise BadInputError(
            "No mouth was found in this FLAME model: no vertex before the eyes follows the jaw.",
            "Load it without teeth.",
        )
    lower = points[lower_lip[np.argmax(points[lower_lip, 1])]]
    above = upper_lip[points[upper_lip, 1] > lower[1] - 0.05 * distance]
    upper = points[above[np.argmin(np.linalg.norm(points[above] - lower, axis=1))]]
    centre = 0.5 * (lower + upper)
    centre[0] = middle
    reach = np.abs(points - centre) < distance * np.array([0.45, 0.16, 0.25])
    near = skin & reach.all(1)
    return Mouth(
        centre,
        np.flatnonzero(near & ~jaw).astype(np.int32),
        np.flatnonzero(near & jaw).astype(np.int32),
        distance / _EYE_DISTANCE,
    )


def _outermost(points: NDArray[np.float64], step: float) -> NDArray[np.bool_]:
    """Which points lie on the front surface: near the largest z within their height band."""
    if not len(points):
        return np.zeros(0, bool)
    band = np.floor((points[:, 1] - points[:, 1].min()) / step).astype(int)
    front = np.full(band.max() + 1, -np.inf)
    np.maximum.at(front, band, points[:, 2])
    outermost: NDArray[np.bool_] = points[:, 2] > front[band] - step
    return outermost


def add_teeth(model: FlameModel, lips: Index | None = None) -> FlameModel:
    """The model with teeth: 120 vertices and 168 triangles more, upper arch first.

    Args:
        model: a model as its file holds it.
        lips: vertices of the lips where a mask is known.

    Raises:
        BadInputError: the mouth cannot be found.
    """
    mouth = find_mouth(model, lips)
    vertices, faces, joint, follow = [], [], [], []
    count = len(model.v_template)
    for number, (arch, owner, lip) in enumerate(
        ((_UPPER, _NECK, mouth.upper), (_LOWER, _JAW, mouth.lower))
    ):
        vertices.append(_arch_vertices(arch, mouth))
        faces.append(_arch_faces(upper=number == 0) + count + number * ARCH_VERTICES)
        joint.append(np.eye(len(JOINTS), dtype=np.float32)[[owner] * ARCH_VERTICES])
        mean = model.shapedirs[lip].mean(0, keepdims=True) if len(lip) else 0.0
        directions = np.zeros((ARCH_VERTICES, *model.shapedirs.shape[1:]), np.float32)
        directions += mean
        directions[..., SHAPES:] = 0
        follow.append(directions)
    new = 2 * ARCH_VERTICES
    uv, uv_faces = _with_tooth_uv(model, faces, count)
    return replace(
        model,
        v_template=np.concatenate([model.v_template, *vertices]).astype(np.float32),
        f=np.concatenate([model.f, *faces]).astype(np.int32),
        shapedirs=np.concatenate([model.shapedirs, *follow]),
        posedirs=np.concatenate(
            [model.posedirs, np.zeros((new, *model.posedirs.shape[1:]), np.float32)]
        ),
        J_regressor=np.pad(model.J_regressor, ((0, 0), (0, new))),
        weights=np.concatenate([model.weights, *joint]),
        uv=uv,
        uv_faces=uv_faces,
    )


def _arch_vertices(arch: _Arch, mouth: Mouth) -> NDArray[np.float64]:
    """(60, 3) vertices, column by column from the right molar to the left, four rows each.

    Seen from above the arch is half an ellipse: x = a·sin φ, z = −b·(1 − cos φ).
    """
    angle = np.linspace(-_SWEEP, _SWEEP, COLUMNS)
    outward = np.stack([np.sin(angle) * arch.depth, np.cos(angle) * arch.half_width], 1)
    outward /= np.linalg.norm(outward, axis=1, keepdims=True)
    outside = np.stack(
        [arch.half_width * np.sin(angle), -arch.depth * (1 - np.cos(angle)) - arch.behind_lips], 1
    )
    molar = (np.abs(angle) / _SWEEP)[:, None] ** 2
    inside = outside - outward * (_FRONT_THICKNESS + molar * (_MOLAR_THICKNESS - _FRONT_THICKNESS))
    plan = np.stack([outside, outside, inside, inside], 1)
    height = np.broadcast_to([arch.root, arch.edge, arch.edge, arch.root], (COLUMNS, ROWS))
    vertices = np.stack([plan[..., 0], height, plan[..., 1]], -1).reshape(-1, 3)
    placed: NDArray[np.float64] = mouth.centre + mouth.scale * vertices
    return placed


def _arch_faces(*, upper: bool) -> NDArray[np.int64]:
    """(84, 3) triangles between neighbouring columns and rows, counter-clockwise from outside."""
    column, row = np.meshgrid(np.arange(COLUMNS - 1), np.arange(ROWS - 1), indexing="ij")
    a = (column * ROWS + row).ravel()
    b, c, d = a + ROWS, a + ROWS + 1, a + 1
    triangles = [np.stack([a, d, c], 1), np.stack([a, c, b], 1)]
    faces: NDArray[np.int64] = np.stack(triangles, 1).reshape(-1, 3)
    return faces if upper else faces[:, ::-1]


def _with_tooth_uv(
    model: FlameModel, faces: list[NDArray[np.int64]], first: int
) -> tuple[NDArray[np.float32] | None, Index | None]:
    """Texture coordinates with the two arches laid out in the lower left corner."""
    if model.uv is None or model.uv_faces is None:
        return None, None
    uv = np.concatenate([model.uv, tooth_uv()])
    corners = np.concatenate([tooth - first + len(model.uv) for tooth in faces])
    return uv, np.concatenate([model.uv_faces, corners]).astype(np.int32)


def tooth_uv() -> NDArray[np.float32]:
    """(120, 2) texture coordinates of the teeth: the arches in the lower left corner."""
    across, down = np.meshgrid(np.arange(COLUMNS), np.arange(ROWS), indexing="ij")
    arch = np.stack([across.ravel() / COLUMNS * 0.08, down.ravel() / ROWS * 0.02], 1)
    both: NDArray[np.float32] = np.concatenate(
        [arch, arch + np.array([0.0, 0.02])], dtype=np.float32
    )
    return both


def tooth_regions(vertex_count: int) -> dict[str, Index]:
    """Regions and edge landmarks of the teeth that :func:`add_teeth` put at the end of a mesh.

    Returns:
        ``upper_teeth``, ``lower_teeth``, ``teeth``, and ``upper_teeth_edge``, ``lower_teeth_edge``
        (15,) along the outer edges from right to left.
    """
    upper = np.arange(
        vertex_count - 2 * ARCH_VERTICES, vertex_count - ARCH_VERTICES, dtype=np.int32
    )
    lower = upper + np.int32(ARCH_VERTICES)
    return {
        "upper_teeth": upper,
        "lower_teeth": lower,
        "teeth": np.concatenate([upper, lower]),
        "upper_teeth_edge": upper[1::ROWS],
        "lower_teeth_edge": lower[1::ROWS],
    }
