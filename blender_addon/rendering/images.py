# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the engine for one image of the avatars in a scene. No ``bpy`` calls.

Runs in the render thread for F12 and in a thread of its own for the viewport.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Float
from ...engine.core.errors import BadInputError, GaussianSpeechError
from ...engine.core.protocol import Message
from ...engine.core.srgb import displayed, linear
from ..engine_link.client import EngineClient
from ..engine_link.future import EngineFuture
from .camera import ViewCamera
from .instances import AvatarInstance

Wait = Callable[[EngineFuture], Message]
"""Waits for a request in the caller's own way (progress, cancel); returns its reply or raises."""


@dataclass(frozen=True, eq=False)
class RenderedImage:
    """One rendered view.

    Attributes:
        rgb: (H, W, 3) display-referred sRGB, premultiplied over black; row 0 is the top.
        alpha: (H, W).
        depth: (H, W) planar metres.
        seconds: the engine's own time.
        gaussians: how many were drawn.
    """

    rgb: Float
    alpha: Float
    depth: Float
    seconds: float
    gaussians: int


def render_image(
    engine: EngineClient,
    instances: Sequence[AvatarInstance],
    camera: ViewCamera,
    wait: Wait,
    lens: Mapping[str, float] | None = None,
) -> RenderedImage:
    """Render avatars over nothing, in full precision and with depth.

    Args:
        engine: that renders.
        instances: who.
        camera: from where.
        wait: for the request.
        lens: the ``lens`` of ``avatar.render``, see docs/protocol.md.

    Raises:
        GaussianSpeechError: what the engine answered, naming the head where there is one.
    """
    reply = _render(engine, instances, camera, wait, output="float32", lens=lens)
    size = camera.height, camera.width
    return RenderedImage(
        rgb=_array(reply, "rgb", (*size, 3), np.float32),
        alpha=_array(reply, "alpha", size, np.float32),
        depth=_array(reply, "depth", size, np.float32),
        seconds=float(reply.body.get("seconds", 0.0)),
        gaussians=int(reply.body.get("gaussians", 0)),
    )


def mean_image(images: Sequence[RenderedImage]) -> RenderedImage:
    """The mean of pictures of one size as light adds up; the depth is that of what covers most."""
    if len(images) == 1:
        return images[0]
    cover = np.mean([image.alpha for image in images], axis=0, dtype=np.float32)
    light = np.mean([_light(image) for image in images], axis=0, dtype=np.float32)
    weight = np.maximum(np.sum([image.alpha for image in images], axis=0), 1e-6)
    depth = np.sum([image.depth * image.alpha for image in images], axis=0) / weight
    straight = light / np.maximum(cover, 1e-6)[..., None]
    return RenderedImage(
        rgb=(displayed(straight) * cover[..., None]).astype(np.float32),
        alpha=cover,
        depth=depth.astype(np.float32),
        seconds=sum(image.seconds for image in images),
        gaussians=images[0].gaussians,
    )


def _light(image: RenderedImage) -> Float:
    """Premultiplied scene-linear colours."""
    cover = image.alpha[..., None]
    return linear(image.rgb / np.maximum(cover, 1e-6)) * cover


def render_preview(
    engine: EngineClient, instances: Sequence[AvatarInstance], camera: ViewCamera, wait: Wait
) -> NDArray[np.uint8]:
    """Render avatars over nothing as (H, W, 4) uint8: premultiplied sRGB and alpha, no depth.

    A fifth of :func:`render_image`'s bytes through the pipe: enough for a viewport.

    Raises:
        GaussianSpeechError: what the engine answered, naming the head where there is one.
    """
    reply = _render(engine, instances, camera, wait, output="rgba8")
    return _array(reply, "rgba", (camera.height, camera.width, 4), np.uint8)


def _render(
    engine: EngineClient,
    instances: Sequence[AvatarInstance],
    camera: ViewCamera,
    wait: Wait,
    output: str,
    lens: Mapping[str, float] | None = None,
) -> Message:
    items = [
        {
            "avatar": instance.avatar,
            "head": instance.head,
            "matrix": [float(value) for value in instance.matrix.reshape(-1)],
            "expression": instance.keys,
        }
        for instance in instances
    ]
    params = {"items": items, "camera": camera.body(), "background": None, "output": output}
    if lens is not None:
        params["lens"] = dict(lens)
    arrays = {f"vertices/{index}": each.vertices for index, each in enumerate(instances)}
    try:
        return wait(engine.request("avatar.render", params, arrays))
    except BadInputError as error:
        if len(instances) == 1:
            raise BadInputError(f"'{instances[0].name}': {error.message}", error.hint) from error
        raise


def _array(reply: Message, name: str, shape: tuple[int, ...], kind: type) -> NDArray[Any]:
    array = reply.arrays.get(name)
    if array is None or array.shape != shape or array.dtype != kind:
        raise GaussianSpeechError(
            f"The engine's picture has no {name} of shape {shape}.",
            "Restart the engine; its version may differ from the add-on's.",
        )
    return array
