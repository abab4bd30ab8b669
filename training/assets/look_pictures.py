# SPDX-License-Identifier: GPL-3.0-or-later
"""The default avatar in other looks: its Gaussians in other colours and another light.

Its colours are those of one person in the light of a studio. They are divided by that light, at the
vertices of the head, given the colours of a look by the part of the face that they show, and lit
again by light that stands still while the head turns, with the shadows of the neutral head on
itself (:mod:`training.avatar.light`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.avatar import AvatarPipeline, GaussianAvatar, load_avatar, splats
from engine.core.arrays import Double, Float, Index
from engine.core.srgb import displayed, linear
from engine.heads.head import Head
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend
from training.assets.looks import Look, brightness
from training.avatar.light import sphere, transfer
from training.synthetic.person.hair import hair_cover
from training.synthetic.person.patterns import step

_ALBEDO = 0.8
"""Of a look's colours, so that bright skin in bright light is not white."""
_SHADE = 0.2
"""Added to light before it is divided by, against the face's mean: where the studio leaves it dark,
colours are mostly not the light's."""
_BALL, _IRIS = 1.06, 1.05
"""Against the radii of eyeball and iris: what is bound to them and lies farther out shows lids."""
_STANDING = 0.0012
"""Metres: hair above that is gone where there is none."""
_HIDDEN = ("mouth_interior", "inner_lips", "gums", "tongue", "teeth", "eyeballs")


class _Parts(NamedTuple):
    """What each Gaussian shows, (G,) each; ``eye`` is 0 for none, 1 the left, 2 the right."""

    hair: Double
    brows: Double
    lips: Double
    beard: Double
    moustache: Double
    eyes: NDArray[np.bool_]
    irises: NDArray[np.bool_]
    teeth: NDArray[np.bool_]
    tongue: NDArray[np.bool_]
    eye: Index
    skin: NDArray[np.bool_]
    standing: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Level:
    """Median colours of the avatar's parts, scene-linear (3,)."""

    skin: Double
    hair: Double
    iris: Double


class LookPictures:
    """Pictures of a head in looks, taken by a camera at the origin.

    Args:
        head: the default head.
        camera: of the pictures; square.
    """

    def __init__(self, head: Head, camera: Camera) -> None:
        avatar = load_avatar("default", head)
        if avatar.light is None:
            raise SystemExit("The default avatar has no light: it cannot be lit again.")
        self._camera, self._backend = camera, choose_backend("cpu")
        self._pipeline = AvatarPipeline(avatar, self._backend.device)
        self._corners: Index = avatar.faces[avatar.binding.long()].numpy()
        own = linear(avatar.color.colors(None, None).double().numpy())
        self._parts = parts = _parts(head, avatar, self._corners, own)
        self._level = _Level(
            np.median(own[parts.skin], axis=0),
            np.median(own[parts.hair > 0.8], axis=0),
            np.median(own[parts.irises], axis=0),
        )
        self._studio = avatar.light.double().numpy()
        self._transfer, self._directions = transfer(head), sphere()
        regions, sides = head.regions, head.template[head.regions["eyelids"], 0]
        self._lids = [regions["eyelids"][sides > 0], regions["eyelids"][sides < 0]]
        self._mouth = np.union1d(regions["lips"], regions["eyelids"])
        hidden = np.unique(np.concatenate([regions[name] for name in _HIDDEN]))
        self._face = np.setdiff1d(regions["face"], hidden)
        self._dark = np.isin(self._corners, hidden).any(axis=1)
        # Stubble is not of one darkness.
        self._stubble = 0.55 + 0.45 * np.random.default_rng(0).random(len(self._corners))

    @torch.inference_mode()
    def take(
        self,
        look: Look,
        vertices: Float,
        expression: Float,
        matrix: Double,
        rng: np.random.Generator,
    ) -> NDArray[np.uint8]:
        """A picture, (H, W, 3) uint8.

        Args:
            look: of the person.
            vertices: (V, 3) head space.
            expression: (E,).
            matrix: (4, 4) head space to the camera.
            rng: of the camera's noise.
        """
        shown = self._pipeline.splats(
            vertices, expression, matrix.astype(np.float32), self._camera.viewpoint
        )
        own = linear(np.clip(shown.colors.double().numpy(), 0, 1))
        lit = self._colored(look, own) * self._relit(look, matrix)
        level = np.median(brightness(lit)[self._parts.skin])
        lit *= float(linear(np.array(look.exposure))) / max(float(level), 1e-6)
        opacities = shown.opacities.clone()
        if look.bald:
            opacities[torch.from_numpy(self._parts.standing)] = 0.0
        colors = torch.from_numpy(np.clip(displayed(lit), 0, 1.5).astype(np.float32))
        rgb, alpha, _ = self._backend.render(
            shown._replace(colors=colors, opacities=opacities), self._camera
        )
        picture = rgb.numpy() + (1 - alpha.numpy())[..., None] * look.background
        return look.photographed(np.clip(picture, 0, 1), rng)

    def _colored(self, look: Look, own: Double) -> Double:
        """(G, 3) in the colours of a look, still in the studio's light."""
        parts, level = self._parts, self._level
        skin = _ALBEDO * look.skin
        against = np.clip(own / level.skin, 0.03, 3)
        darkness = np.clip(brightness(own / level.skin), 0.02, 3)[:, None]
        grey = own.mean(axis=1, keepdims=True) / level.hair.mean()
        hair = skin * np.clip(grey, 0.6, 1.15) if look.bald else look.hair * grey
        colors = own / level.skin * skin
        colors = _mixed(colors, skin * against**look.lips * look.lip_hue, parts.lips)
        brows = skin * np.clip(darkness, 0.05, 1.2) ** look.brows * look.brow_hue
        colors = _mixed(colors, brows, parts.brows)
        colors = _mixed(colors, hair, parts.hair)
        thick = np.maximum(look.beard * parts.beard, look.moustache * parts.moustache)
        stubble = np.minimum(0.8 * look.hair * np.clip(darkness, 0.3, 1.5), colors)
        colors = _mixed(colors, stubble, thick * self._stubble)
        # What of an eyeball is behind the lids, of teeth behind the lips, may have skin's colour.
        white = step(0.5, 0.7, own[:, 2] / np.maximum(own[:, 0], 1e-4))
        iris = look.iris * np.clip(brightness(own) / brightness(level.iris), 0.05, 2.5)[:, None]
        colors = _mixed(colors, iris, parts.irises * white)
        sclera = _ALBEDO * look.sclera * own
        colors = _mixed(colors, sclera, (parts.eyes & ~parts.irises) * white)
        return _mixed(colors, own, np.where(parts.tongue, 1.0, parts.teeth * white))

    def _relit(self, look: Look, matrix: Double) -> Double:
        """(G, 3) a look's light against the studio's."""
        light = self._transfer @ look.radiance(self._directions @ matrix[:3, :3].T)
        here, there = light[self._face].mean(axis=0), self._studio[self._face].mean(axis=0)
        light = np.maximum(light, 0.06 * here)
        of_gaussians = [
            at[self._corners].mean(axis=1) for at in (light / here, self._studio / there)
        ]
        ratio: Double = (of_gaussians[0] + _SHADE) / (of_gaussians[1] + _SHADE) * (here / there)
        # No light of the neutral face comes there.
        mouth = light[self._mouth].mean(axis=0) / self._studio[self._mouth].mean(axis=0)
        ratio[self._dark] = mouth
        for number, lids in enumerate(self._lids, 1):
            ratio[self._parts.eye == number] = light[lids].mean(0) / self._studio[lids].mean(0)
        return ratio


def _mixed(first: Double, second: Double, amount: Double) -> Double:
    result: Double = first + (second - first) * amount[:, None]
    return result


def _parts(head: Head, avatar: GaussianAvatar, corners: Index, own: Double) -> _Parts:
    """By the triangles they are bound to, their places on the neutral head and their darkness."""
    with torch.no_grad():
        places = splats(avatar, torch.from_numpy(head.template)).means.double().numpy()
    triangle = head.template[corners].astype(np.float64)
    middles = triangle.mean(axis=1)
    normals = np.cross(triangle[:, 1] - triangle[:, 0], triangle[:, 2] - triangle[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    height = ((places - middles) * normals).sum(axis=1)
    light = brightness(own)

    def corners_in(*names: str) -> Index:
        """(G,) how many corners of a Gaussian's triangle are of regions."""
        vertices = np.concatenate([head.regions[name] for name in names])
        inside: Index = np.isin(corners, vertices).sum(axis=1)
        return inside

    ears, lips = corners_in("ears") > 0, corners_in("lips") > 1
    inside = (corners_in("mouth_interior") > 1) & ~lips
    inside |= corners_in("teeth", "gums", "tongue") > 0
    eyes, irises, eye = _eyes(head, corners, places)
    cover = np.maximum(hair_cover(places), hair_cover(middles))
    dark = step(0.30, 0.15, light)
    hair = np.minimum(2 * cover, 1) * np.maximum(dark, 0.3 * (cover > 0.6)) * ~ears
    hair = np.maximum(hair, (places[:, 1] > 0.05) & (height > 0.0015) & (light < 0.2))
    away = cKDTree(head.template[head.regions["brows"]]).query(places)[0]
    brows = step(0.006, 0.003, away) * step(0.32, 0.17, light) * (1 - hair) * ~eyes
    x, y, z = np.abs(places[:, 0]), places[:, 1], places[:, 2]
    low = step(-0.030, -0.042, y) * step(-0.11, -0.10, y) * step(0.0, 0.02, z) * ~(lips | inside)
    side = step(0.02, -0.03, y) * step(-0.11, -0.10, y) * step(0.045, 0.06, x) * ~ears
    side = side * step(0.0, 0.015, z) * step(0.075, 0.06, z)
    plain = (1 - hair) * ~(lips | eyes | inside) * (1 - brows)
    return _Parts(
        hair=hair,
        brows=brows,
        lips=(lips & ~inside).astype(np.float64),
        beard=np.maximum(low, side) * (1 - hair),
        moustache=low * step(-0.056, -0.050, y) * (1 - hair),
        eyes=eyes,
        irises=irises,
        teeth=corners_in("teeth") > 0,
        tongue=corners_in("tongue") > 0,
        eye=eye,
        skin=(plain > 0.9) & (cover < 0.02) & (middles[:, 2] > 0.05),
        standing=(hair > 0.3) & (height > _STANDING),
    )


def _eyes(
    head: Head, corners: Index, places: Double
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], Index]:
    """Whether Gaussians show an eye, its iris, and which eyeball they are bound to."""
    eyes, irises = np.zeros((2, len(corners)), bool)
    eye = np.zeros(len(corners), np.int32)
    for number, side in enumerate(("left", "right"), 1):
        bound = np.isin(corners, head.regions[f"{side}_eyeball"]).any(axis=1)
        eye[bound] = number
        away, radius = _from_middle(head, f"{side}_eyeball", places)
        ball = bound & (away < _BALL * radius)
        away, radius = _from_middle(head, f"{side}_iris", places)
        eyes |= ball
        irises |= ball & (away < _IRIS * radius)
    return eyes, irises, eye


def _from_middle(head: Head, region: str, places: Double) -> tuple[Double, float]:
    """(N,) metres from the middle of a region, and its radius."""
    vertices = head.template[head.regions[region]].astype(np.float64)
    middle = vertices.mean(axis=0)
    radius = float(np.linalg.norm(vertices - middle, axis=1).max())
    return np.linalg.norm(places - middle, axis=1), radius
