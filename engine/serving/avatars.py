# SPDX-License-Identifier: GPL-3.0-or-later
"""``avatar.load`` and ``avatar.render``."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject
from engine.core.progress import Progress, subprogress
from engine.serving.cache import Cache, Heads, file_version
from engine.serving.request import Reply, Request

if TYPE_CHECKING:
    import torch

    from engine.avatar import AvatarPipeline
    from engine.splatting.backend import Backend, Image, Splats
    from engine.splatting.camera import Camera

DEVICE_VARIABLE = "GAUSSIANSPEECH_DEVICE"
"""``auto``, ``cuda`` or ``cpu``; the add-on sets it from its preferences."""

MAX_PIXELS = 1 << 27
"""Pixels of the largest picture: three float32 colours of it fit into a message."""

_BACKENDS = {"auto": "auto", "cuda": "gsplat", "cpu": "cpu"}


class AvatarMethods:
    """Methods about avatars.

    Avatars are loaded when they are first named and once more when their file or their head's has
    changed; the rasteriser is made ready with the first of them.

    Args:
        heads: the loaded ones.
    """

    def __init__(self, heads: Heads) -> None:
        self._heads = heads
        self._cache: Cache[AvatarPipeline] = Cache()
        self._backend: Backend | None = None

    def load(self, request: Request) -> Reply:
        """See that an avatar fits a head, and have it ready for its first picture."""
        source = request.params.text("avatar", "default")
        head = request.params.text("head", "default")
        request.params.no_others()
        avatar = self._pipeline(source, head, request.progress).avatar
        return Reply(
            {"gaussians": avatar.count, "head": avatar.head, "warnings": list(avatar.warnings)}
        )

    def render(self, request: Request) -> Reply:
        """One picture of any number of avatars, which hide each other where they should."""
        import torch

        from engine.splatting.transfer import upload

        started = time.perf_counter()
        params = request.params
        camera = _camera(params.group("camera"))
        lens = params.group("lens") if params.values.get("lens") else None
        background = params.numbers("background", 3, None)
        output = params.text("output", "float32")
        if output not in _OUTPUTS:
            raise BadInputError(
                f"{request.method}: 'output' is {output!r}.", f"Use one of: {', '.join(_OUTPUTS)}."
            )
        items = params.groups("items")
        params.no_others()
        rasteriser = self._rasteriser(subprogress(request.progress, 0.0, 0.1))
        with torch.inference_mode():
            parts = []
            for index, item in enumerate(items):
                made = self._splats(request, index, item, camera)
                # An avatar that is in the scene twice puts its next splats where these are.
                parts.append(made if len(items) == 1 else _copied(made))
            splats = _joined(parts)
            request.progress(0.3, "splatting")
            behind = None if background is None else upload(background, rasteriser.device)
            if lens is None:
                image = rasteriser.render(splats, camera, behind)
            else:
                cameras = _lens_cameras(lens, camera)
                image = _mean(request, rasteriser, splats, cameras, behind)
            arrays = _OUTPUTS[output](image)
        body = {"seconds": time.perf_counter() - started, "gaussians": len(splats.means)}
        return Reply(body, arrays)

    def _splats(self, request: Request, index: int, item: JsonObject, camera: Camera) -> Splats:
        source, head_name = item.text("avatar"), item.text("head", "default")
        matrix = item.numbers("matrix", 16).reshape(4, 4)
        values = item.mapping("expression")
        item.no_others()
        pipeline = self._pipeline(source, head_name, subprogress(request.progress, 0.1, 0.2))
        vertices = request.floats(f"vertices/{index}", (pipeline.avatar.vertex_count, 3))
        names = self._heads.get(head_name).expression_names
        expression = None
        if not values.keys().isdisjoint(names):
            expression = np.array([values.get(name, 0.0) for name in names], np.float32)
        request.progress(0.2, "placing the Gaussians")
        return pipeline.splats(vertices, expression, matrix, camera.viewpoint)

    def _pipeline(self, source: str, head: str, progress: Progress) -> AvatarPipeline:
        from engine.avatar import AvatarPipeline, load_avatar

        def made() -> AvatarPipeline:
            progress(0.0, "loading the avatar")
            avatar = load_avatar(source, self._heads.get(head))
            return AvatarPipeline(avatar, self._rasteriser(subprogress(progress, 0.2, 1.0)).device)

        return self._cache.get((source, head), (file_version(source), file_version(head)), made)

    def _rasteriser(self, progress: Progress) -> Backend:
        from engine.avatar.kernels import warm_up
        from engine.splatting.registry import choose_backend

        if self._backend is None:
            device = os.environ.get(DEVICE_VARIABLE, "auto").lower()
            if device not in _BACKENDS:
                raise BadInputError(
                    f"{DEVICE_VARIABLE} is {device!r}.", f"Use one of: {', '.join(_BACKENDS)}."
                )
            backend = choose_backend(_BACKENDS[device])
            # Compiled once per machine and loaded once per process: announced by its own message.
            warm_up(backend, progress)
            self._backend = backend
        return self._backend


def _float32(image: Image) -> dict[str, NDArray[Any]]:
    from engine.splatting.transfer import Download

    return dict(zip(("rgb", "alpha", "depth"), Download(*image).numpy(), strict=True))


def _rgba8(image: Image) -> dict[str, NDArray[Any]]:
    """A fifth of the bytes, for who shows the picture and does nothing else with it."""
    import torch

    from engine.splatting.transfer import Download

    rgba = torch.cat([image.rgb, image.alpha[..., None]], dim=-1)
    (shown,) = Download((rgba.clamp(0, 1) * 255).round().to(torch.uint8)).numpy()
    return {"rgba": shown}


_OUTPUTS = {"float32": _float32, "rgba8": _rgba8}
"""Forms of a picture: what each makes of the rendered image."""


def _camera(params: JsonObject) -> Camera:
    from engine.splatting.camera import Camera

    width, height = (params.whole(name, low=1, high=MAX_PIXELS) for name in ("width", "height"))
    if width * height > MAX_PIXELS:
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


MAX_LENS_SAMPLES = 256
"""Pictures of a picture through a lens."""


def _lens_cameras(params: JsonObject, camera: Camera) -> list[Camera]:
    from engine.splatting.lens import Lens, lens_cameras

    samples = params.whole("samples", low=1, high=MAX_LENS_SAMPLES)
    step = params.whole("step", 1, low=1, high=samples)
    first = params.whole("first", 0, low=0, high=samples) % step
    lens = Lens(radius=params.number("radius"), focus=params.number("focus"))
    params.no_others()
    if not (lens.focus > 0 and lens.radius >= 0) or camera.orthographic:
        raise BadInputError(
            f"A lens of radius {lens.radius:g} m cannot be focused at {lens.focus:g} m.",
            "Use a perspective camera with a focus distance over 0.",
        )
    return lens_cameras(camera, lens, samples, first=first, step=step)


def _mean(
    request: Request,
    rasteriser: Backend,
    splats: Splats,
    cameras: list[Camera],
    behind: torch.Tensor | None,
) -> Image:
    from engine.splatting.lens import mean_in_linear_light

    images = []
    for index, camera in enumerate(cameras):
        request.progress(0.3 + 0.7 * index / len(cameras), "depth of field")
        images.append(rasteriser.render(splats, camera, behind))
    return mean_in_linear_light(images)


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
