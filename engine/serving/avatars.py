# SPDX-License-Identifier: GPL-3.0-or-later
"""``avatar.load`` and ``avatar.render``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from engine.core.errors import BadInputError
from engine.core.progress import subprogress
from engine.serving.cache import Cache, Heads, file_key
from engine.serving.request import Params, Reply, Request

if TYPE_CHECKING:
    from engine.avatar import AvatarPipeline
    from engine.splatting.backend import Backend, Splats
    from engine.splatting.camera import Camera

DEVICE_VARIABLE = "GAUSSIANSPEECH_DEVICE"
"""``auto``, ``cuda`` or ``cpu``; the add-on sets it from its preferences."""

MAX_PIXELS = 1 << 27
"""Pixels of the largest picture: three float32 colours of it fit into a message."""

_BACKENDS = {"auto": "auto", "cuda": "gsplat", "cpu": "cpu"}


class AvatarMethods:
    """Methods about avatars.

    Args:
        heads: the loaded ones.
    """

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._cache: Cache[AvatarPipeline] = Cache()
        self._sources: dict[str, tuple[str, str]] = {}
        self._backend: Backend | None = None

    def load(self, request: Request) -> Reply:
        """Load an avatar for a head."""
        source = request.params.text("avatar", "default")
        head = request.params.text("head", "default")
        request.params.no_others()
        request.progress(0.0, "loading the avatar")
        avatar = self._get(source, head).avatar
        # Compiled once per machine: better under this progress than in the first picture.
        from engine.avatar.kernels import warm_up

        warm_up(self._rasteriser(), subprogress(request.progress, 0.2, 1.0))
        identity = f"{source}|{head}"
        self._sources[identity] = (source, head)
        return Reply({"id": identity, "gaussians": avatar.count, "head": avatar.head})

    def render(self, request: Request) -> Reply:
        """One picture of any number of avatars, which hide each other where they should."""
        import torch

        from engine.splatting.transfer import Download, uploaded

        started = time.perf_counter()
        params = request.params
        camera = _camera(params.group("camera"))
        background = params.numbers("background", 3, None)
        items = params.groups("items")
        params.no_others()
        rasteriser = self._rasteriser()
        with torch.inference_mode():
            parts = []
            for index, item in enumerate(items):
                made = self._splats(request, index, item, camera)
                # An avatar that is in the scene twice puts its next splats where these are.
                parts.append(made if len(items) == 1 else _copied(made))
            splats = _joined(parts)
            request.progress(0.3, "splatting")
            behind = None if background is None else uploaded(background, rasteriser.device)
            image = rasteriser.render(splats, camera, behind)
            down = Download(*image)
        arrays = dict(zip(("rgb", "alpha", "depth"), down.arrays(), strict=True))
        body = {"seconds": time.perf_counter() - started, "gaussians": len(splats.means)}
        return Reply(body, arrays)

    def _splats(self, request: Request, index: int, item: Params, camera: Camera) -> Splats:
        identity = item.text("avatar")
        matrix = item.numbers("matrix", 16).reshape(4, 4)
        item.no_others()
        if identity not in self._sources:
            raise BadInputError(
                f"The avatar {identity!r} is not loaded.", "Load it with avatar.load first."
            )
        pipeline = self._get(*self._sources[identity])
        vertices = request.floats(f"vertices/{index}", (pipeline.avatar.vertex_count, 3))
        name = f"expression/{index}"
        expression = request.floats(name, (None,)) if name in request.arrays else None
        request.progress(0.1, "placing the Gaussians")
        return pipeline.splats(vertices, expression, matrix, camera.viewpoint)

    def _get(self, source: str, head: str) -> AvatarPipeline:
        from engine.avatar import AvatarPipeline, load_avatar

        def made() -> AvatarPipeline:
            return AvatarPipeline(
                load_avatar(source, self._heads.get(head)), self._rasteriser().device
            )

        return self._cache.get((file_key(source), file_key(head)), made)

    def _rasteriser(self) -> Backend:
        from engine.splatting.registry import choose_backend

        if self._backend is None:
            device = os.environ.get(DEVICE_VARIABLE, "auto").lower()
            if device not in _BACKENDS:
                raise BadInputError(
                    f"{DEVICE_VARIABLE} is {device!r}.", f"Use one of: {', '.join(_BACKENDS)}."
                )
            self._backend = choose_backend(_BACKENDS[device])
        return self._backend


def _camera(params: Params) -> Camera:
    from engine.splatting.camera import Camera

    width, height = (round(params.number(name)) for name in ("width", "height"))
    if width < 1 or height < 1 or width * height > MAX_PIXELS:
        raise BadInputError(
            f"A picture of {width} × {height} pixels cannot be rendered.",
            "Choose a smaller resolution.",
        )
    camera = Camera(
        viewmat=params.numbers("viewmat", 16).reshape(4, 4),
        K=params.numbers("K", 9).reshape(3, 3),
        width=width,
        height=height,
        near=params.number("near", 0.01),
        far=params.number("far", 1e10),
        orthographic=params.flag("orthographic", default=False),
    )
    params.no_others()
    return camera


def _copied(splats: Splats) -> Splats:
    from engine.splatting.backend import Splats

    return Splats(*(tensor.clone() for tensor in splats))


def _joined(parts: list[Splats]) -> Splats:
    import torch

    from engine.splatting.backend import Splats

    if not parts:
        empty = torch.zeros(0, 3)
        return Splats(empty, torch.zeros(0, 4), empty, torch.zeros(0), empty)
    if len(parts) == 1:
        return parts[0]
    return Splats(*(torch.cat(tensors) for tensors in zip(*parts, strict=True)))
