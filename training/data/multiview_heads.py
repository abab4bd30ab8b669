# SPDX-License-Identifier: GPL-3.0-or-later
"""What the head of a capture does at each timestep: this project's parameters or FLAME's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
import torch

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.npz import open_npz
from engine.heads import load_head
from engine.heads.carried_head import flame_file
from engine.heads.flame import expression_weights, flame_person
from engine.heads.flame_model import FlameModel
from engine.heads.flame_param import FlameParam, load_flame_param
from engine.heads.head import Head
from engine.heads.registry import carries_head
from training.data.flame_tracking import Tracking
from training.data.layout import CANONICAL, CANONICAL_HEAD, Frame
from training.data.layout_head_param import load_head_param, load_identity
from training.data.posed_flame import in_the_world, posed, row_of

_FLAME_REMEDY = (
    "Give the FLAME model the capture was fitted with (--head generic_model.pkl, flame2023.pkl …); "
    "it is yours to download from flame.is.tue.mpg.de."
)
_SAME_PERSON = 1e-4


class PosedHead(NamedTuple):
    """A head at one timestep.

    Attributes:
        vertices: (V, 3) float32 world of the capture, metres.
        expression: (E,) float32, in the order of the head's expressions.
        head_matrix: (4, 4) float32 head space to world.
    """

    vertices: Float
    expression: Float
    head_matrix: Float


class HeadMotion(Protocol):
    """The head of a capture and its motion."""

    head: Head

    def check(self, param: Path) -> None:
        """See that a parameter file fits the head.

        Raises:
            BadInputError: it is missing, damaged or does not fit; names the file.
        """
        ...

    def at(self, param: Path) -> PosedHead:
        """The head as a parameter file describes it.

        Raises:
            BadInputError: as :meth:`check`.
        """
        ...

    def expression(self, param: Path) -> Float:
        """(E,) the expression alone, in the order of the head's.

        Raises:
            BadInputError: as :meth:`check`.
        """
        ...

    def in_the_world(self, param: Path, vertices: torch.Tensor) -> torch.Tensor:
        """Another face, (V, 3) in head space, in the pose of a parameter file: (V, 3) world.

        Raises:
            BadInputError: as :meth:`check`.
        """
        ...


def head_motion(
    folder: Path,
    frames: Sequence[Frame],
    head: str | Path | Head | None,
    tracking: Tracking | None = None,
) -> HeadMotion:
    """The motion reader that a capture needs.

    Args:
        folder: of the capture.
        frames: all of them.
        head: the head or its file; needed for FLAME, and for heads that are not shipped.
        tracking: refined parameters of FLAME in place of those of the files.

    Raises:
        BadInputError: the head is missing or does not fit.
    """
    first = folder / frames[0].param
    if frames[0].kind == "head":
        if tracking is not None:
            raise BadInputError(
                f"{folder} is no capture of a FLAME head: it takes no refined FLAME parameters.",
                "Leave out --tracking.",
            )
        return _OwnMotion(folder, first, head)
    timesteps = {folder / frame.param: frame.timestep for frame in frames}
    return FlameMotion(folder, first, head, tracking, timesteps)


class _OwnMotion:
    """``head_param``: expression and matrix, and vertices where they say more."""

    def __init__(self, folder: Path, first: Path, head: str | Path | Head | None) -> None:
        wanted = load_head_param(first).head
        identity = folder / CANONICAL_HEAD
        if isinstance(head, Head):
            self.head = head
        elif head is not None:
            self.head = load_head(head)
        elif wanted == "default":
            self.head = load_head(wanted)
        elif identity.is_file():
            self.head = load_identity(identity)
        else:
            raise BadInputError(
                f"The capture was made with the head '{wanted}'.", "Give its file with --head."
            )

    def check(self, param: Path) -> None:
        self.at(param)

    def expression(self, param: Path) -> Float:
        return load_head_param(param).expression

    def in_the_world(self, param: Path, vertices: torch.Tensor) -> torch.Tensor:
        matrix = torch.from_numpy(load_head_param(param).head_matrix).to(vertices)
        return vertices @ matrix[:3, :3].T + matrix[:3, 3]

    def at(self, param: Path) -> PosedHead:
        stored = load_head_param(param)
        head = self.head
        if stored.head != head.id or stored.expression_names != head.expression_names:
            raise BadInputError(
                f"{param} is for the head '{stored.head}' with "
                f"{len(stored.expression_names)} expressions, not for '{head.id}' with "
                f"{len(head.expression_names)}.",
                "Give the head the capture was made with (--head).",
            )
        vertices = stored.vertices
        if vertices is None:
            vertices = head.deform(stored.expression)
        if vertices.shape != head.template.shape:
            raise BadInputError(
                f"{param} holds {len(vertices)} vertices, the head '{head.id}' has "
                f"{head.vertex_count}.",
                "Give the head the capture was made with (--head).",
            )
        matrix = stored.head_matrix
        world = vertices @ matrix[:3, :3].T + matrix[:3, 3]
        return PosedHead(np.ascontiguousarray(world, np.float32), stored.expression, matrix)


class FlameMotion:
    """``flame_param``: the full FLAME model, with the joints that a linear head has not.

    Args:
        folder: of the capture.
        first: file of any timestep.
        head: the FLAME model's file, or an avatar of a FLAME head.
        tracking: refined parameters.
        timesteps: by parameter file.

    Attributes:
        head: the person, linear.
        model: the full model of the person.
    """

    def __init__(
        self,
        folder: Path,
        first: Path,
        head: str | Path | Head | None,
        tracking: Tracking | None,
        timesteps: Mapping[Path, int],
    ) -> None:
        if head is None or isinstance(head, Head):
            raise BadInputError(f"{folder} is a capture of a FLAME head.", _FLAME_REMEDY)
        if carries_head(head):
            # Another avatar of a FLAME head names the model, too.
            head = flame_file(load_head(head), Path(head).parent)
        self._person = person = load_flame_param(first)
        canonical = folder / CANONICAL
        if canonical.is_file():
            person = _canonical(canonical, person)
        try:
            made = flame_person(head, shape=person.shape, static_offset=person.static_offset[0])
        except BadInputError as error:
            if str(head) in error.message:
                raise
            raise BadInputError(f"{first}: {error.message}", _FLAME_REMEDY) from error
        self._tracking, self._timesteps = tracking, timesteps
        self.model: FlameModel = made.model
        self.head: Head = made.head

    def check(self, param: Path) -> None:
        """See :meth:`HeadMotion.check`."""
        self.stored(param)

    def expression(self, param: Path) -> Float:
        """See :meth:`HeadMotion.expression`."""
        stored = self.stored(param)
        return expression_weights(stored.expr[0], stored.jaw_pose[0])

    def in_the_world(self, param: Path, vertices: torch.Tensor) -> torch.Tensor:
        """See :meth:`HeadMotion.in_the_world`."""
        return in_the_world(self.model, row_of(self.stored(param)), vertices)

    def at(self, param: Path) -> PosedHead:
        """See :meth:`HeadMotion.at`."""
        stored = self.stored(param)
        dynamic = torch.from_numpy(stored.dynamic_offset[0].copy())
        made = posed(self.model, row_of(stored), dynamic if dynamic.any() else None)
        return PosedHead(*(np.ascontiguousarray(part.numpy(), np.float32) for part in made))

    def stored(self, param: Path) -> FlameParam:
        """The parameters of a file, refined where they were.

        Raises:
            BadInputError: as :meth:`check`.
        """
        stored = load_flame_param(param)
        if stored.frames != 1:
            raise BadInputError(
                f"{param} holds {stored.frames} frames, one timestep is expected.",
                "Store the parameters of each timestep in its own file.",
            )
        if not stored.is_person(self._person):
            raise BadInputError(
                f"{param} is of another person than the first timestep: shape or static_offset "
                "differ.",
                "Put one person in a capture.",
            )
        if self._tracking is None:
            return stored
        return self._tracking.at(self._timesteps[param], stored)


def _canonical(path: Path, person: FlameParam) -> FlameParam:
    """The identity of ``canonical_flame_param.npz`` where it has one; its pose is not of use."""
    data = open_npz(path, "Export the capture again.", ("shape", "static_offset"))
    for name in data.names():
        expected = getattr(person, name)
        array = data.numbers(name, expected.shape)
        if np.abs(array - expected).max(initial=0) > _SAME_PERSON:
            raise BadInputError(
                f"{path} is of another person than the timesteps: {name} differs.",
                "Put one person in a capture.",
            )
    return person
