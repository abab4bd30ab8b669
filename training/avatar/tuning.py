# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a capture is refined while the avatar learns: FLAME's parameters, the cameras' colours.

A tracker is out by millimetres, and differently at each timestep: Gaussians that follow its mesh
blur. As in GaussianAvatars (Qian et al., CVPR 2024), expression, pose and translation of every
timestep learn together with the Gaussians, each at its own rate. Cameras that differ get an affine
map of colours each, identity on average over them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np
import torch
from torch import Tensor

from engine.core.errors import BadInputError
from engine.heads.flame import expression_weights
from engine.heads.flame_param import MOVING, FlameParam
from engine.splatting.backend import Image
from training.avatar.config import Tuning
from training.avatar.row_adam import RowAdam
from training.avatar.tuning_video import END, TunedVideo
from training.data.flame_tracking import CAMERAS_TUNED
from training.data.multiview import MultiViewCapture, View
from training.data.posed_flame import posed

_SIZES = {
    "expr": 100,
    "rotation": 3,
    "neck_pose": 3,
    "jaw_pose": 3,
    "eyes_pose": 6,
    "translation": 3,
}


class TunedTracking:
    """FLAME's parameters of a capture's training timesteps, as they are refined.

    Args:
        capture: of a FLAME head.
        settings: the rates.
        device: where the avatar is.

    Attributes:
        adam: of the corrections, a row for each timestep.
        timesteps: of the rows.
    """

    def __init__(
        self, capture: MultiViewCapture, settings: Tuning, device: torch.device | str
    ) -> None:
        flame = capture.flame
        if flame is None:
            raise BadInputError(
                f"{capture.folder} is no capture of a FLAME head: there is nothing to refine.",
                "Give --no-tune-tracking.",
            )
        self._model, self._device = flame.model, torch.device(device)
        files = {frame.timestep: frame.param for frame in capture.split("train").frames}
        self.timesteps = sorted(files)
        self._row = {step: row for row, step in enumerate(self.timesteps)}
        params = [flame.stored(capture.folder / files[step]) for step in self.timesteps]
        self._stored = replace(
            params[0],
            dynamic_offset=np.concatenate([param.dynamic_offset for param in params])
            if any(param.dynamic_offset.any() for param in params)
            else np.broadcast_to(np.float32(0), (len(params), *params[0].dynamic_offset.shape[1:])),
            **{name: np.concatenate([getattr(p, name) for p in params]) for name in MOVING},
        )
        rate = {"expr": settings.expression_rate, "translation": settings.translation_rate}
        rates = [rate.get(name, settings.pose_rate) for name in MOVING for _ in range(_SIZES[name])]
        rows = torch.zeros(len(params), len(rates), device=device, requires_grad=True)
        self.adam = RowAdam(rows, torch.tensor(rates, device=device))
        self._base = torch.from_numpy(
            np.concatenate([getattr(self._stored, name) for name in MOVING], 1)
        ).to(device)

    def refined(self, view: View) -> View:
        """A view with the head as it is refined by now; one of another timestep stays as it is.

        The vertices are differentiable; ψ of the colours is not, for a wrong colour is no reason to
        move a face.
        """
        row = self._row.get(view.timestep)
        if row is None:
            return view
        values = self._values(self._base[row] + self.adam.rows[row])
        offset = self._stored.dynamic_offset[row]
        dynamic = torch.from_numpy(offset.copy()) if offset.any() else None
        made = posed(self._model, values, dynamic)
        return replace(
            view,
            vertices=made.vertices,
            expression=made.expression.detach(),
            head_matrix=made.head_matrix.detach(),
        )

    def param(self) -> FlameParam:
        """The refined parameters, one frame for each of :attr:`timesteps`."""
        values = (self._base + self.adam.rows.detach()).cpu().numpy()
        ends = np.cumsum([_SIZES[name] for name in MOVING])
        arrays = dict(zip(MOVING, np.split(values, ends[:-1], axis=1), strict=True))
        return replace(
            self._stored,
            **{name: np.ascontiguousarray(array, np.float32) for name, array in arrays.items()},
        )

    @torch.no_grad()
    def shift(self) -> float:
        """Mean distance by which vertices were moved, over the timesteps, metres."""
        moved = 0.0
        for row, base in enumerate(self._base):
            both = [
                posed(self._model, self._values(values)).vertices
                for values in (base, base + self.adam.rows[row])
            ]
            moved += float((both[0] - both[1]).norm(dim=-1).mean())
        return moved / len(self._base)

    def _values(self, row: Tensor) -> dict[str, Tensor]:
        return dict(zip(MOVING, torch.split(row, [_SIZES[name] for name in MOVING]), strict=True))

    def expressions(self) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        """(T, E) refined expressions in the order of the head's."""
        param = self.param()
        return expression_weights(param.expr, param.jaw_pose)  # type: ignore[return-value]


class TunedCameras:
    """An affine map of colours for each camera that is trained on.

    Args:
        capture: the pictures.
        settings: the rate.
        device: where the avatar is.

    Attributes:
        adam: of the maps' differences from identity, 12 numbers for each camera.
    """

    def __init__(
        self, capture: MultiViewCapture, settings: Tuning, device: torch.device | str
    ) -> None:
        names = sorted({frame.camera_id for frame in capture.split("train").frames})
        self._row = {name: row for row, name in enumerate(names)}
        rows = torch.zeros(len(names), 12, device=device, requires_grad=True)
        self.adam = RowAdam(rows, torch.full((12,), settings.camera_rate, device=device))

    def seen_by(self, camera_id: str, image: Image, backdrop: Tensor) -> Image:
        """What a camera makes of a picture of the avatar; what is behind it stays.

        Args:
            camera_id: the camera; one that is not trained on sees the picture as it is: by the mean
                of the maps, which is identity.
            image: over the backdrop.
            backdrop: (3,).
        """
        row = self._row.get(camera_id)
        if row is None:
            return image
        change = self.adam.rows[row].view(3, 4)
        alpha = image.alpha[..., None]
        person = image.rgb - (1 - alpha) * backdrop
        return image._replace(rgb=image.rgb + person @ change[:, :3].T + alpha * change[:, 3])

    def step(self, factor: float) -> None:
        """A step, after which the mean over the cameras is identity."""
        self.adam.step(factor)
        with torch.no_grad():
            self.adam.rows -= self.adam.rows.mean(0)

    def maps(self) -> dict[str, list[list[float]]]:
        """(3, 4) affine map by camera."""
        found = torch.eye(3, 4) + self.adam.rows.detach().cpu().view(-1, 3, 4)
        return {name: found[row].tolist() for name, row in self._row.items()}


class CaptureTuning:
    """All that is refined of a capture; what is not wanted, or cannot be, is ``None``.

    Args:
        capture: the pictures.
        settings: what, and how fast.
        device: where the avatar is.

    Attributes:
        video: identity and poses of a tracked video; set where those are refined.
    """

    def __init__(
        self,
        capture: MultiViewCapture,
        settings: Tuning,
        device: torch.device | str,
    ) -> None:
        real = capture.flame is not None
        self.tracking = (
            TunedTracking(capture, settings, device) if settings.tune_tracking and real else None
        )
        self.cameras = (
            TunedCameras(capture, settings, device) if settings.tune_cameras and real else None
        )
        self.video: TunedVideo | None = None

    @property
    def names(self) -> list[str]:
        """What is refined, in words."""
        parts = {
            "tracking": self.tracking or self.video,
            CAMERAS_TUNED: self.cameras,
        }
        return [name for name, part in parts.items() if part is not None]

    @property
    def adams(self) -> list[RowAdam]:
        """The optimisers of what is refined."""
        found = [part.adam for part in (self.tracking, self.cameras) if part is not None]
        return found + ([] if self.video is None else self.video.adams)

    def refined(self, view: View) -> View:
        """A view with the head as it is refined by now."""
        part = self.tracking or self.video
        return view if part is None else part.refined(view)

    def step(self, part: float) -> None:
        """A step of all, of whose rates :data:`~training.avatar.tuning_video.END` is left at last.

        Args:
            part: of the schedule that is over, 0 to 1.
        """
        if self.tracking is not None:
            self.tracking.adam.step(END**part)
        if self.cameras is not None:
            self.cameras.step(END**part)
        if self.video is not None:
            self.video.step(part)

    def state(self) -> list[list[Tensor]]:
        """What :meth:`restore` continues from."""
        return [adam.state() for adam in self.adams]

    def restore(self, state: Sequence[Sequence[Tensor]]) -> None:
        """Continue from a state."""
        for adam, held in zip(self.adams, state, strict=True):
            adam.restore(held)


class RefinedViews(Sequence[View]):
    """Views with the head as it is refined by now.

    Args:
        views: as the tracker left them.
        tuning: what is refined.
    """

    def __init__(self, views: Sequence[View], tuning: CaptureTuning) -> None:
        self._views, self._tuning = views, tuning

    def __len__(self) -> int:
        return len(self._views)

    @overload
    def __getitem__(self, index: int) -> View: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[View]: ...

    @torch.no_grad()
    def __getitem__(self, index: int | slice) -> View | Sequence[View]:
        if isinstance(index, slice):
            return RefinedViews(self._views[index], self._tuning)
        return self._tuning.refined(self._views[index])
