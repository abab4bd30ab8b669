# SPDX-License-Identifier: GPL-3.0-or-later
"""An engine in the test's own process that draws each head as a soft disc facing the camera.

Simple enough to know every pixel by hand: colour, alpha, planar depth and outline.
"""

from __future__ import annotations

import threading
from types import SimpleNamespace

import numpy as np

COLOR = np.array([0.75, 0.5, 0.25], np.float32)
"""Display-referred sRGB of every disc."""


class Answer:
    """A finished request."""

    def __init__(self, body=None, arrays=None, error=None):
        self._reply = SimpleNamespace(body=body or {}, arrays=arrays or {})
        self._error = error
        self.done = True

    def poll(self):
        return 1.0, ""

    def wait(self, timeout):
        return True

    def cancel(self):
        pass

    def result(self, timeout=None):
        if self._error is not None:
            raise self._error
        return self._reply


class DiscEngine:
    """Answers the avatar methods of docs/protocol.md; keeps the requests it was sent."""

    softness = 4.0
    """Pixels in which a disc's edge fades."""

    def __init__(self, opacity=1.0):
        self.opacity = opacity
        self.requests = []
        self.error = None
        self.thread_names = set()

    def request(self, method, params=None, arrays=None):
        self.requests.append((method, params, arrays))
        self.thread_names.add(threading.current_thread().name)
        if self.error is not None and method == "avatar.render":
            return Answer(error=self.error)
        assert (method, params["output"]) == ("avatar.render", "float32")
        rgb, alpha, depth = self._render(params, arrays)
        body = {"seconds": 0.01, "gaussians": len(params["items"])}
        return Answer(body, {"rgb": rgb, "alpha": alpha, "depth": depth})

    def last(self, method):
        return next(entry for entry in reversed(self.requests) if entry[0] == method)

    def _render(self, params, arrays):
        camera = params["camera"]
        width, height = camera["width"], camera["height"]
        viewmat = np.reshape(camera["viewmat"], (4, 4))
        K = np.reshape(camera["K"], (3, 3))
        v, u = np.mgrid[0:height, 0:width] + 0.5
        color = np.zeros((height, width, 3))
        through = np.ones((height, width))
        depth = np.zeros((height, width))
        discs = []
        for index, item in enumerate(params["items"]):
            matrix = viewmat @ np.reshape(item["matrix"], (4, 4))
            points = arrays[f"vertices/{index}"] @ matrix[:3, :3].T + matrix[:3, 3]
            center = points.mean(0)
            discs.append((center, np.linalg.norm(points - center, axis=1).max()))
        for (x, y, z), radius in sorted(discs, key=lambda disc: disc[0][2]):
            scale = 1.0 if camera["orthographic"] else z
            distance = np.hypot(
                u - (K[0, 0] * x / scale + K[0, 2]), v - (K[1, 1] * y / scale + K[1, 2])
            )
            edge = K[0, 0] * radius / scale
            alpha = self.opacity * np.clip((edge - distance) / self.softness + 0.5, 0, 1)
            color += (through * alpha)[..., None] * COLOR
            depth += through * alpha * z
            through *= 1 - alpha
        alpha = 1 - through
        depth = np.divide(depth, alpha, out=np.zeros_like(depth), where=alpha > 0)
        return color.astype(np.float32), alpha.astype(np.float32), depth.astype(np.float32)
