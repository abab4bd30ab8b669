# SPDX-License-Identifier: GPL-3.0-or-later
"""Eyeballs: iris, pupil and veins, under a cornea that bulges for reflections only.

A cornea of its own shape would come through closed lids; a coat whose normals bulge reflects the
lamps where a cornea does and needs no room.
"""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from engine.heads.head import Head
from training.synthetic.person.nodes import Graph, Socket

IRIS_RADIUS = 0.0064
PUPIL_RADIUS = 0.0024
_CORNEA = 0.0072
"""Where the cornea's bulge ends, metres off the axis."""


def eye_attributes(head: Head, vertices: NDArray[np.intp]) -> dict[str, NDArray[np.float32]]:
    """(N, 3) ``socket``: each vertex from its own eyeball's centre, the pupil along +Z, metres."""
    rest = head.template[vertices].astype(np.float64)
    socket = np.zeros_like(rest)
    for side in (rest[:, 0] > 0, rest[:, 0] <= 0):
        ball = rest[side]
        socket[side] = ball - (ball.min(0) + ball.max(0)) / 2
    return {"socket": socket.astype(np.float32)}


def eye_material() -> bpy.types.Material:
    """Sclera, iris and pupil, wet."""
    graph = Graph("eyes")
    socket = graph.attribute("socket").outputs["Vector"]
    flat = graph.vector("MULTIPLY", socket, (1, 1, 0))
    behind = graph.step(graph.vector("DOT_PRODUCT", socket, (0, 0, 1)), 0.002, -0.002)
    off_axis = graph.add(graph.vector("LENGTH", flat), graph.times(behind, 0.02))
    wobble = graph.times(graph.add(graph.noise(socket, 900, 1), -0.5), 0.0005)
    radius = graph.add(off_axis, wobble)
    iris_share = graph.step(radius, IRIS_RADIUS + 0.0003, IRIS_RADIUS - 0.0004)
    color = graph.blend(_sclera(graph, socket, off_axis), _iris(graph, flat, radius), iris_share)
    pupil = graph.step(radius, PUPIL_RADIUS + 0.0002, PUPIL_RADIUS - 0.0002)
    color = graph.blend(color, (0.002, 0.002, 0.002), pupil)
    # The iris is a shallow bowl behind the cornea: the lamp's far side of it lights up.
    bowl = graph.times(graph.math("POWER", off_axis, 2.0), 38.0, iris_share)
    rise = graph.times(
        graph.step(off_axis, _CORNEA + 0.0008, _CORNEA - 0.0035),
        graph.math("SUBTRACT", _CORNEA**2, graph.math("POWER", off_axis, 2.0)),
        34.0,
    )
    ripple = graph.times(
        graph.noise(socket, 260, 2), 0.00010, graph.math("SUBTRACT", 1.0, iris_share)
    )
    shader = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": color,
            "Roughness": 0.35,
            "Specular IOR Level": 0.3,
            "Subsurface Weight": graph.times(0.5, graph.math("SUBTRACT", 1.0, iris_share)),
            "Subsurface Radius": (1.0, 0.5, 0.35),
            "Subsurface Scale": 0.002,
            "Normal": graph.bump(bowl),
            "Coat Weight": 1.0,
            "Coat Roughness": 0.03,
            "Coat IOR": 1.376,
            "Coat Normal": graph.bump(graph.add(rise, ripple)),
        },
        subsurface_method="BURLEY",
    )
    return graph.surface(shader)


def _sclera(graph: Graph, socket: Socket, off_axis: Socket) -> Socket:
    color = graph.blend(
        (0.76, 0.71, 0.67),
        (0.62, 0.36, 0.31),
        graph.times(graph.step(off_axis, 0.0085, 0.0150), 0.75),
    )
    warped = graph.node(
        "TexNoise", {"Vector": socket, "Scale": 170.0, "Detail": 4.0, "Distortion": 1.5}
    ).outputs[0]
    ridge = graph.math("ABSOLUTE", graph.add(warped, -0.5))
    vein = graph.times(graph.step(ridge, 0.018, 0.002), graph.step(off_axis, 0.0070, 0.0130), 0.55)
    return graph.blend(color, (0.55, 0.16, 0.13), vein)


def _iris(graph: Graph, flat: Socket, radius: Socket) -> Socket:
    """Fibres from pupil to rim, a warm collarette, a dark limbal ring."""
    unit = graph.vector("NORMALIZE", flat)
    across = graph.node("CombineXYZ", {2: graph.times(radius, 260.0)}).outputs[0]
    along = graph.vector("ADD", graph.vector("MULTIPLY", unit, (9, 9, 9)), across)
    fibres = graph.noise(along, 1.0, 3)
    share = graph.times(radius, 1 / IRIS_RADIUS)
    color = graph.blend((0.120, 0.068, 0.028), (0.075, 0.105, 0.105), graph.step(share, 0.42, 0.70))
    color = graph.blend(
        color, (0.23, 0.25, 0.23), graph.times(graph.step(fibres, 0.48, 0.68), 0.55)
    )
    color = graph.blend(
        color, (0.030, 0.032, 0.032), graph.times(graph.step(fibres, 0.45, 0.28), 0.6)
    )
    return graph.blend(
        color, (0.016, 0.020, 0.023), graph.times(graph.step(share, 0.76, 1.0), 0.95)
    )
