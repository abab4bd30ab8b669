# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the default avatar: ``python -m engine.assets.build.default_avatar``.

A face nobody has: splats over the default head, coloured by a palette, lit by a virtual studio
whose light is baked into the colours. No picture and no scan goes in. The same head gives the
same file.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from engine import runtime

runtime.prepare()

import numpy as np  # noqa: E402 - after runtime.prepare, which numba and torch read
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from engine.assets.build import avatar_light, avatar_palette, avatar_strands  # noqa: E402
from engine.assets.build.avatar_light import Lighting, to_display, to_linear  # noqa: E402
from engine.assets.build.avatar_palette import soften, step  # noqa: E402
from engine.assets.build.avatar_strands import FrontView, Strands  # noqa: E402
from engine.assets.build.avatar_surface import (  # noqa: E402
    Ellipsoids,
    Pieces,
    flat_ellipsoids,
    split,
    vertex_normals,
)
from engine.avatar import GaussianAvatar, ShColor, save_avatar  # noqa: E402
from engine.avatar.binding import (  # noqa: E402
    matrix_to_quaternion,
    quaternion_product,
    triangle_frames,
)
from engine.heads.default import load_default_head  # noqa: E402
from engine.heads.head import Head  # noqa: E402

Array = NDArray[np.float64]
Faces = NDArray[np.int32]

ASSET = Path(__file__).parents[1] / "default_avatar.safetensors"
SEED = 7
EXPOSURE = 1.12

_OPEN = {"jawOpen": 0.55, "mouthUpperUpLeft": 0.4, "mouthUpperUpRight": 0.4}
_CLOSED_EYES = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
_WRAP = np.array([0.26, 0.11, 0.07])
_SOFTENING = {"lips": 3, "inner_lips": 1, "ears": 3, "eyelids": 1, "mouth_interior": 1}


class Layer(NamedTuple):
    """Splats in head space before binding.

    Attributes:
        face: (N,) the triangle of each.
        shape: the ellipsoids.
        colors: (N, 3) display-referred sRGB.
        opacity: (N,).
        vertices: (V, 3) the pose they were laid out in.
    """

    face: NDArray[np.int64]
    shape: Ellipsoids
    colors: Array
    opacity: Array
    vertices: Array


class Scene(NamedTuple):
    """The head with what every layer needs.

    Attributes:
        head: the head.
        vertices: (V, 3) neutral.
        closed_eyes: (V, 3) with the lids down.
        normals: (V, 3) neutral.
        skin: light on the closed face, with the lids lit as when they are closed.
        mouth: light in the open mouth.
        region: softened regions.
        part: (F,) name of what a triangle belongs to: skin, eye, upper_teeth, lower_teeth, tongue
            or interior.
    """

    head: Head
    vertices: Array
    closed_eyes: Array
    normals: Array
    skin: Lighting
    mouth: Lighting
    region: dict[str, Array]
    part: NDArray[np.str_]


def _pose(head: Head, weights: dict[str, float]) -> Array:
    expression = np.zeros(len(head.expression_names), np.float32)
    for name, value in weights.items():
        expression[head.expression_index(name)] = value
    return head.deform(expression).astype(np.float64)


def _lit(head: Head, vertices: Array) -> Lighting:
    normals = vertex_normals(vertices, head.faces)
    studio = avatar_light.portrait_studio()
    return avatar_light.light_at(vertices, normals, vertices, head.faces, studio, wrap=_WRAP)


def _parts(head: Head) -> NDArray[np.str_]:
    part = np.full(len(head.faces), "skin", dtype="<U12")
    for region, name in (
        ("mouth_interior", "interior"),
        ("eyeballs", "eye"),
        ("upper_teeth", "upper_teeth"),
        ("lower_teeth", "lower_teeth"),
        ("tongue", "tongue"),
    ):
        inside = np.zeros(head.vertex_count, bool)
        inside[head.regions[region]] = True
        part[inside[head.faces].all(1)] = name
    return part


def _scene(head: Head) -> Scene:
    vertices = head.template.astype(np.float64)
    closed_eyes = _pose(head, _CLOSED_EYES)
    neutral, closed = _lit(head, vertices), _lit(head, closed_eyes)
    soft = soften(head, _SOFTENING)
    lid = soft.region["eyelids"][:, None]
    diffuse = np.maximum(neutral.diffuse, lid * (0.1 * neutral.diffuse + 0.9 * closed.diffuse))
    return Scene(
        head,
        vertices,
        closed_eyes,
        vertex_normals(vertices, head.faces),
        Lighting(diffuse, neutral.specular),
        _lit(head, _pose(head, _OPEN)),
        dict(soft.region),
        _parts(head),
    )


def _largest_pieces(scene: Scene) -> Array:
    """(F,) m²: how fine each triangle is cut."""
    head, faces = scene.head, scene.head.faces
    center = scene.vertices[faces].mean(1)
    x, y, z = center.T
    area = np.where(z > 0.03, 12.0, 18.0)
    area = np.where(y < -0.075, np.where(z > 0.02, 26.0, 60.0), area)
    area = np.where((avatar_strands.hair_mask(center) > 0.5), 42.0, area)
    fine = {"lips": 0.75, "eyelids": 2.2, "inner_lips": 0.7, "nose": 4.0}
    for name, value in fine.items():
        near = scene.region.get(name)
        if near is None:
            near = np.zeros(head.vertex_count)
            near[head.regions[name]] = 1
        area = np.where(near[faces].max(1) > 0.3, np.minimum(area, value), area)
    eyes = head.regions["eyeballs"]
    for side in (-1, 1):
        ball = scene.vertices[eyes][np.sign(scene.vertices[eyes, 0]) == side]
        middle = 0.5 * (ball.min(0) + ball.max(0))
        off = np.linalg.norm((center - middle)[:, :2], axis=1)
        seen = np.where(z > middle[2] + 0.004, np.where(off < 0.0072, 0.36, 1.8), 16.0)
        area = np.where((scene.part == "eye") & (np.sign(x) == side), seen, area)
    teeth = np.char.endswith(scene.part, "teeth")
    area = np.where(teeth, np.where(z > 0.088, 1.8, 14.0), area)
    area = np.where(scene.part == "tongue", np.where(z > 0.06, 7.0, 25.0), area)
    area = np.where(scene.part == "interior", np.where(z > 0.085, 9.0, 90.0), area)
    return area * 1e-6


def _albedo(scene: Scene, pieces: Pieces, points: Array, normals: Array) -> Array:
    """(N, 3) sRGB of every piece before light."""
    faces = scene.head.faces
    region = {n: pieces.at(v[:, None], faces)[:, 0] for n, v in scene.region.items()}
    color = avatar_palette.skin(points, normals, region)
    under = avatar_strands.hair_mask(points)
    color = avatar_palette.mix(color, avatar_palette.HAIR * 0.75, 0.96 * step(0.35, 1.0, under))
    part = scene.part[pieces.face]
    for side in (-1, 1):
        mine = (part == "eye") & (np.sign(points[:, 0]) == side)
        ball = scene.vertices[scene.head.regions["left_eyeball" if side > 0 else "right_eyeball"]]
        middle = 0.5 * (ball.min(0) + ball.max(0))
        color[mine] = avatar_palette.eye(points[mine], middle, np.array([0.0, 0.0, 1.0]))
    for name in ("upper_teeth", "lower_teeth"):
        mine = part == name
        if not mine.any():
            continue
        color[mine] = avatar_palette.teeth(points[mine], upper=name == "upper_teeth")
    color[part == "tongue"] = avatar_palette.tongue(points[part == "tongue"])
    color[part == "interior"] = avatar_palette.mouth_interior(points[part == "interior"])
    return color.clip(0.005, 1)


def _surface(scene: Scene) -> list[Layer]:
    """The skin and what is inside, each laid out in the pose that stretches it most.

    Splats follow a triangle's size but not its stretch: lids that tile when they are open, folded
    behind the brow, would leave holes when they close.
    """
    faces, areas = scene.head.faces, _largest_pieces(scene)
    lids = scene.region["eyelids"][faces].max(1) > 0.05
    lids &= scene.part == "skin"
    return [
        _tiles(scene, np.flatnonzero(~lids), areas, scene.vertices),
        _tiles(scene, np.flatnonzero(lids), areas, scene.closed_eyes),
    ]


def _tiles(scene: Scene, chosen: NDArray[np.int64], areas: Array, pose: Array) -> Layer:
    """Tile the ``chosen`` triangles as they lie in ``pose``."""
    faces = scene.head.faces
    part_pieces = split(pose, faces[chosen], areas[chosen])
    pieces = Pieces(chosen[part_pieces.face], part_pieces.corners)
    shape = flat_ellipsoids(pieces, pose, faces, overlap=2.5, thickness=0.12)
    normals = pieces.at(scene.normals, faces)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = pieces.at(scene.vertices, faces)
    part = scene.part[pieces.face]
    albedo = to_linear(_albedo(scene, pieces, points, normals))
    closed = Lighting(*(pieces.at(values, faces) for values in scene.skin))
    opened = Lighting(*(pieces.at(values, faces) for values in scene.mouth))
    inner = pieces.at(scene.region["inner_lips"][:, None], faces)
    diffuse = closed.diffuse + (opened.diffuse - closed.diffuse) * inner
    inside = np.isin(part, ["upper_teeth", "lower_teeth", "tongue", "interior"])
    # The jaw opens further than in the pose that was lit, and teeth scatter light.
    lift = np.select(
        [np.char.endswith(part, "teeth"), part == "tongue"], [0.32, 0.12], default=0.02
    )
    diffuse[inside] = 1.25 * opened.diffuse[inside] + lift[inside, None]
    eye = part == "eye"
    diffuse[eye] = 0.75 * closed.diffuse[eye] + 0.16
    lips = step(0.3, 0.7, pieces.at(scene.region["lips"][:, None], faces)[:, 0])
    shine = np.select(
        [eye, np.char.endswith(part, "teeth"), part == "interior"], [0.25, 0.8, 0.0], 1.25
    )
    shine = shine * (1 + 0.9 * lips) * (1 - 0.9 * avatar_strands.hair_mask(points))
    specular = np.where(inside[:, None], opened.specular, closed.specular)
    pores = 1 + 0.30 * avatar_palette.noise(points, 0.0035, 17)
    colors = to_display(EXPOSURE * albedo * diffuse + (shine * pores)[:, None] * specular)
    opacity = np.full(len(points), 0.985)
    opacity *= step(-0.156, -0.142, points[:, 1])
    raised = 0.0010 * avatar_strands.hair_mask(points) * (part == "skin")
    shape = shape._replace(centers=shape.centers + raised[:, None] * normals)
    return Layer(pieces.face, shape, colors, opacity, pose)


def _hair_light(scene: Scene, hair: Strands) -> Array:
    """(N, 3) display colours of strands: Kajiya-Kay, with the head's own shadows."""
    faces = scene.head.faces[hair.face]
    diffuse = scene.skin.diffuse[faces].mean(1)
    tangent = hair.axes[:, :, 0]
    shine = np.zeros(len(tangent))
    for towards, strength in (((-0.62, 0.50, 0.66), 1.0), ((0.72, 0.42, -0.62), 0.7)):
        half = np.array(towards) / np.linalg.norm(towards) + np.array([0.0, 0.0, 1.0])
        half /= np.linalg.norm(half)
        along = tangent @ half
        shine += strength * np.sqrt((1 - along**2).clip(0)) ** 40
    lit = hair.shade[:, None] * diffuse
    gloss = 0.050 * shine[:, None] * lit * np.array([1.0, 0.80, 0.62])
    return to_display(EXPOSURE * 1.15 * to_linear(hair.colors) * lit + gloss)


def _strand_layers(scene: Scene) -> list[Layer]:
    head, faces = scene.head, scene.head.faces
    random = np.random.default_rng(SEED)
    body = np.flatnonzero(scene.part == "skin")
    roots = split(scene.vertices, faces[body], np.full(len(body), 11.0e-6))
    roots = Pieces(body[roots.face], roots.corners)
    points = roots.at(scene.vertices, faces)
    on_skull = avatar_strands.hair_mask(points) > 0.05
    on_skull &= ~np.isin(faces[roots.face], head.regions["ears"]).any(1)
    roots = Pieces(roots.face[on_skull], roots.corners[on_skull])
    jitter = random.dirichlet([2, 2, 2], len(roots.face))
    corners = np.einsum("ni,nij->nj", jitter, roots.corners)[:, None].repeat(3, 1)
    spread = Pieces(roots.face, corners)
    normals = spread.at(scene.normals, faces)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    grown = [
        avatar_strands.scalp_hair(spread.face, spread.at(scene.vertices, faces), normals, random)
    ]
    seen = avatar_light.depth_map(scene.vertices, faces, np.array([0.0, 0.0, 1.0]), 0.0002)
    view = FrontView(seen, scene.vertices, faces, scene.normals)
    region = scene.vertices[head.regions["brows"]]
    grown.append(avatar_strands.brows(view, region, random, 150, width=0.0007))
    grown.append(avatar_strands.brows(view, region, random, 280, width=0.00014))
    for side in ("left_eyeball", "right_eyeball"):
        ball = scene.vertices[head.regions[side]]
        center = 0.5 * (ball.min(0) + ball.max(0))
        grown.append(avatar_strands.lashes(view, center, scene.part == "eye", random, 90))
    opacities = [0.92, 0.24, 0.80, 0.72, 0.72]
    return [
        Layer(
            hair.face,
            Ellipsoids(hair.centers, hair.axes, hair.deviations),
            _hair_light(scene, hair),
            np.full(len(hair.face), opacity),
            scene.vertices,
        )
        for hair, opacity in zip(grown, opacities, strict=True)
    ]


def _catch_lights(scene: Scene) -> Layer:
    """The key light's reflection in the tear film, one bright spot on each cornea."""
    layers = []
    for side in ("left_eyeball", "right_eyeball"):
        ball = scene.vertices[scene.head.regions[side]]
        middle = 0.5 * (ball.min(0) + ball.max(0))
        radius = 0.5 * float(np.ptp(ball[:, 0]))
        for offset, size, opacity in (
            ((-0.0023, 0.0026), 0.00075, 0.95),
            ((0.0024, -0.0022), 0.00045, 0.45),
        ):
            spot = middle + np.array([*offset, 0.0])
            spot[2] = middle[2] + np.sqrt(radius**2 - offset[0] ** 2 - offset[1] ** 2) + 0.0006
            layers.append((spot, size, opacity))
    centers = np.array([spot for spot, _, _ in layers])
    eye = np.flatnonzero(scene.part == "eye")
    middles = scene.vertices[scene.head.faces[eye]].mean(1)
    nearest = ((centers[:, None] - middles) ** 2).sum(2).argmin(1)
    sizes = np.array([[size, size, 0.2 * size] for _, size, _ in layers])
    shape = Ellipsoids(centers, np.broadcast_to(np.eye(3), (len(centers), 3, 3)).copy(), sizes)
    opacities = np.array([opacity for _, _, opacity in layers])
    return Layer(eye[nearest], shape, np.ones((len(centers), 3)), opacities, scene.vertices)


def bound(head: Head, layers: Sequence[Layer]) -> GaussianAvatar:
    """Express head-space splats in the frames of the triangles they belong to.

    Args:
        head: the head.
        layers: splats in head space, each with the pose it was laid out in.
    """
    faces = torch.from_numpy(np.array(head.faces, np.int32))
    parts = [_local(layer, faces) for layer in layers]
    positions, log_scales, quats = (torch.cat(values) for values in zip(*parts, strict=True))
    opacity = torch.from_numpy(np.concatenate([layer.opacity for layer in layers]))
    colors = torch.from_numpy(np.concatenate([layer.colors for layer in layers]))
    return GaussianAvatar(
        head=head.id,
        faces=faces,
        vertex_count=head.vertex_count,
        binding=torch.from_numpy(np.concatenate([layer.face for layer in layers])).int(),
        positions=positions.float(),
        log_scales=log_scales.float(),
        quats=quats.float(),
        opacity_logits=torch.logit(opacity, eps=1e-4).float(),
        color=ShColor.constant(colors.float()),
        provenance={
            "source": "the default head and a palette, by this project; no picture, no scan",
            "licence": "CC0-1.0",
            "command": "python -m engine.assets.build.default_avatar",
        },
    )


def _local(layer: Layer, faces: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Position, log scale and rotation in the triangles' frames: the binding, inverted."""
    centers, axes, deviations = (torch.from_numpy(values) for values in layer.shape)
    frames = triangle_frames(torch.from_numpy(layer.vertices), faces)
    binding = torch.from_numpy(layer.face)
    rotations, size = frames.rotations[binding], frames.scales[binding, None]
    local = torch.einsum("gji,gj->gi", rotations, centers - frames.centers[binding]) / size
    conjugate = frames.quats[binding] * torch.tensor([1.0, -1, -1, -1], dtype=torch.float64)
    rotation = quaternion_product(conjugate, matrix_to_quaternion(axes))
    return local, torch.log(deviations / size), rotation


def build(head: Head) -> GaussianAvatar:
    """The default avatar on the default head."""
    scene = _scene(head)
    layers = [*_surface(scene), *_strand_layers(scene), _catch_lights(scene)]
    kept = [layer for layer in layers if len(layer.face)]
    return bound(head, kept)


def main() -> None:
    """Build and write the asset."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ASSET)
    out: Path = parser.parse_args().out
    avatar = build(load_default_head())
    save_avatar(avatar, out, half=True)
    print(f"{out}: {avatar.count} Gaussians, {out.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
