# SPDX-License-Identifier: GPL-3.0-or-later
"""A puppet with ARKit's 52 shape keys, made from scratch, its teeth and tongue an object apart.

The head is a disc of rings about the mouth, drawn round an ellipsoid: the innermost ring is the
line between the lips, the outermost meets at the nape, and more rings run into the mouth. In
metres; the puppet faces −Y, its left is +X.
"""

from __future__ import annotations

from collections.abc import Callable

import bpy
import numpy as np

_HEAD = np.array((0.085, 0.075, 0.075))
"""Semi-axes of the head."""
_MOUTH = np.radians(-8)
"""Elevation of the mouth."""
_SEGMENTS, _RINGS, _INSIDE = 64, 40, 10
_HALF_WIDTH = 0.62
"""Radians of the head from the middle of the mouth to its corner."""
_EYES = np.array((0.036, -0.042, 0.066))
"""Where the left eye is."""
_EYE, _LID = 0.026, 0.0300
"""Radii of an eye and of its lids."""
_JAW_ANGLE = np.radians(24)
_COLORS = {
    "Felt": (0.10, 0.42, 0.14, 1.0),
    "Mouth": (0.28, 0.02, 0.03, 1.0),
    "Eye": (0.85, 0.85, 0.80, 1.0),
    "Pupil": (0.01, 0.01, 0.01, 1.0),
    "Teeth": (0.85, 0.82, 0.72, 1.0),
    "Tongue": (0.60, 0.12, 0.14, 1.0),
}
_SIDES = {"Left": 1.0, "Right": -1.0}


class _Surface:
    """Vertices and faces as they are gathered, with what each vertex belongs to."""

    def __init__(self) -> None:
        self.points, self.faces, self.materials = np.empty((0, 3)), [], []
        self.parts: dict[str, np.ndarray] = {}

    def add(self, part: str, grid: np.ndarray, material: Callable[[int], str]) -> None:
        """Add a grid (rows, columns, 3) that is closed along its columns."""
        rows, columns = grid.shape[:2]
        first = len(self.points)
        self.points = np.concatenate((self.points, grid.reshape(-1, 3)))
        self.parts[part] = np.arange(first, len(self.points)).reshape(rows, columns)
        for row in range(rows - 1):
            for column in range(columns):
                after = (column + 1) % columns
                a, b = first + row * columns, first + (row + 1) * columns
                self.faces.append((a + column, a + after, b + after, b + column))
                self.materials.append(material(row))


def add_puppet(context: bpy.types.Context, name: str) -> tuple[bpy.types.Object, bpy.types.Object]:
    """Add the puppet's face and its teeth; both are selected, and the face is active."""
    face, teeth = _face(), _teeth()
    objects = (
        _object(context, name, face, _face_keys(face)),
        _object(context, f"{name} Teeth", teeth, _teeth_keys(teeth)),
    )
    bpy.ops.object.select_all(action="DESELECT")
    for obj in objects:
        obj.select_set(True)
    context.view_layer.objects.active = objects[0]
    return objects


def _on_head(across: np.ndarray, up: np.ndarray) -> np.ndarray:
    """Points of the head that lie so many radians from the middle of the mouth."""
    far = np.hypot(across, up)
    scale = np.sinc(far / np.pi)
    x, y, z = across * scale, -np.cos(far), up * scale
    turn, lean = np.cos(_MOUTH), np.sin(_MOUTH)
    return _HEAD * np.stack((x, y * turn + z * lean, z * turn - y * lean), -1)


def _face() -> _Surface:
    surface = _Surface()
    angles = np.arange(_SEGMENTS) * 2 * np.pi / _SEGMENTS
    reach = (np.arange(_RINGS) / (_RINGS - 1)) ** 1.7
    width = _HALF_WIDTH + (np.pi - _HALF_WIDTH) * reach[:, None]
    height = np.pi * reach[:, None]
    rings = _on_head(width * np.cos(angles), height * np.sin(angles))
    swell = np.array((0.0, 0.0025, 0.0040, 0.0042, 0.0030, 0.0012))
    outward = rings[:6] / np.linalg.norm(rings[:6], axis=-1, keepdims=True)
    rings[:6] += outward * swell[:, None, None]
    depth = np.linspace(1, 0, _INSIDE, endpoint=False)[:, None]
    line = rings[0][None]
    bag = line * (1 - 0.25 * depth[..., None]) + np.array((0, 0.055, 0)) * depth[..., None]
    bag[..., 2] += 0.014 * np.sin(angles) * np.sin(np.pi * depth**0.7)
    grid = np.concatenate((bag, rings))
    surface.add("face", grid, lambda row: "Mouth" if row < _INSIDE else "Felt")
    for side, sign in _SIDES.items():
        center = _EYES * (sign, 1, 1)
        surface.add(
            f"eye{side}", _ball(center, _EYE, 0, 180), lambda row: "Pupil" if row < 3 else "Eye"
        )
        for lid, (start, end) in {"Upper": (52, 190), "Lower": (338, 205)}.items():
            surface.add(f"lid{side}{lid}", _lid(center, start, end), lambda _row: "Felt")
    return surface


def _ball(center: np.ndarray, radius: float, start: float, end: float) -> np.ndarray:
    """Rings of a sphere about −Y, from so many degrees off that axis to so many."""
    off = np.radians(np.linspace(start, end, 17))[:, None]
    around = np.arange(32) * 2 * np.pi / 32
    x, z = np.sin(off) * np.cos(around), np.sin(off) * np.sin(around)
    return center + radius * np.stack((x, np.broadcast_to(-np.cos(off), x.shape), z), -1)


def _lid(center: np.ndarray, start: float, end: float) -> np.ndarray:
    """A shell about the X axis, from so many degrees above the line of sight backwards.

    Its columns run from one corner of the eye to the other and back on the inside.
    """
    around = np.radians(np.linspace(start, end, 13))[:, None]
    along = np.radians(np.linspace(-90, 90, 16))
    shells = []
    for radius, columns in ((_LID, along), (_LID - 0.0012, along[::-1])):
        x = np.broadcast_to(np.sin(columns), (13, 16))
        shells.append(
            radius
            * np.stack((x, -np.cos(around) * np.cos(columns), np.sin(around) * np.cos(columns)), -1)
        )
    return center + np.concatenate(shells, 1)


def _teeth() -> _Surface:
    """Two bows of teeth and a tongue, behind the lips."""
    surface = _Surface()
    middle = _on_head(np.zeros(1), np.zeros(1))[0]
    angles = np.radians(np.linspace(-55, 55, 24))
    for part, low, high in (("upper", -0.002, 0.0065), ("lower", -0.0105, -0.0025)):
        front = np.stack((0.036 * np.sin(angles), -0.036 * np.cos(angles)), -1)
        rows = []
        for inset, height in ((1, low), (1, high), (0.88, high), (0.88, low), (1, low)):
            bow = np.concatenate((front * inset, np.full((24, 1), height)), 1)
            rows.append(bow + middle + (0, 0.046, 0))
        grid = np.stack(rows)
        surface.add(part, grid.transpose(1, 0, 2)[:, :-1], lambda _row: "Teeth")
    along = np.linspace(0, 1, 12)[:, None]
    around = np.arange(16) * 2 * np.pi / 16
    thick = np.sqrt(np.clip(1 - (2 * along - 1) ** 4, 0, 1))
    x = 0.019 * thick * np.cos(around)
    z = -0.0045 + 0.004 * thick * np.sin(around)
    y = np.broadcast_to(0.012 + 0.05 * along, x.shape)
    surface.add("tongue", middle + np.stack((x, y, z), -1), lambda _row: "Tongue")
    return surface


def _jaw(points: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """How far points move when the jaw opens: it turns about the axis of the ears."""
    axis = np.array((0.0, 0.035, 0.0))
    sine, cosine = np.sin(_JAW_ANGLE * weight), np.cos(_JAW_ANGLE * weight)
    _x, y, z = (points - axis).T
    return np.stack(
        (np.zeros_like(y), y * (cosine - 1) - z * sine, y * sine + z * (cosine - 1)), -1
    )


def _smooth(value: np.ndarray, low: float, high: float) -> np.ndarray:
    part = np.clip((value - low) / (high - low), 0, 1)
    return part * part * (3 - 2 * part)


class _Regions:
    """Which part of the face each vertex belongs to: (V,) weights from 0 to 1."""

    def __init__(self, face: _Surface) -> None:
        self.points = face.points
        rows = np.arange(_RINGS + _INSIDE)[:, None] - _INSIDE
        angles = np.arange(_SEGMENTS)[None] * 2 * np.pi / _SEGMENTS
        grid, outside = face.parts["face"], np.where(rows < 0, _smooth(-rows, 0, 4), 0)

        def weights(values: np.ndarray) -> np.ndarray:
            made = np.zeros(len(face.points))
            made[grid] = values
            return made

        self.skin = weights(np.ones_like(grid))
        self.above = weights(_smooth(np.sin(angles), 0, 0.75) * np.ones_like(rows))
        self.below = weights(_smooth(-np.sin(angles), 0, 0.75) * np.ones_like(rows))
        self.chin = self.below * weights(1 - _smooth(rows, 8, 22))
        self.lips = weights(1 - np.maximum(outside, _smooth(rows, 1, 12)))
        left = _smooth(face.points[:, 0], -0.012, 0.012)
        self.half = {"Left": left, "Right": 1 - left}
        self.middle = _on_head(np.array(0.0), np.array(0.0))
        self.corner = {
            side: _on_head(np.array(sign * _HALF_WIDTH), np.array(0.0))
            for side, sign in _SIDES.items()
        }
        self._opposite = (grid, grid[:, -np.arange(_SEGMENTS) % _SEGMENTS])

    def about(self, center: np.ndarray, size: float) -> np.ndarray:
        """Weights that fall off with the distance, in metres, from a point."""
        return self.skin * np.exp(-np.sum((self.points - center) ** 2, -1) / (2 * size**2))

    def of_opposite_lip(self, offsets: np.ndarray) -> np.ndarray:
        """Offsets of the vertex of the other lip, for each vertex of the face."""
        grid, other = self._opposite
        swapped = np.zeros_like(offsets)
        swapped[grid] = offsets[other]
        return swapped


def _move(weight: np.ndarray, *offset: float) -> np.ndarray:
    return weight[:, None] * np.array(offset)


def _face_keys(face: _Surface) -> dict[str, np.ndarray]:
    """The 52 shape keys, as offsets of the vertices in metres."""
    regions = _Regions(face)
    keys = _mouth_keys(regions)
    for side in _SIDES:
        keys |= _side_keys(regions, side) | _eye_keys(face, regions, side)
    outward = face.points / np.linalg.norm(face.points, axis=-1, keepdims=True)
    puff = sum(regions.about(corner * 1.05, 0.02) for corner in regions.corner.values())
    keys["cheekPuff"] = puff[:, None] * outward * 0.010
    keys["browInnerUp"] = _move(regions.about(np.array((0, -0.06, 0.055)), 0.014), 0, 0, 0.008)
    keys["tongueOut"] = np.zeros_like(face.points)
    return keys


def _mouth_keys(regions: _Regions) -> dict[str, np.ndarray]:
    """Keys of jaw and lips that are the same on both sides."""
    above, below = (part * regions.lips for part in (regions.above, regions.below))
    chin, lips = regions.chin, regions.lips
    jaw = _jaw(regions.points, chin)
    inward = lips[:, None] * (regions.middle - regions.points) * (1, 0, 0)
    closed = 0.35 * regions.of_opposite_lip(jaw) - 0.65 * jaw
    opened = _move(above, 0, 0, 0.006) - _move(below, 0, 0, 0.008)
    return {
        "jawOpen": jaw,
        "jawForward": _move(chin, 0, -0.008, 0),
        "jawLeft": _move(chin, 0.010, 0, 0),
        "jawRight": _move(chin, -0.010, 0, 0),
        "mouthClose": lips[:, None] * closed,
        "mouthFunnel": 0.42 * inward + _move(lips, 0, -0.010, 0) + opened,
        "mouthPucker": 0.55 * inward + _move(lips, 0, -0.012, 0),
        "mouthLeft": _move(lips, 0.012, 0, 0),
        "mouthRight": _move(lips, -0.012, 0, 0),
        "mouthRollLower": _move(below, 0, 0.006, 0.002),
        "mouthRollUpper": _move(above, 0, 0.006, -0.002),
        "mouthShrugLower": _move(below, 0, -0.003, 0.005),
        "mouthShrugUpper": _move(above, 0, -0.003, 0.004),
    }


def _side_keys(regions: _Regions, side: str) -> dict[str, np.ndarray]:
    """Keys of one corner of the mouth, one cheek and one side of the nose."""
    sign, corner = _SIDES[side], regions.corner[side]
    at, half = regions.about(corner, 0.018), regions.half[side] * regions.lips
    cheek = regions.about(corner + np.array((0, 0, 0.022)), 0.014)
    nose = regions.about(regions.middle + np.array((sign * 0.012, 0, 0.026)), 0.009)
    keys = {
        "mouthSmile": _move(at, sign * 0.007, 0.004, 0.013),
        "mouthFrown": _move(at, sign * 0.002, 0.0, -0.012),
        "mouthDimple": _move(at, sign * 0.004, 0.006, 0.002),
        "mouthStretch": _move(at, sign * 0.009, 0.004, -0.003),
        "mouthPress": _move(half * (regions.below - regions.above), 0, 0.001, 0.002),
        "mouthLowerDown": _move(half * regions.below, 0, -0.001, -0.010),
        "mouthUpperUp": _move(half * regions.above, 0, -0.001, 0.008),
        "cheekSquint": _move(cheek, 0, -0.003, 0.006),
        "noseSneer": _move(nose, 0, -0.003, 0.006),
    }
    return {f"{name}{side}": offsets for name, offsets in keys.items()}


def _eye_keys(face: _Surface, regions: _Regions, side: str) -> dict[str, np.ndarray]:
    """Keys of one eye: looking, lids and brow."""
    sign = _SIDES[side]
    center = _EYES * (sign, 1, 1)
    keys = {}

    def turned(part: str, axis: int, angle: float) -> np.ndarray:
        offsets = np.zeros_like(face.points)
        grid = face.parts[part]
        rows = grid.ravel()
        at = face.points[rows] - center
        a, b = ((1, 2), (2, 0), (0, 1))[axis]
        # A lid stretches: its edge turns, its back stays.
        share = np.linspace(1, 0, len(grid)) if part.startswith("lid") else np.ones(len(grid))
        turn = np.radians(angle) * np.repeat(share, grid.shape[1])
        sine, cosine = np.sin(turn), np.cos(turn)
        offsets[rows, a] = at[:, a] * (cosine - 1) - at[:, b] * sine
        offsets[rows, b] = at[:, b] * (cosine - 1) + at[:, a] * sine
        return offsets

    eye, upper, lower = f"eye{side}", f"lid{side}Upper", f"lid{side}Lower"
    keys[f"eyeLookUp{side}"] = turned(eye, 0, -22) + turned(upper, 0, -10)
    keys[f"eyeLookDown{side}"] = turned(eye, 0, 22) + turned(upper, 0, 14)
    keys[f"eyeLookOut{side}"] = turned(eye, 2, 25 * sign)
    keys[f"eyeLookIn{side}"] = turned(eye, 2, -25 * sign)
    keys[f"eyeBlink{side}"] = turned(upper, 0, 64) + turned(lower, 0, -14)
    # The straight way of the edge to its place is a chord, which would cut into the eye.
    lid = face.parts[upper].ravel()
    at = face.points[lid] + keys[f"eyeBlink{side}"][lid] - center
    keys[f"eyeBlink{side}"][lid] += 0.06 * at
    keys[f"eyeSquint{side}"] = turned(upper, 0, 20) + turned(lower, 0, -14)
    keys[f"eyeWide{side}"] = turned(upper, 0, -16) + turned(lower, 0, 6)
    brow = regions.about(center + np.array((sign * 0.012, 0.0, 0.012)), 0.012)[:, None]
    keys[f"browDown{side}"] = turned(upper, 0, 8) + brow * (0, -0.002, -0.004)
    keys[f"browOuterUp{side}"] = turned(upper, 0, -8) + brow * (0, 0, 0.006)
    return keys


def _teeth_keys(teeth: _Surface) -> dict[str, np.ndarray]:
    """What the lower teeth and the tongue do with the jaw, under the face's names."""
    points = teeth.points
    lower = np.zeros(len(points))
    tongue = np.zeros(len(points))
    for part, target in (("lower", lower), ("tongue", lower), ("tongue", tongue)):
        target[teeth.parts[part].ravel()] = 1
    tip = tongue * _smooth(-points[:, 1], 0.02, 0.06)
    return {
        "jawOpen": _jaw(points, lower),
        "jawForward": lower[:, None] * (0, -0.008, 0),
        "jawLeft": lower[:, None] * (0.010, 0, 0),
        "jawRight": lower[:, None] * (-0.010, 0, 0),
        "tongueOut": tip[:, None] * (0, -0.024, 0.002),
    }


def _object(
    context: bpy.types.Context, name: str, surface: _Surface, keys: dict[str, np.ndarray]
) -> bpy.types.Object:
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(surface.points.tolist(), [], surface.faces)
    names = list(dict.fromkeys(surface.materials))
    for material in names:
        mesh.materials.append(_material(f"{name} {material}", _COLORS[material]))
    mesh.polygons.foreach_set("material_index", [names.index(m) for m in surface.materials])
    mesh.shade_smooth()
    obj = bpy.data.objects.new(name, mesh)
    context.collection.objects.link(obj)
    obj.shape_key_add(name="Basis")
    for key, offsets in keys.items():
        block = obj.shape_key_add(name=key, from_mix=False)
        block.data.foreach_set("co", (surface.points + offsets).astype(np.float32).ravel())
        block.value = 0.0  # 5.0 and newer begin at 1.
    return obj


def _material(name: str, color: tuple[float, ...]) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    if material.node_tree is None:  # 5.0 and newer always have one.
        material.use_nodes = True
    material.diffuse_color = color
    shader = material.node_tree.nodes["Principled BSDF"]
    shader.inputs["Base Color"].default_value = color
    shader.inputs["Roughness"].default_value = 0.6
    return material
