# SPDX-License-Identifier: GPL-3.0-or-later
"""What landmarks say of a person on video, refined by the pictures while an avatar learns.

A detector is wrong about one face in all frames alike, and a little differently in each. Pictures
know better: one avatar has to explain them all. So the shape of the face, shared by all frames,
and the pose of each learn together with the colours of Gaussians that stay where they are on the
mesh: those that may leave it make up for a wrong shape themselves. A single camera leaves much
open, so poses are corrected a little (a prior about what the landmarks gave), and slowly in time.
Expressions stay what the landmarks said: learned with the rest, those of the mouth became worse.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.core.arrays import Double
from engine.heads.shape_basis import LARGEST
from engine.heads.shaped_head import shaped_head
from engine.heads.skinning import rotation_matrices
from training.avatar.config import AvatarSettings
from training.avatar.row_adam import RowAdam
from training.data.multiview import MultiViewCapture, View
from training.tracking.identity_space import default_space
from training.tracking.refined_capture import RefinedMotion, filmed_at

_REACH_SHAPE, _REACH_TURN, _REACH_SHIFT = 8.0, 0.04, 0.006
"""How far a training may go at most: standard deviations, radians, metres."""
_BEGIN = 0.3
"""Part of the schedule after which anything moves: before, pictures and avatar differ for other
reasons than a face that is elsewhere."""
_VISITS = 10.0
"""How often pictures are seen before poses may go so far: less often, steps stay as short."""
_ENOUGH, _FEWEST = 12, 48
"""How often pictures of a long video are to be seen, of which fewer are trained on then, and how
many are in any case."""
END = 0.1
"""Part of the rates of what is refined that is left at the end."""
_DEVIATION_SHAPE, _DEVIATION_TURN, _DEVIATION_SHIFT = 1.0, 0.03, 0.005
"""Deviations of the landmarks' errors, in those units."""
_CHANGE = 0.3
"""Deviation of a correction's change between frames at 25 a second, in those deviations."""
_TOGETHER = 0.3
"""Seconds up to which frames are neighbours in time."""
_RATE = 25.0
_CERTAIN = 3e-4
"""Weight of the prior beside a picture's loss, which is a mean over its pixels: as if a picture had
some hundred independent ones, wrong by a twentieth. What pulls less than the prior does at its
deviation is noise for the most part."""
_CERTAIN_SHAPE = 1e-5
"""The same of the shape, which all pictures tell of and no noise of single ones moves."""


def refined_pictures(settings: AvatarSettings) -> int:
    """How many pictures a training of these settings refines at most; the others follow them."""
    return max(_FEWEST, settings.steps * settings.views // _ENOUGH)


class TunedVideo:
    """Identity of the head of a tracked video, and poses of its pictures.

    Args:
        capture: of ``gaussianspeech track``, with the default head; all its pictures have a row.
            Corrections of those that are not trained on lie between those of the neighbours in
            their take that are.
        visits: how often a training sees each picture.
        device: where the avatar is.

    Attributes:
        frames: optimiser of the corrections of turn (head space) and shift (the capture's world), a
            row for each timestep.
        shape: of the corrections of the identity's coefficients, one row.
    """

    def __init__(
        self, capture: MultiViewCapture, visits: float, device: torch.device | str
    ) -> None:
        at, moved = filmed_at(capture.folder), capture.poses()
        self._head, self._space = capture.head, default_space()
        self.timesteps = sorted(moved)
        self._row = {step: row for row, step in enumerate(self.timesteps)}

        def on_device(array: object) -> Tensor:
            return torch.from_numpy(np.array(array, np.float32)).to(device)

        self._expression = on_device([moved[step].expression for step in self.timesteps])
        self._matrix = on_device([moved[step].head_matrix for step in self.timesteps])
        head, space = self._head, self._space
        parts = len(space.basis)
        self._template = on_device(head.template)
        self._moving = on_device(head.expression_basis.reshape(len(head.expression_names), -1))
        self._shapes = on_device(space.basis.reshape(parts, -1))
        self._pivot = self._template[head.regions["face"]].mean(0)

        def by_part(*values: float) -> Tensor:
            return on_device(np.repeat(values, 3))

        mean = (END**_BEGIN - END) / -np.log(END)
        steps = 1 / (mean * max(visits, _VISITS))
        rates = steps * by_part(_REACH_TURN, _REACH_SHIFT)
        self._deviation = by_part(_DEVIATION_TURN, _DEVIATION_SHIFT)
        self.frames = RowAdam(_zeros(len(moved), 6, device), rates, _CERTAIN / self._deviation)
        every = torch.full((parts,), _REACH_SHAPE * steps / len(moved), device=device)
        least = torch.full((parts,), _CERTAIN_SHAPE / _DEVIATION_SHAPE, device=device)
        self.shape = RowAdam(_zeros(1, parts, device), every, least)
        other, apart = np.diff([at[step] for step in self.timesteps], axis=0).T
        together = (other == 0) & (apart < _TOGETHER)
        near = np.where(together, 1 / np.maximum(apart * _RATE, 1e-3), 0.0)
        self._near = on_device(near)[:, None]
        trained = {frame.timestep for frame in capture.split("train").frames}
        known = np.array([step in trained for step in self.timesteps])
        takes = np.array([at[step][0] for step in self.timesteps])
        self._between = None if known.all() else on_device(_between(known, takes))

    @property
    def adams(self) -> list[RowAdam]:
        """The optimisers."""
        return [self.frames, self.shape]

    def refined(self, view: View) -> View:
        """A view with the head as it is refined by now; its vertices are differentiable."""
        row = self._row[view.timestep]
        matrix = self._posed(row)
        moved = self.shape.rows[0] @ self._shapes + self._expression[row] @ self._moving
        vertices = self._template + moved.view(-1, 3)
        return replace(
            view,
            vertices=vertices @ matrix[:3, :3].T + matrix[:3, 3],
            head_matrix=matrix.detach(),
        )

    def step(self, part: float) -> None:
        """Go a step along the gradients and the prior's.

        Args:
            part: of the schedule that is over, 0 to 1.
        """
        if part < _BEGIN:
            for adam in self.adams:
                adam.rows.grad = None
            return
        with torch.no_grad():
            self._add_prior()
        for adam in self.adams:
            adam.step(END**part)
        if self._between is not None:
            with torch.no_grad():
                self.frames.rows.copy_(self._between @ self.frames.rows)

    @torch.no_grad()
    def motion(self) -> RefinedMotion:
        """What is refined by now."""
        matrices = torch.stack([self._posed(row) for row in range(len(self.timesteps))])
        head, parts = self._head, self.shape.rows[0].cpu().double().numpy()
        source, known = head.source, self._space.shapes
        shape = parts[:known]
        shape[: len(source.shape)] += source.shape
        offset = np.tensordot(parts[known:], self._space.basis[known:], 1)
        if len(source.static_offset):
            offset = offset + source.static_offset
        person = shaped_head(
            np.clip(shape, -LARGEST, LARGEST).astype(np.float32), offset.astype(np.float32)
        )
        return RefinedMotion(
            person,
            np.array(self.timesteps, np.intp),
            matrices.cpu().numpy(),
        )

    def _posed(self, row: int) -> Tensor:
        """Head space to world, (4, 4), of a row; it turns about the middle of the face."""
        change, before = self.frames.rows[row], self._matrix[row]
        turn = rotation_matrices(change[:3])
        at = before[:3, 3] + before[:3, :3] @ (self._pivot - turn @ self._pivot)
        top = torch.cat([before[:3, :3] @ turn, (at + change[3:])[:, None]], 1)
        return torch.cat([top, before[3:]])

    def _add_prior(self) -> None:
        """To the gradients of the rows that pictures of this step show."""
        rows, gradient = self.frames.rows, self.frames.rows.grad
        if gradient is not None:
            scaled = rows / self._deviation
            pull = scaled.clone()
            change = self._near * (scaled[1:] - scaled[:-1]) / _CHANGE**2
            pull[1:] += change
            pull[:-1] -= change
            seen = (gradient != 0).any(1, keepdim=True)
            gradient += seen * _CERTAIN * pull / self._deviation
        shape, gradient = self.shape.rows, self.shape.rows.grad
        if gradient is not None:
            gradient += _CERTAIN_SHAPE / len(rows) * shape / _DEVIATION_SHAPE**2


def _between(known: NDArray[np.bool_], takes: NDArray[np.intp]) -> Double:
    """(T, T) matrix that interpolates rows between the known ones (T,) of their take (T,).

    Rows of a take without a known one become 0.
    """
    matrix = np.zeros((len(known), len(known)))
    for take in np.unique(takes):
        inside = np.flatnonzero(takes == take)
        given = inside[known[inside]]
        for column, row in zip(np.eye(len(given)), given, strict=True):
            matrix[inside, row] = np.interp(inside, given, column)
    return matrix


def _zeros(rows: int, columns: int, device: torch.device | str) -> Tensor:
    return torch.zeros(rows, columns, device=device, requires_grad=True)
