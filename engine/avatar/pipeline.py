# SPDX-License-Identifier: GPL-3.0-or-later
"""From a head's vertices to splats on the device that renders them.

Of a frame only what changes goes up, in one copy: the evaluated vertices (100 kB), the expression,
the object's matrix and the eye. What does not change lies on the device: indices, activated
attributes, the latent part of the colour network (:meth:`GaussianAvatar.activated`). Nothing waits
for the device; the one wait of a frame is that for its picture
(:class:`engine.splatting.transfer.Download`).

On CUDA the operations between, some sixty small ones, are captured once as a CUDA graph and
replayed as one launch: sizes are fixed, no operation waits for the host, and the results stand in
the same memory each time. Where the capture fails they run one by one, with the same results.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import torch

from engine.avatar.gaussian_avatar import Frame, GaussianAvatar, check_mesh, into_head, splats_of
from engine.core.arrays import Float
from engine.splatting.backend import Splats
from engine.splatting.transfer import upload

Layout = tuple[tuple[int, ...] | None, ...]
"""Shapes of what :class:`Frame` holds, ``None`` for what it leaves out."""

_LOG = logging.getLogger(__name__)
_WARM_UPS = 3
"""Runs before the capture, for libraries that set themselves up when they are first used."""


class AvatarPipeline:
    """Splats of one avatar, frame after frame, for pictures: without gradients.

    Args:
        avatar: the avatar; it is copied to the device.
        device: that of the backend which renders it.
        graph: capture the operations where the device is CUDA.
    """

    def __init__(
        self, avatar: GaussianAvatar, device: torch.device | str, *, graph: bool = True
    ) -> None:
        self.avatar = avatar.to(device)
        self._graph = graph and self.avatar.device.type == "cuda"
        self._captured: dict[Layout, CapturedSplats] = {}

    @torch.inference_mode()
    def splats(
        self,
        vertices: Float,
        expression: Float | None = None,
        matrix: Float | None = None,
        eye: Float | None = None,
    ) -> Splats:
        """The splats of one frame, on the device.

        They are to be rendered, or copied, before the next frame is asked for: on CUDA that one
        takes their memory.

        Args:
            vertices: (V, 3) the head's vertices, head space, metres.
            expression: (E,) ψ for the colours; ``None`` for neutral.
            matrix: (4, 4) head space to world; ``None`` for the identity.
            eye: (3,) where the rays come from, world space (``Camera.viewpoint``); ``None`` leaves
                the view-dependent part of the colours out.

        Raises:
            BadInputError: another number of vertices than the avatar's head has, an expression of
                another size than its colours take, or a matrix that flattens space.
        """
        check_mesh(self.avatar, vertices.shape)
        to_head = None
        if matrix is not None and eye is not None:
            # Inverted on the host: nine numbers, and a singular matrix is found without a wait.
            to_head = into_head(torch.from_numpy(np.array(matrix, np.float64))).numpy()
        parts = (vertices, expression, matrix, to_head, eye)
        layout = tuple(None if part is None else np.shape(part) for part in parts)
        flat = [np.asarray(part, np.float32).reshape(-1) for part in parts if part is not None]
        packed = upload(np.concatenate(flat), self.avatar.device)
        if self._graph:
            try:
                if layout not in self._captured:
                    self._captured[layout] = CapturedSplats(self.avatar, packed, layout)
                return self._captured[layout](packed)
            except torch.cuda.OutOfMemoryError:
                raise
            except RuntimeError as error:
                _LOG.warning("Frames are made without a CUDA graph: %s", error)
                self._graph = False
        return splats_of(self.avatar, unpacked(packed, layout))


class CapturedSplats:
    """The operations of :func:`splats_of` as a CUDA graph.

    Args:
        avatar: on a CUDA device.
        packed: what changes, as :func:`unpacked` takes it.
        layout: its shapes, the same for every frame.

    Raises:
        RuntimeError: they cannot be captured.
        BadInputError: as :func:`splats_of`.
    """

    def __init__(self, avatar: GaussianAvatar, packed: torch.Tensor, layout: Layout) -> None:
        self._packed = packed.clone()
        frame = unpacked(self._packed, layout)
        stream = torch.cuda.current_stream(avatar.device)
        beside = torch.cuda.Stream(avatar.device)  # type: ignore[no-untyped-call]
        beside.wait_stream(stream)
        with torch.cuda.stream(beside):
            for _ in range(_WARM_UPS):
                splats_of(avatar, frame)
        stream.wait_stream(beside)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.device(avatar.device), torch.cuda.graph(self._graph):
            self._splats = splats_of(avatar, frame)

    def __call__(self, packed: torch.Tensor) -> Splats:
        """The splats of a frame, in the memory of those of the frame before."""
        self._packed.copy_(packed)
        self._graph.replay()
        return self._splats


def unpacked(packed: torch.Tensor, layout: Layout) -> Frame:
    """Views of a frame's parts in the one tensor that was copied to the device."""
    sizes = [0 if shape is None else int(np.prod(shape)) for shape in layout]

    def parts() -> Iterator[torch.Tensor | None]:
        for shape, (start, stop) in zip(layout, pairwise(np.cumsum([0, *sizes])), strict=True):
            yield None if shape is None else packed[start:stop].view(shape)

    vertices, expression, matrix, to_head, eye = parts()
    assert vertices is not None
    return Frame(vertices, expression, matrix, to_head, eye)
