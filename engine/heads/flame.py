# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME heads from the user's own model file (2020, 2023, 2023 Open).

A :class:`~engine.heads.head.Head` is linear, so it holds FLAME's 100 expression directions as they
are (``expr_000`` …) and the jaw joint as three more under their ARKit names: ``jawOpen``,
``jawLeft`` and ``jawRight`` are the exact offsets of linear blend skinning at the angles below. In
between, a straight line stands for the arc of the jaw: for ``jawOpen`` at one half, a point 90 mm
from the joint is 1.0 mm off it. Whoever needs the full model takes :func:`read_flame` and
:func:`~engine.heads.skinning.flame_vertices`.

FLAME's expression directions are principal components and have no meaning of their own, so they
carry no ARKit names. The rules of :mod:`engine.motion.rules` need ARKit expressions: speech
comes to a FLAME head by retargeting a performance of the default head.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from engine.core.arrays import Float, Index
from engine.core.errors import BadInputError
from engine.heads.flame_file import read_flame, read_masks
from engine.heads.flame_jaw import JAW_DIRECTIONS, jaw_amounts
from engine.heads.flame_model import COEFFICIENT, EXPRESSIONS, JOINTS, SHAPES, FlameModel
from engine.heads.flame_teeth import add_teeth, tooth_regions
from engine.heads.flame_uv import template_of, with_template_uv
from engine.heads.head import Head, HeadSource, Skeleton
from engine.heads.known_files import FLAME, remember
from engine.heads.skinning import flame_vertices

__all__ = [
    "JAW_DIRECTIONS",
    "FlameModel",
    "FlamePerson",
    "flame_person",
    "flame_vertices",
    "load_flame",
    "read_flame",
]

_JAW = JOINTS.index("jaw")
_MASKS = ("FLAME_masks.pkl", "FLAME_masks.npz")
_REGIONS: dict[str, tuple[str, ...]] = {
    "lips": ("lips",),
    "forehead": ("forehead",),
    "nose": ("nose",),
    "ears": ("left_ear", "right_ear"),
    "face": ("face",),
    "scalp": ("scalp",),
    "neck": ("neck",),
}
"""Regions of a head from the masks that come with FLAME."""


class FlamePerson(NamedTuple):
    """A person in FLAME's terms.

    Attributes:
        model: the model whose template is the person's neutral face, with teeth where it has them.
        head: the same, linear.
    """

    model: FlameModel
    head: Head


def load_flame(
    path: str | Path,
    *,
    shape: Float | None = None,
    static_offset: Float | None = None,
    teeth: bool = True,
    regions: str | Path | Mapping[str, Index] | None = None,
) -> Head:
    """Load a FLAME model file as a head.

    Args:
        path: ``generic_model.pkl``, ``flame2023.pkl``, ``flame2023_Open.pkl`` or the same arrays as
            ``.npz``. Pickles are read as data; nothing in them is run.
        shape: (≤ 300,) identity coefficients; the mean head without.
        static_offset: (V, 3) metres, added to the neutral head of that identity; its number of
            vertices says whether there are teeth.
        teeth: add teeth (5,143 vertices and 10,144 triangles instead of 5,023 and 9,976).
        regions: FLAME's vertex masks, as a file or as vertex sets by its names; without it,
            ``FLAME_masks.pkl`` or ``.npz`` beside ``path`` is taken where there is one. Regions
            that only masks tell (lips, forehead, nose …) are left out when there are none.

    Texture coordinates are those of the file, else of ``head_template.obj`` beside it or given to
    it by :func:`engine.heads.flame_uv.give_template`, else of a cylinder.

    Returns:
        The head. Its id is ``flame-`` and a digest of its mesh, so the same model and identity have
        the same id from a pickle and from an npz, and another FLAME version has another.

    Raises:
        BadInputError: a file that is not what it should be, or an identity that does not fit.
    """
    return flame_person(
        path, shape=shape, static_offset=static_offset, teeth=teeth, regions=regions
    ).head


def flame_person(
    path: str | Path,
    *,
    shape: Float | None = None,
    static_offset: Float | None = None,
    teeth: bool = True,
    regions: str | Path | Mapping[str, Index] | None = None,
) -> FlamePerson:
    """A person from a FLAME model file; arguments and errors are those of :func:`load_flame`."""
    path = Path(path)
    model = read_flame(path)
    digest = model_digest(model)
    remember(digest, path, FLAME)
    masks = _masks(path, regions)
    shape = np.zeros(0, np.float32) if shape is None else np.asarray(shape, np.float32)
    skin_count = len(model.v_template)
    if static_offset is not None:
        teeth = len(static_offset) != skin_count
    model = _with_identity(model, shape)
    if teeth:
        model = add_teeth(model, masks.get("lips"))
    source = HeadSource("flame", path.name, digest, np.trim_zeros(shape, "b"))
    if static_offset is not None:
        offset = np.asarray(static_offset, np.float32)
        model = _with_offset(model, offset, path, skin_count)
        source = replace(source, static_offset=offset)
    head = head_of(
        model,
        masks=masks,
        teeth=teeth,
        provenance={
            "source": path.name,
            "model": "FLAME, Li et al. 2017, https://flame.is.tue.mpg.de",
            "licence": "that of the model file: FLAME's own terms, CC-BY-4.0 for FLAME 2023 Open",
        },
    )
    head = replace(head, source=source)
    if model.uv is None and (template := template_of(path, digest)) is not None:
        head = with_template_uv(head, template)
    return FlamePerson(model, head)


def model_digest(model: FlameModel) -> str:
    """SHA-256 of a model file's arrays, in hexadecimal digits; pickle and npz have the same."""
    digest = hashlib.sha256()
    for array in (model.v_template, model.f, model.shapedirs, model.posedirs, model.weights):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def head_of(
    model: FlameModel,
    *,
    masks: Mapping[str, Index] | None = None,
    teeth: bool = False,
    provenance: Mapping[str, str] | None = None,
) -> Head:
    """The linear head of a FLAME model.

    Args:
        model: the model, its template being the neutral of the head.
        masks: FLAME's vertex masks.
        teeth: whether the model ends with the teeth of :func:`~engine.heads.flame_teeth.add_teeth`.
        provenance: what the head came from.
    """
    expressions = np.moveaxis(model.shapedirs[..., SHAPES : SHAPES + EXPRESSIONS], -1, 0)
    basis = np.concatenate([expressions, _jaw_offsets(model)]).astype(np.float32)
    names = (*(f"{COEFFICIENT}{number:03d}" for number in range(EXPRESSIONS)), *JAW_DIRECTIONS)
    uv, uv_faces = model.uv, model.uv_faces
    if uv is None or uv_faces is None:
        uv, uv_faces = _cylinder_uv(model.v_template, model.f)
    regions, landmarks = _regions(model, masks or {}, teeth=teeth)
    return Head(
        id=f"flame-{_digest(model.v_template, basis, model.f)}",
        template=model.v_template,
        faces=model.f,
        uv=uv,
        uv_faces=uv_faces,
        expression_basis=np.ascontiguousarray(basis),
        expression_names=names,
        skeleton=Skeleton(
            JOINTS,
            model.parents,
            model.joints(model.v_template),
            model.weights,
            np.ascontiguousarray(np.moveaxis(model.posedirs, -1, 0)),
        ),
        regions=regions,
        landmarks=landmarks,
        provenance=dict(provenance or {}),
    )


def expression_weights(expr: Float, jaw_pose: Float) -> Float:
    """FLAME's expression and jaw as a head has them.

    Args:
        expr: (..., 100) expression coefficients.
        jaw_pose: (..., 3) rotation vectors, radians.

    Returns:
        (..., E) float32: the coefficients, then the amounts of :data:`JAW_DIRECTIONS`.
    """
    amounts = jaw_amounts(jaw_pose)
    weights: Float = np.concatenate([expr, amounts], -1).astype(np.float32)
    return weights


def _with_identity(model: FlameModel, shape: Float) -> FlameModel:
    if shape.ndim != 1 or len(shape) > SHAPES or not np.isfinite(shape).all():
        raise BadInputError(
            f"The shape has the size {shape.shape}; FLAME takes up to {SHAPES} finite numbers.",
            "Give the identity coefficients of one person.",
        )
    return replace(model, v_template=model.shaped(shape))


def _with_offset(model: FlameModel, offset: Float, path: Path, skin_count: int) -> FlameModel:
    expected = model.v_template.shape
    if offset.shape != expected or not np.isfinite(offset).all():
        raise BadInputError(
            f"The static offset is for a head of {len(offset)} vertices; {path.name} has "
            f"{skin_count}, or {expected[0]} with teeth.",
            "Give the FLAME model that the person was fitted with.",
        )
    return replace(model, v_template=model.v_template + offset)


def _jaw_offsets(model: FlameModel) -> Float:
    """(3, V, 3) exact skinning offsets of the jaw rotations in :data:`JAW_DIRECTIONS`."""
    pose = torch.zeros(len(JAW_DIRECTIONS), 15, dtype=torch.float64)
    for row, rotation in enumerate(JAW_DIRECTIONS.values()):
        pose[row, 3 * _JAW : 3 * _JAW + 3] = torch.tensor(rotation, dtype=torch.float64)
    none = torch.zeros(0, dtype=torch.float64)
    posed = flame_vertices(model, none, none, pose).numpy()
    return (posed - model.v_template).astype(np.float32)


def _masks(path: Path, regions: str | Path | Mapping[str, Index] | None) -> dict[str, Index]:
    if regions is None:
        beside = next(
            (path.with_name(name) for name in _MASKS if path.with_name(name).is_file()), None
        )
        return {} if beside is None else read_masks(beside)
    if isinstance(regions, Mapping):
        return {name: np.unique(np.asarray(indices, np.int32)) for name, indices in regions.items()}
    return read_masks(regions)


def _regions(
    model: FlameModel, masks: Mapping[str, Index], *, teeth: bool
) -> tuple[dict[str, Index], dict[str, Index]]:
    regions: dict[str, Index] = {}
    landmarks: dict[str, Index] = {}
    for name, parts in _REGIONS.items():
        if all(part in masks for part in parts):
            regions[name] = np.unique(np.concatenate([masks[part] for part in parts]))
    for side in ("left", "right"):
        # Each eyeball follows its own joint alone, so the weights tell it without a mask.
        follows = model.weights[:, JOINTS.index(f"{side}_eye")] > 0.5
        regions[f"{side}_eyeball"] = np.flatnonzero(follows).astype(np.int32)
    regions["eyeballs"] = np.union1d(regions["left_eyeball"], regions["right_eyeball"])
    if teeth:
        for name, indices in tooth_regions(len(model.v_template)).items():
            (landmarks if name.endswith("_edge") else regions)[name] = indices
    if "lips" in regions:
        _add_lips(model, regions, landmarks)
    return regions, landmarks


def _add_lips(model: FlameModel, regions: dict[str, Index], landmarks: dict[str, Index]) -> None:
    """Upper and lower lip by the jaw's weight, and the pairs of vertices where they meet."""
    lips = regions["lips"]
    lower = lips[model.weights[lips, _JAW] > 0.5]
    upper = np.setdiff1d(lips, lower)
    x = model.v_template[lips, 0]
    landmarks["mouth_corners"] = lips[[int(np.argmin(x)), int(np.argmax(x))]]
    if not len(lower) or not len(upper):
        return
    regions["upper_lip"], regions["lower_lip"] = upper, lower
    apart = np.linalg.norm(
        model.v_template[upper][:, None] - model.v_template[lower][None], axis=-1
    )
    to_lower, to_upper = apart.argmin(1), apart.argmin(0)
    mutual = np.flatnonzero(to_upper[to_lower] == np.arange(len(upper)))
    mutual = mutual[np.argsort(model.v_template[upper[mutual], 0])]
    landmarks["inner_lip_upper"] = upper[mutual]
    landmarks["inner_lip_lower"] = lower[to_lower[mutual]]


def _cylinder_uv(template: Float, faces: Index) -> tuple[Float, Index]:
    """Texture coordinates by projection onto a cylinder round +Y, its seam at the back.

    For model files without their own; triangles across the seam get copies of their corners.
    """
    centred = template - template.mean(0)
    u = 0.5 + np.arctan2(centred[:, 0], centred[:, 2]) / (2 * np.pi)
    height = centred[:, 1] - centred[:, 1].min()
    uv = np.stack([u, height / max(float(height.max()), 1e-9)], 1)
    corners = u[faces]
    wraps = corners.max(1, keepdims=True) - corners > 0.5
    uv = np.concatenate([uv, uv + np.array([1.0, 0.0])])
    return uv.astype(np.float32), (faces + wraps * len(template)).astype(np.int32)


def _digest(*arrays: NDArray[np.generic]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:12]
