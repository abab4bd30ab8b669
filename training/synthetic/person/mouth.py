# SPDX-License-Identifier: GPL-3.0-or-later
"""Teeth, gums and tongue."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from engine.heads.head import Head
from training.synthetic.person.nodes import Graph
from training.synthetic.person.patterns import noise, step

_ENAMEL = np.array([0.86, 0.775, 0.650])
_NECK = np.array([0.70, 0.575, 0.420])
_EDGE = np.array([0.66, 0.665, 0.650])
_GUM = np.array([0.50, 0.175, 0.155])
_TONGUE = np.array([0.50, 0.185, 0.165])


def mouth_attributes(head: Head, vertices: NDArray[np.intp]) -> dict[str, NDArray[np.float32]]:
    """(N, 4) linear ``albedo`` and (N,) ``enamel``, 1 on teeth, for vertices of the mouth."""
    color = np.zeros((head.vertex_count, 3))
    points = head.template.astype(np.float64)
    x, y, z = points.T
    color[head.regions["upper_gum"]] = color[head.regions["lower_gum"]] = _GUM
    color[head.regions["tongue"]] = _TONGUE
    for row, sign in (("upper_teeth", 1), ("lower_teeth", -1)):
        index = head.regions[row]
        height = sign * y[index]
        height = (height - height.min()) / np.ptp(height)
        tone = _ENAMEL + (_NECK - _ENAMEL) * step(0.45, 0.95, height)[:, None]
        tone += (_EDGE - tone) * (0.55 * step(0.22, 0.0, height))[:, None]
        canine = np.exp(-(((np.abs(x[index]) - 0.0165) / 0.003) ** 2))
        tone *= 1 - 0.06 * canine[:, None] * np.array([0.5, 0.8, 1.4])
        tone *= 1 - 0.05 * (0.5 + 0.5 * noise(points[index], 0.007, 401))[:, None]
        color[index] = tone if sign > 0 else 0.93 * tone
    # Cheeks and lips keep the light from the back of the mouth.
    color *= (0.50 + 0.50 * step(0.066, 0.092, z))[:, None]
    enamel = np.zeros(head.vertex_count)
    enamel[head.regions["teeth"]] = 1
    albedo = np.concatenate([color, np.ones((len(color), 1))], 1)
    values = {"albedo": albedo, "enamel": enamel}
    return {name: value[vertices].astype(np.float32) for name, value in values.items()}


def mouth_material() -> bpy.types.Material:
    """Wet flesh, and enamel that light enters a little."""
    graph = Graph("mouth")
    rest = graph.attribute("rest").outputs["Vector"]
    enamel = graph.attribute("enamel").outputs[2]
    flesh = graph.math("SUBTRACT", 1.0, enamel)
    color = graph.attribute("albedo").outputs["Color"]
    mottled = graph.times(graph.step(graph.noise(rest, 500, 3), 0.4, 0.7), flesh, 0.5)
    color = graph.blend(color, (0.8, 0.62, 0.6), mottled, "MULTIPLY")
    bumps = graph.times(graph.noise(rest, 900, 2), flesh, 0.00030)
    waves = graph.times(graph.noise(rest, 350, 1), enamel, 0.00015)
    shader = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": color,
            "Roughness": graph.add(0.30, graph.times(enamel, -0.05)),
            "Specular IOR Level": 0.5,
            "Subsurface Weight": 0.6,
            "Subsurface Radius": (1.0, 0.7, 0.5),
            "Subsurface Scale": 0.0016,
            "Normal": graph.bump(graph.add(bumps, waves)),
            "Coat Weight": 0.7,
            "Coat Roughness": 0.10,
        },
        subsurface_method="BURLEY",
    )
    return graph.surface(shader)
