# SPDX-License-Identifier: GPL-3.0-or-later
"""A FLAME file whose expressions speak, a person of strong identity, and what they look like.

The face is the default head's, warped, in FLAME's numbers. Its expression directions are principal
components of that face's 52 expressions, scaled as FLAME's are: coefficients of about 1. What the
default head's jaw does beyond a joint's turn is among them, so that a performance of the default
head becomes FLAME's parameters without loss; eyes turn by their joints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engine.avatar import load_avatar
from engine.avatar.color import MlpColor, ShColor
from engine.avatar.gaussian_avatar import Frame, GaussianAvatar, into_head, splats_of
from engine.heads import load_head
from engine.heads.flame import JAW_DIRECTIONS, flame_person, flame_vertices, read_flame
from engine.heads.flame_model import SHAPES, FlameModel
from engine.heads.flame_param import FlameParam
from engine.heads.head import Head
from engine.heads.identity import Identity
from engine.motion.performance import Performance
from engine.splatting.backend import Splats
from tests.engine.heads.flame_faces import another_person, flame_dressed
from tests.engine.heads.flame_people import SKIN, TEETH, identity_directions, pose_correctives
from training.avatar.seeding import on_triangles, teeth_faces

FILE = "flame2023.npz"
_UNIT = 6.0
"""Coefficients of an expression of full strength, so that those of speech are about 1."""
_GAZE = np.deg2rad(30.0)
"""Turn of an eye at a gaze of full strength."""
_TEETH = (0.86, 0.83, 0.78)
_LOST = 1e-5
"""Part of the expressions' variance that no component has."""


@dataclass(frozen=True, eq=False)
class InventedPerson:
    """Everything of the person that is true.

    Attributes:
        model: the full model, its template the person's neutral face.
        head: the same, linear.
        still: one frame of parameters with the identity.
        to_flame: (52, K) FLAME's coefficients by expression of the default head.
        body: Gaussians with the default avatar's colours, which follow the default expressions.
        teeth: Gaussians of the teeth.
    """

    model: FlameModel
    head: Head
    still: FlameParam
    to_flame: NDArray[np.float64]
    body: GaussianAvatar
    teeth: GaussianAvatar

    def parameters(self, spoken: Performance) -> FlameParam:
        """What the person does in a performance of the default head; head and translation rest."""
        weights = spoken.expression.astype(np.float64)
        by_name = dict(zip(spoken.expression_names, weights.T, strict=True))
        expr = np.zeros((len(weights), 100), np.float32)
        expr[:, : self.to_flame.shape[1]] = weights @ self.to_flame
        jaw = sum(by_name[name][:, None] * np.array(d) for name, d in JAW_DIRECTIONS.items())
        zero = np.zeros(len(weights))
        eyes = [
            _GAZE * part
            for side, left in (("Left", 1.0), ("Right", -1.0))
            for part in (
                by_name[f"eyeLookDown{side}"] - by_name[f"eyeLookUp{side}"],
                left * (by_name[f"eyeLookOut{side}"] - by_name[f"eyeLookIn{side}"]),
                zero,
            )
        ]
        made = FlameParam.neutral(TEETH, len(weights), self.still.shape)
        return replace(
            made,
            static_offset=self.still.static_offset,
            expr=expr,
            jaw_pose=np.asarray(jaw, np.float32),
            eyes_pose=np.stack(eyes, 1).astype(np.float32),
        )

    def splats(
        self, vertices: torch.Tensor, expression: torch.Tensor, matrix: torch.Tensor, eye: object
    ) -> Splats:
        """The person in the world.

        Args:
            vertices: (V, 3) world.
            expression: (52,) of the default head, which the colours follow.
            matrix: (4, 4) head space to world.
            eye: (3,) position of the camera.
        """
        frame = Frame(
            vertices,
            expression,
            to_head=into_head(matrix).to(vertices),
            eye=torch.as_tensor(eye, dtype=torch.float32),
        )
        both = [splats_of(part, frame) for part in (self.body, self.teeth)]
        return Splats(*(torch.cat(parts) for parts in zip(*both, strict=True)))


def invent(folder: Path) -> InventedPerson:
    """The person; the FLAME file is written where it is not there yet."""
    person = another_person()
    arrays, kept = flame_dressed(person)
    file = folder / FILE
    moved = np.array(person.expression_basis[:, kept], np.float64)
    moved[:, np.isin(kept, person.regions["eyeballs"])] = 0.0
    arrays["posedirs"] = pose_correctives(arrays["v_template"])
    identity_directions(arrays["v_template"], arrays["shapedirs"])
    arrays["shapedirs"][:, :, SHAPES:] = 0.0
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / f"jaw-{FILE}", **arrays)
        moved -= _by_joint(read_flame(folder / f"jaw-{FILE}"), person)
        (folder / f"jaw-{FILE}").unlink()
        directions, to_flame = _components(moved)
        arrays["shapedirs"][:, :, SHAPES : SHAPES + len(directions)] = np.moveaxis(directions, 0, 2)
        np.savez(folder / "to_flame.npz", to_flame=to_flame)
        np.savez(file, **arrays)
    shape, static = _identity(arrays["v_template"])
    made = flame_person(file, shape=shape, static_offset=static)
    still = replace(FlameParam.neutral(TEETH, 1, shape), static_offset=static[None])
    with np.load(folder / "to_flame.npz") as stored:
        to_flame = stored["to_flame"]
    body, teeth = _body(made.head, kept), _teeth(made.head)
    return InventedPerson(made.model, made.head, still, to_flame, body, teeth)


def _by_joint(model: FlameModel, person: Head) -> NDArray[np.float64]:
    """(52, V, 3) what the jaw's joint does of each expression."""
    done = np.zeros((len(person.expression_names), len(model.v_template), 3))
    nobody = torch.zeros(0, dtype=torch.float64)
    for name, turn in JAW_DIRECTIONS.items():
        pose = torch.zeros(15, dtype=torch.float64)
        pose[6:9] = torch.tensor(turn)
        posed = flame_vertices(model, nobody, nobody, pose).numpy()
        done[person.expression_index(name)] = posed - model.v_template
    return done


def _components(
    moved: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, V, 3) directions, and (52, K) their coefficients for each of (52, V, 3) offsets."""
    left, sizes, right = np.linalg.svd(moved.reshape(len(moved), -1), full_matrices=False)
    count = int((np.cumsum(sizes**2) < (1 - _LOST) * (sizes**2).sum()).sum()) + 1
    directions = sizes[:count, None] * right[:count] / _UNIT
    return directions.reshape(count, -1, 3), _UNIT * left[:, :count]


def _identity(
    points: NDArray[np.float64],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Shape (300,) and static offset (5143, 3): smooth, of up to 2 mm, none on the teeth."""
    shape = np.zeros(300, np.float32)
    shape[:4] = [1.2, -0.9, 0.8, 1.4]
    x, y, z = points.T
    static = np.zeros((TEETH, 3), np.float32)
    static[:SKIN] = 2e-3 * np.stack(
        [
            np.sin(70 * y) * np.sign(x) * np.minimum(np.abs(x) / 0.02, 1),
            np.cos(60 * z),
            np.sin(60 * y),
        ],
        1,
    )
    return shape, static


def _body(head: Head, kept: NDArray[np.intp]) -> GaussianAvatar:
    """The default avatar's Gaussians on the triangles that the person has of the default head."""
    default = load_head("default")
    given = load_avatar("default", default)
    numbers = {tuple(corners): number for number, corners in enumerate(head.faces.tolist())}
    flame = np.full(default.vertex_count, -1)
    flame[kept] = np.arange(len(kept))
    triangles = np.array([numbers.get(tuple(c), -1) for c in flame[default.faces].tolist()])
    bound = torch.from_numpy(triangles)[given.binding.long()]
    mine = bound >= 0
    assert isinstance(given.color, MlpColor)
    names = ("positions", "log_scales", "quats", "opacity_logits")
    return replace(
        given,
        identity=replace(Identity.of(head), expression_names=default.expression_names),
        faces=torch.from_numpy(np.array(head.faces, np.int32)),
        binding=bound[mine].to(torch.int32),
        color=replace(given.color, latents=given.color.latents[mine]),
        light=None,
        **{name: getattr(given, name)[mine] for name in names},
    )


def _teeth(head: Head) -> GaussianAvatar:
    binding, shape = on_triangles(head, subdivide_teeth=True)
    mine = torch.from_numpy(teeth_faces(head))[binding.long()]
    color = torch.tensor(_TEETH).expand(int(mine.sum()), 3)
    return GaussianAvatar(
        identity=Identity.of(head),
        faces=torch.from_numpy(np.array(head.faces, np.int32)),
        binding=binding[mine],
        color=ShColor.constant(color),
        **{name: values[mine] for name, values in shape.items()},
    )
