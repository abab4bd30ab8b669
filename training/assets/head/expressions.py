# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairs of the source's facial actions that hold for every part of the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.core.arrays import Double, Ids
from training.assets.head.source import Source

_MIRROR = np.array([-1.0, 1.0, 1.0])
# The source's lids rest low, which looks sleepy: so much of eyeWide goes into the neutral face.
_OPENNESS = 0.35
# At its full size the source's upper lip rolls right through the upper teeth.
_SOFTENED = {"mouthRollUpper": 0.65}


def repaired(source: Source) -> Source:
    """A symmetric source whose actions carry no rigid drift of the skull."""
    deltas = np.stack([without_drift(source, delta) for delta in source.deltas])
    deltas = symmetric(deltas, source.names, source.mirror)
    for name, share in _SOFTENED.items():
        deltas[source.names.index(name)] *= share
    vertices = (source.vertices + source.vertices[source.mirror] * _MIRROR) / 2
    for side in ("Left", "Right"):
        wide = source.names.index(f"eyeWide{side}")
        blink = source.names.index(f"eyeBlink{side}")
        vertices = vertices + _OPENNESS * deltas[wide]
        deltas[blink] -= _OPENNESS * deltas[wide]
    masks = {name: (mask + mask[source.mirror]) / 2 for name, mask in source.masks.items()}
    return replace(source, vertices=vertices, deltas=deltas, masks=masks)


def symmetric(deltas: Double, names: tuple[str, ...], mirror: Ids) -> Double:
    """Average each action with the mirror image of its partner on the other side."""
    partners = [names.index(mirrored_name(name)) for name in names]
    return np.asarray((deltas + deltas[partners][:, mirror] * _MIRROR) / 2)


def mirrored_name(name: str) -> str:
    """``eyeBlinkLeft`` ↔ ``eyeBlinkRight``; central expressions are their own partners."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


def without_drift(source: Source, delta: Double) -> Double:
    """Take away the small rigid motion that fits the skull's displacement best.

    Linear least squares for a translation and a rotation vector over the skin of the skull, where
    no facial action has any business: d = t + r × v.
    """
    skull = source.groups["body"]
    skull = skull[source.vertices[skull, 1] > 0.06]
    points = source.vertices[skull]
    if np.abs(delta[skull]).max() == 0:
        return delta
    turned = np.cross(np.eye(3)[None], points[:, None]).transpose(0, 2, 1)
    system = np.concatenate([np.tile(np.eye(3), (len(points), 1, 1)), turned], axis=2)
    motion = np.linalg.lstsq(system.reshape(-1, 6), delta[skull].ravel(), rcond=None)[0]
    moving = np.linalg.norm(delta, axis=1) > 0
    rigid = motion[:3] + np.cross(motion[3:], source.vertices)
    return np.asarray(delta - np.where(moving[:, None], rigid, 0))
