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

from engine.assets.build import (  # noqa: E402
    avatar_eyes,
    avatar_light,
    avatar_palette,
    avatar_strands,
)
from engine.assets.build.avatar_eyes import Opening  # noqa: E402
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
_ROOTS = 15.7e-6
"""m² of skull to a hair."""

_OPEN = {"jawOpen": 0.55, "mouthUpperUpLeft": 0.4, "mouthUpperUpRight": 0.4}
_CLOSED_EYES = {"eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}
_WRAP = np.array([0.17, 0.06, 0.04])
_BOUNCE = np.array([1.12, 0.98, 0.93])
"""Light in the mouth, which comes from lips, gums and cheeks."""
_FORM, _DETAIL = 0.55, 0.35
"""How much the light exaggerates forms the size of a cheek, and of a nostril."""
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
        view: the neutral face from the front.
        eyes: the left and the right eye between their lids.
    """

    head: Head
    vertices: Array
    closed_eyes: Array
    normals: Array
    skin: Lighting
    mouth: Lighting
    region: dict[str, Array]
    part: NDArray[np.str_]
    view: FrontView
    eyes: tuple[Opening, ...]


def _pose(head: Head, weights: dict[str, float]) -> Array:
    expression = np.zeros(len(head.expression_names), np.float32)
    for name, value in weights.items():
        expression[head.expression_index(name)] = value
    return head.deform(expression).astype(np.float64)


def _lit(head: Head, vertices: Array) -> Lighting:
    normals = vertex_normals(vertices, head.faces)
    for rounds, strength in ((40, _FORM), (6, _DETAIL)):
        normals = avatar_light.relief(normals, head.faces, rounds=rounds, strength=strength)
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
    openness = np.maximum(neutral.openness, lid * (0.25 + 0.75 * closed.openness))
    normals, part = vertex_normals(vertices, head.faces), _parts(head)
    seen = avatar_light.depth_map(vertices, head.faces, np.array([0.0, 0.0, 1.0]), 0.0002)
    view = FrontView(seen, vertices, head.faces, normals)
    eyes = []
    for side in ("left_eyeball", "right_eyeball"):
        ball = vertices[head.regions[side]]
        eyes.append(avatar_eyes.opening(view, 0.5 * (ball.min(0) + ball.max(0)), part == "eye"))
    # The fold of the lower lid is no deeper than this in a rested face.
    rested = 0.75 * avatar_eyes.under_eyes(vertices, tuple(eyes))[:, None]
    diffuse += rested * (avatar_light.spread(diffuse, head.faces, 30) - diffuse)
    diffuse *= 1 + rested * np.array([0.13, 0.05, 0.03])
    openness += rested * (1 - openness)
    return Scene(
        head,
        vertices,
        closed_eyes,
        normals,
        Lighting(diffuse, neutral.specular, openness),
        _lit(head, _pose(head, _OPEN)),
        dict(soft.region),
        part,
        view,
        tuple(eyes),
    )


def _largest_pieces(scene: Scene) -> Array:
    """(F,) m²: how fine each triangle is cut."""
    head, faces = scene.head, scene.head.faces
    center = scene.vertices[faces].mean(1)
    x, y, z = center.T
    area = np.where(z > 0.03, 13.5, 22.0)
    area = np.where(y < -0.075, np.where(z > 0.02, 28.0, 60.0), area)
    area = np.where((avatar_strands.hair_mask(center) > 0.5), 60.0, area)
    fine = {"lips": 0.95, "eyelids": 3.2, "inner_lips": 0.85, "nose": 4.5}
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
        seen = np.where(z > middle[2] + 0.004, np.where(off < 0.0072, 0.40, 2.4), 20.0)
        area = np.where((scene.part == "eye") & (np.sign(x) == side), seen, area)
    teeth = np.char.endswith(scene.part, "teeth")
    area = np.where(teeth, np.where(z > 0.088, 1.5, np.where(z > 0.075, 6.0, 20.0)), area)
    area = np.where(scene.part == "tongue", np.where(z > 0.06, 7.0, 25.0), area)
    area = np.where(scene.part == "interior", np.where(z > 0.085, 12.0, 90.0), area)
    return area * 1e-6


def _albedo(scene: Scene, pieces: Pieces, points: Array, normals: Array) -> Array:
    """(N, 3) sRGB of every piece before light."""
    faces = scene.head.faces
    region = {n: pieces.at(v[:, None], faces)[:, 0] for n, v in scene.region.items()}
    color = avatar_palette.skin(points, normals, region)
    under = avatar_strands.hair_mask(points)
    color = avatar_palette.mix(color, avatar_palette.HAIR * 0.75, 0.96 * step(0.35, 1.0, under))
    part = scene.part[pieces.face]
    for opening in scene.eyes:
        mine = (part == "eye") & (points[:, 0] * opening.center[0] > 0)
        ahead = np.array([0.0, 0.0, 1.0])
        bare = avatar_palette.eye(points[mine], opening.center, ahead)
        color[mine] = bare * avatar_eyes.lid_shade(points[mine], opening)[:, None]
    for name in ("upper_teeth", "lower_teeth"):
        mine = part == name
        if not mine.any():
            continue
        color[mine] = avatar_palette.teeth(points[mine], upper=name == "upper_teeth")
    color[part == "tongue"] = avatar_palette.tongue(points[part == "tongue"])
    color[part == "interior"] = avatar_palette.mouth_interior(points[part == "interior"])
    # Nostrils, where the nose hides the sky.
    openness = pieces.at(scene.skin.openness, faces)[:, 0]
    x, y, z = points.T
    nostril = step(0.62, 0.30, openness) * step(-0.018, -0.022, y) * step(0.098, 0.103, z)
    nostril *= (part == "skin") * (np.abs(x) < 0.02) * (y > -0.034)
    color = avatar_palette.mix(color, np.array([0.20, 0.085, 0.07]), 0.85 * nostril)
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
        [part == "upper_teeth", part == "lower_teeth", part == "tongue"],
        [0.43, 0.12, 0.19],
        default=0.01,
    )
    reach = np.where(part == "lower_teeth", 0.68, 0.95)[inside, None]
    diffuse[inside] = reach * opened.diffuse[inside] + lift[inside, None] * _BOUNCE
    eye = part == "eye"
    diffuse[eye] = 0.62 * closed.diffuse[eye] + 0.17
    openness = np.where(inside | eye, 1.0, closed.openness[:, 0])
    diffuse = avatar_light.sunk(diffuse, openness)
    # The key light is flagged off the neck.
    diffuse *= 1 - 0.34 * step(-0.085, -0.135, points[:, 1:2])
    lips = step(0.3, 0.7, pieces.at(scene.region["lips"][:, None], faces)[:, 0])
    shine = np.select(
        [eye, np.char.endswith(part, "teeth"), part == "interior"], [0.25, 0.8, 0.0], 1.25
    )
    shine = (
        shine
        * (1 + 0.9 * lips + 0.5 * avatar_palette.oil(points))
        * (1 - 0.9 * avatar_strands.hair_mask(points))
    )
    specular = np.where(inside[:, None], opened.specular, closed.specular)
    pores = 1 + 0.30 * avatar_palette.noise(points, 0.0035, 17)
    colors = to_display(EXPOSURE * albedo * diffuse + (shine * pores)[:, None] * specular)
    opacity = np.full(len(points), 0.985)
    opacity *= step(-0.149, -0.126, points[:, 1])
    raised = 0.0010 * avatar_strands.hair_mask(points) * (part == "skin")
    shape = shape._replace(centers=shape.centers + raised[:, None] * normals)
    return Layer(pieces.face, shape, colors, opacity, pose)


def _hair_light(scene: Scene, hair: Strands) -> Array:
    """(N, 3) display colours of strands, with the head's own shadows."""
    lit = hair.shade[:, None] * scene.skin.diffuse[scene.head.faces[hair.face]].mean(1)
    linear = avatar_light.on_hair(lit, to_linear(hair.colors), hair.axes[:, :, 0])
    return to_display(EXPOSURE * linear)


def _strand_layers(scene: Scene) -> list[Layer]:
    head, faces = scene.head, scene.head.faces
    random = np.random.default_rng(SEED)
    body = np.flatnonzero(scene.part == "skin")
    roots = split(scene.vertices, faces[body], np.full(len(body), _ROOTS))
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
    at = spread.at(scene.vertices, faces)
    grown = [
        (avatar_strands.scalp_hair(spread.face, at, normals, random), 0.92),
        (avatar_strands.edge_hair(spread.face, at, normals, random), 0.55),
    ]
    region = scene.vertices[head.regions["brows"]]
    brow = avatar_strands.brows
    grown += [
        (brow(scene.view, region, random, 150, width=0.0007), 0.22),
        (brow(scene.view, region, random, 300, width=0.00012), 0.80),
    ]
    for opening in scene.eyes:
        grown += [
            (avatar_eyes.lashes(scene.view, opening, random, 130), 0.50),
            (avatar_eyes.lash_line(scene.view, opening), 0.45),
            (avatar_eyes.tear_line(scene.view, opening), 0.40),
        ]
    return [
        Layer(
            hair.face,
            Ellipsoids(hair.centers, hair.axes, hair.deviations),
            _hair_light(scene, hair),
            opacity * hair.opacity,
            scene.vertices,
        )
        for hair, opacity in grown
    ]


def _catch_lights(scene: Scene) -> Layer:
    """The key light's reflection in the tear film, with a fainter one of the fill."""
    spots = [avatar_eyes.catch_lights(opening) for opening in scene.eyes]
    centers, sizes, opacities = (np.concatenate(values) for values in zip(*spots, strict=True))
    eye = np.flatnonzero(scene.part == "eye")
    middles = scene.vertices[scene.head.faces[eye]].mean(1)
    nearest = ((centers[:, None] - middles) ** 2).sum(2).argmin(1)
    deviations = sizes[:, None] * np.array([1.0, 1.0, 0.2])
    shape = Ellipsoids(centers, np.broadcast_to(np.eye(3), (len(centers), 3, 3)).copy(), deviations)
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
