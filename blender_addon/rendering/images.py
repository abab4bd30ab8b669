# SPDX-License-Identifier: GPL-3.0-or-later
"""Asking the engine for one image of the avatars in a scene. No ``bpy`` calls.

Runs in the render thread for F12 and in a thread of its own for the viewport.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError, GaussianSpeechError
from ...engine.core.protocol import Message
from ..engine_link.client import EngineClient
from ..engine_link.future import EngineFuture
from .camera import ViewCamera
from .instances import AvatarInstance, expression

Float = NDArray[np.float32]
Wait = Callable[[EngineFuture], Message]
"""Waits for a request in the caller's own way (progress, cancel) and returns or raises its end."""


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


_expression_names: WeakKeyDictionary[EngineClient, dict[str, list[str]]] = WeakKeyDictionary()
"""Names of each head's expressions, asked once of each engine."""


def render_image(
    engine: EngineClient, instances: Sequence[AvatarInstance], camera: ViewCamera, wait: Wait
) -> RenderedImage:
    """Render the instances through the camera, over nothing.

    Raises:
        GaussianSpeechError: what the engine answered, naming the head where there is one.
    """
    items: list[dict[str, Any]] = []
    arrays: dict[str, NDArray[Any]] = {}
    for index, instance in enumerate(instances):
        avatar = load_avatar(engine, instance.avatar, instance.head, wait)
        items.append(
            {
                "avatar": avatar["id"],
                "matrix": [float(value) for value in instance.matrix.reshape(-1)],
            }
        )
        arrays[f"vertices/{index}"] = instance.vertices
        weights = expression(instance, expression_names(engine, instance.head, wait))
        if weights is not None:
            arrays[f"expression/{index}"] = weights
    params = {"items": items, "camera": camera.body(), "background": None}
    try:
        reply = wait(engine.request("avatar.render", params, arrays))
    except BadInputError as error:
        if len(instances) == 1:
            raise BadInputError(f"'{instances[0].name}': {error.message}", error.hint) from error
        raise
    return _picture(reply, camera)


def load_avatar(engine: EngineClient, avatar: str, head: str, wait: Wait) -> Mapping[str, Any]:
    """Have the engine load an avatar for a head: ``id``, ``gaussians``, ``head``.

    Raises:
        GaussianSpeechError: no such file, not an avatar, or one for another head.
    """
    return wait(engine.request("avatar.load", {"avatar": avatar, "head": head})).body


def expression_names(engine: EngineClient, head: str, wait: Wait) -> list[str]:
    """Names of a head's expressions in the order of its basis."""
    known = _expression_names.setdefault(engine, {})
    if head not in known:
        body = wait(engine.request("head.load", {"head": head})).body
        known[head] = list(body["expression_names"])
    return known[head]


def _picture(reply: Message, camera: ViewCamera) -> RenderedImage:
    size = (camera.height, camera.width)
    shapes = {"rgb": (*size, 3), "alpha": size, "depth": size}
    for name, shape in shapes.items():
        if name not in reply.arrays or reply.arrays[name].shape != shape:
            raise GaussianSpeechError(
                f"The engine's picture has no {name} of shape {shape}.",
                "Restart the engine; its version may differ from the add-on's.",
            )
    return RenderedImage(
        **{name: np.asarray(reply.arrays[name], np.float32) for name in shapes},
        seconds=float(reply.body.get("seconds", 0.0)),
        gaussians=int(reply.body.get("gaussians", 0)),
    )
