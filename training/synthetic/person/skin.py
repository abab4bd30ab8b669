# SPDX-License-Identifier: GPL-3.0-or-later
"""Skin: what varies over the face as vertex attributes, and the material that reads them."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from engine.core.srgb import linear
from engine.heads.head import Head
from training.synthetic.person import furrows
from training.synthetic.person.hair import hair_cover
from training.synthetic.person.nodes import Graph, Socket
from training.synthetic.person.palette import mouth_interior, oil, skin
from training.synthetic.person.patterns import step
from training.synthetic.person.surface import soften, vertex_normals

_MOLES = (
    (0.0395, -0.0285, 0.0008),
    (-0.0300, -0.0640, 0.0006),
    (-0.0455, 0.0020, 0.0006),
)
"""x, y and radius in metres."""
_SCATTERING = np.array([1.04, 1.10, 1.17])
_SCALP = np.array([0.36, 0.245, 0.185])


def skin_attributes(head: Head, vertices: NDArray[np.intp]) -> dict[str, NDArray[np.float32]]:
    """What the material reads from the mesh.

    Args:
        head: the head.
        vertices: (N,) those of the skin.

    Returns:
        (N, 4) ``albedo`` linear; (N, 3) ``unrolled``, where the furrows' map lies; (N,) ``lips``,
        ``oil``, ``inside`` (the mouth), ``freckles``, each in [0, 1].
    """
    rounds = {"lips": 2, "inner_lips": 1, "ears": 3, "eyelids": 3, "mouth_interior": 1}
    region = soften(head, rounds)
    template = head.template.astype(np.float64)
    normals = vertex_normals(template, head.faces)
    color = skin(template, normals, region)
    inside = region["mouth_interior"] * (1 - region["inner_lips"])
    wet = (mouth_interior(template) * 1.15).clip(0, 1)
    color += (wet - color) * step(0.35, 0.75, inside)[:, None]
    x, y, z = template.T
    # The skin between the hairs is in their shade.
    covered = hair_cover(template) ** 2.2 * (1 - region["ears"])
    color += (_SCALP - color) * (0.80 * covered)[:, None]
    front = step(0.03, 0.08, z)
    freckles = np.exp(-(((np.abs(x) - 0.034) / 0.020) ** 2) - ((y - 0.000) / 0.013) ** 2)
    freckles = np.maximum(freckles, 0.8 * np.exp(-((x / 0.014) ** 2) - ((y - 0.002) / 0.012) ** 2))
    # Light that scatters inside comes back darker and redder than the colour says.
    color = (linear(color.clip(0, 1)) * _SCATTERING).clip(0, 0.92)
    albedo = np.concatenate([color, np.ones((len(color), 1))], 1)
    place = furrows.map_coordinates(template)
    values = {
        "albedo": albedo,
        "unrolled": np.concatenate([place, np.zeros((len(place), 1))], 1),
        "lips": region["lips"] * step(0.06, 0.085, z),
        "oil": oil(template).clip(0, 1),
        "inside": step(0.2, 0.7, inside),
        "freckles": freckles * front,
    }
    return {name: value[vertices].astype(np.float32) for name, value in values.items()}


def furrow_attributes(
    head: Head, vertices: NDArray[np.intp], expression: NDArray[np.float32]
) -> dict[str, NDArray[np.float32]]:
    """How deep each layer of furrows is at each vertex of the skin: (N, 3) vectors of layers."""
    strength = furrows.strengths(head.expression_names, expression)
    left = furrows.left_share(head.template[vertices].astype(np.float64))[:, None]
    value = strength[:, 0] + (strength[:, 1] - strength[:, 0]) * left
    return {
        f"furrows_{start // 3}": value[:, start : start + 3].astype(np.float32)
        for start in range(0, len(furrows.LAYERS), 3)
    }


def skin_material(head: Head) -> bpy.types.Material:
    """Skin with lips and the inside of the mouth."""
    graph = Graph("skin")
    rest = graph.attribute("rest").outputs["Vector"]
    lips = graph.attribute("lips").outputs[2]
    oily = graph.attribute("oil").outputs[2]
    inside = graph.attribute("inside").outputs[2]
    height = _furrow_height(graph, head)
    shiny = graph.node(
        "BsdfPrincipled",
        {
            "Base Color": _color(graph, rest, lips, inside, height),
            "Roughness": _roughness(graph, rest, lips, oily, inside),
            "IOR": 1.4,
            "Specular IOR Level": 0.5,
            "Subsurface Weight": 0.75,
            "Subsurface Radius": (1.0, 0.36, 0.20),
            "Subsurface Scale": 0.0032,
            "Normal": _normal(graph, rest, lips, inside, height),
            "Coat Weight": graph.math(
                "MAXIMUM",
                graph.add(graph.times(oily, 0.16), graph.times(lips, 0.22), 0.02),
                graph.times(inside, 0.8),
            ),
            "Coat Roughness": graph.add(0.30, graph.times(inside, -0.18)),
        },
        subsurface_method="BURLEY",
    )
    return graph.surface(shiny)


def _furrow_height(graph: Graph, head: Head) -> Socket:
    """The furrows' height in metres under the strengths of the present expression."""
    maps = furrows.height_maps(head)
    place = graph.attribute("unrolled").outputs["Vector"]
    total: Socket = 0.0
    for start in range(0, len(maps), 3):
        layers = np.ones((furrows.ROWS, furrows.COLUMNS, 4), np.float32)
        layers[..., :3] = np.moveaxis(maps[start : start + 3], 0, -1) * 1e3
        image = bpy.data.images.new(
            f"furrows {start // 3}", furrows.COLUMNS, furrows.ROWS, float_buffer=True, is_data=True
        )
        image.pixels.foreach_set(layers.ravel())
        image.update()
        texture = graph.node("TexImage", {"Vector": place}, image=image, extension="EXTEND")
        strength = graph.attribute(f"furrows_{start // 3}").outputs["Vector"]
        total = graph.add(total, graph.vector("DOT_PRODUCT", texture.outputs[0], strength))
    return graph.times(total, 1e-3)


def _color(graph: Graph, rest: Socket, lips: Socket, inside: Socket, height: Socket) -> Socket:
    color = graph.attribute("albedo").outputs["Color"]
    skin_only = graph.math("SUBTRACT", 1.0, graph.math("MAXIMUM", lips, inside))
    # Blood shows in patches, melanin in finer ones.
    blood = graph.step(graph.noise(rest, 75, 2), 0.35, 0.70)
    color = graph.blend(color, (0.94, 0.72, 0.66), graph.times(blood, skin_only, 0.36), "MULTIPLY")
    melanin = graph.step(graph.noise(rest, 330, 2), 0.40, 0.75)
    color = graph.blend(
        color, (0.88, 0.80, 0.73), graph.times(melanin, skin_only, 0.40), "MULTIPLY"
    )
    spots = graph.node("TexVoronoi", {"Vector": rest, "Scale": 330.0})
    chosen = graph.step(graph.vector("DOT_PRODUCT", spots.outputs["Color"], (1, 0, 0)), 0.50, 0.75)
    spot = graph.step(spots.outputs["Distance"], 0.34, 0.12)
    freckles = graph.times(graph.attribute("freckles").outputs[2], spot, chosen, 0.42)
    color = graph.blend(color, (0.62, 0.42, 0.32), freckles, "MULTIPLY")
    flat = graph.vector("MULTIPLY", rest, (1, 1, 0))
    front = graph.step(graph.vector("DOT_PRODUCT", rest, (0, 0, 1)), 0.02, 0.04)
    for x, y, radius in _MOLES:
        away = graph.vector("DISTANCE", flat, (x, y, 0))
        mole = graph.times(graph.step(away, 1.35 * radius, 0.6 * radius), front)
        color = graph.blend(color, (0.38, 0.24, 0.18), graph.times(mole, 0.9), "MULTIPLY")
    # Light enters a furrow but seldom leaves it, and what does has gone through blood.
    depth = graph.math("MINIMUM", graph.times(height, -1 / 0.0008), 1.0)
    depth = graph.math("MAXIMUM", depth, 0.0)
    return graph.blend(color, (0.50, 0.30, 0.26), graph.times(depth, 0.62), "MULTIPLY")


def _roughness(graph: Graph, rest: Socket, lips: Socket, oily: Socket, inside: Socket) -> Socket:
    patches = graph.times(graph.add(graph.noise(rest, 500, 1), -0.5), 0.22)
    rough = graph.add(0.45, patches, graph.times(oily, -0.12), graph.times(lips, -0.12))
    return graph.math("SUBTRACT", rough, graph.times(inside, 0.2), clamp=True)


def _normal(graph: Graph, rest: Socket, lips: Socket, inside: Socket, height: Socket) -> Socket:
    pores = graph.times(graph.noise(rest, 1500, 0), 0.00004)
    fine = graph.times(graph.noise(rest, 420, 1), 0.00010)
    lines = graph.noise(graph.vector("MULTIPLY", rest, (950, 150, 150)), 1.0, 1)
    skin_only = graph.math("SUBTRACT", 1.0, graph.math("MAXIMUM", lips, inside))
    detail = graph.add(
        graph.times(graph.add(pores, fine), graph.math("MAXIMUM", skin_only, 0.15)),
        graph.times(lines, lips, 0.0006),
        height,
    )
    return graph.bump(detail)
