# SPDX-License-Identifier: GPL-3.0-or-later
"""The default head as another person: its identity, with the expressions carried along."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.heads.default import DEFAULT_HEAD, load_default_head
from engine.heads.eye_clearance import fitted_sphere, lids_at, push_out_of_eye
from engine.heads.head import Head, HeadSource
from engine.heads.local_maps import LocalMaps
from engine.heads.lower_lip_roll import fit_lower_lip_roll
from engine.heads.registration import Similarity
from engine.heads.shape_basis import load_shape_basis

_NAMED = re.compile(r"[a-z]+(?:#(?:\d{1,9}|\d{1,4}=[-+]?\d*\.?\d+(?:,\d{1,4}=[-+]?\d*\.?\d+)*))?")
_NAME_REMEDY = (
    "Write default#7 for the person of a whole number, or default#0=1.5,3=-0.8 for coefficients "
    "in standard deviations."
)
_RIGID = (("left_eyeball",), ("right_eyeball",), ("upper_teeth", "upper_gum"),
          ("lower_teeth", "lower_gum"), ("tongue",))  # fmt: skip


def shaped_head(shape: Float, static_offset: Float | None = None) -> Head:
    """The default head with an identity.

    Vertices, faces, regions, landmarks, skinning and the names of the expressions are those of the
    default head. Each expression is turned and stretched by how the identity deforms the head
    around each vertex (:mod:`engine.heads.local_maps`): what is wider moves wider, lids close over
    larger eyes, and are kept outside the eyeballs. Points that touch have one map, so that lips
    that meet on the default head meet here. The roll of the lower lip is fitted to the upper teeth.

    Args:
        shape: (≤ K,) coefficients of :func:`engine.heads.shape_basis.load_shape_basis`, in standard
            deviations; zeros are the default head.
        static_offset: (V, 3) metres, what a person has beyond the basis.

    Returns:
        The head. Its id is ``default-`` and a digest of the identity; ``default`` where that is
        nothing.

    Raises:
        BadInputError: coefficients or offsets that do not fit.
    """
    head, basis = load_default_head(), load_shape_basis()
    coefficients = basis.checked(shape)
    offset = _checked(static_offset, head)
    if not coefficients.any() and not offset.any():
        return head
    moved = np.tensordot(coefficients, basis.components, 1) + offset
    maps = _maps().of(moved)
    template = (head.template + moved).astype(np.float32)
    expressions = np.einsum("vij,evj->evi", maps, head.expression_basis, optimize=True)
    for side, lids in _lids().items():
        ball = _ball(head, template, side)
        push_out_of_eye(
            template.astype(np.float64), expressions, head.expression_names, side, ball, lids
        )
    joints = head.skeleton.positions + np.tensordot(coefficients, basis.joints, 1)
    digest = hashlib.sha256(coefficients.tobytes() + offset.tobytes()).hexdigest()
    shaped = replace(
        head,
        id=f"{head.id}-{digest[:16]}",
        template=template,
        expression_basis=expressions.astype(np.float32),
        skeleton=replace(head.skeleton, positions=joints.astype(np.float32)),
        source=HeadSource(
            "default",
            shape=np.trim_zeros(coefficients, "b"),
            static_offset=offset if offset.any() else np.zeros((0, 3), np.float32),
        ),
    )
    size = Similarity(float(np.cbrt(np.linalg.det(maps[head.regions["face"]].mean(axis=0)))),
                      np.eye(3), np.zeros(3))  # fmt: skip
    return replace(shaped, expression_basis=fit_lower_lip_roll(head, shaped, size))


def head_of_name(name: str) -> Head:
    """The default head by a name that says its identity.

    Args:
        name: ``default``; ``default#SEED``, a person drawn from the population by a whole number;
            or ``default#N=VALUE,N=VALUE``, coefficients by their number, the others 0.

    Raises:
        BadInputError: another name, or coefficients that do not fit.
    """
    head, _, identity = name.partition("#")
    if head != DEFAULT_HEAD or not _NAMED.fullmatch(name):
        raise BadInputError(f"'{name}' names no identity of the default head.", _NAME_REMEDY)
    if not identity:
        return load_default_head()
    basis = load_shape_basis()
    if "=" not in identity:
        return shaped_head(basis.random(int(identity)))
    shape = np.zeros(basis.count, np.float32)
    for term in identity.split(","):
        number, _, value = term.partition("=")
        if int(number) >= basis.count:
            raise BadInputError(
                f"'{name}' names the coefficient {number}; the last is {basis.count - 1}.",
                _NAME_REMEDY,
            )
        shape[int(number)] = float(value)
    return shaped_head(shape)


@cache
def _maps() -> LocalMaps:
    head = load_default_head()
    parts = [np.concatenate([head.regions[name] for name in part]) for part in _RIGID]
    return LocalMaps(head.template, head.faces, parts)


@cache
def _lids() -> dict[str, NDArray[np.bool_]]:
    """By side, (V,) what is lid on the default head."""
    head = load_default_head()
    skin = np.ones(head.vertex_count, bool)
    skin[np.concatenate([head.regions[name] for part in _RIGID for name in part])] = False
    return {
        side: lids_at(head.template.astype(np.float64), _ball(head, head.template, side)) & skin
        for side in ("left", "right")
    }


def _ball(head: Head, vertices: Float, side: str) -> tuple[Double, float]:
    return fitted_sphere(vertices[head.regions[f"{side}_eyeball"]].astype(np.float64))


def _checked(offset: Float | None, head: Head) -> Float:
    if offset is None or not len(offset):
        return np.zeros_like(head.template)
    offset = np.asarray(offset, np.float32)
    if offset.shape != head.template.shape or not np.isfinite(offset).all():
        raise BadInputError(
            f"The default head has {head.vertex_count:,} vertices; offsets of shape "
            f"{offset.shape} do not fit it, or are not finite.",
            "Give a finite offset for each vertex, in metres.",
        )
    return offset
