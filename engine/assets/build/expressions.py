# SPDX-License-Identifier: GPL-3.0-or-later
"""Repairs of the source's facial actions that hold for every part of the head."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.assets.build.mesh import Array, Ids
from engine.assets.build.source import Source

_MIRROR = np.array([-1.0, 1.0, 1.0])


def repaired(source: Source) -> Source:
    """Symmetric actions without rigid drift of the skull, so that only the face moves."""
    deltas = np.stack([without_drift(source, delta) for delta in source.deltas])
    return replace(source, deltas=symmetric(deltas, source.names, source.mirror))


def symmetric(deltas: Array, names: tuple[str, ...], mirror: Ids) -> Array:
    """Average each action with the mirror image of its partner on the other side."""
    partners = [names.index(mirrored_name(name)) for name in names]
    return np.asarray((deltas + deltas[partners][:, mirror] * _MIRROR) / 2)


def mirrored_name(name: str) -> str:
    """``eyeBlinkLeft`` ↔ ``eyeBlinkRight``; central expressions are their own partners."""
    for side, other in (("Left", "Right"), ("Right", "Left")):
        if name.endswith(side):
            return name.removesuffix(side) + other
    return name


def without_drift(source: Source, delta: Array) -> Array:
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
