# SPDX-License-Identifier: GPL-3.0-or-later
"""The default head's expressions on any other head: FLAME of any version, or an artist's mesh.

The work of minutes for a rigger, done by registration (:mod:`engine.heads.registration`) and
transfer (:mod:`engine.heads.correspondence`). A registration is kept in the user's cache folder
under a digest of both heads; the transfer takes under a second.
"""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from engine.core.arrays import Float, Index
from engine.core.errors import BadInputError
from engine.core.npz import open_npz
from engine.core.npz_writing import write_npz
from engine.core.progress import Progress, no_progress, subprogress
from engine.core.runtime import cache_folder
from engine.heads.anatomy import Anatomy, anatomy
from engine.heads.correspondence import Correspondence, correspondence
from engine.heads.default import load_default_head
from engine.heads.head import Head
from engine.heads.lower_lip_roll import fit_lower_lip_roll
from engine.heads.registration import Registration, Similarity, register
from engine.heads.welding import Weld, weld

MOUTH_SHAPES = ("jawOpen", "mouthClose", "mouthFunnel", "mouthPucker")
"""Without these ARKit expressions a head cannot speak by itself."""

_VERSION = 1
"""Of the registration; another one makes kept registrations stale."""
_REGISTERED = 0.8
_OWN_REGIONS_TRUSTED = 0.3

_MADE: WeakKeyDictionary[Head, Head] = WeakKeyDictionary()


def has_arkit_visemes(head: Head) -> bool:
    """Whether a head has the mouth shapes that speech is made of."""
    return set(MOUTH_SHAPES) <= set(head.expression_names)


def with_arkit_expressions(head: Head, *, progress: Progress = no_progress) -> Head:
    """The head itself where it has ARKit mouth shapes, else with the default head's expressions.

    Made once per head and process.

    Args:
        head: any head.
        progress: called with the share done; may raise to cancel.

    Returns:
        A head of the same id, mesh and skeleton whose expressions have ARKit names; regions and
        landmarks that the head lacks are the default head's by correspondence.

    Raises:
        BadInputError: the default head's face cannot be laid onto this one.
    """
    if has_arkit_visemes(head):
        return head
    if head not in _MADE:
        _MADE[head] = retargeted_head(load_default_head(), head, progress=progress)
    return _MADE[head]


def retargeted_head(source: Head, target: Head, *, progress: Progress = no_progress) -> Head:
    """The target with the source's expressions, and its regions and landmarks where it lacks them.

    Raises:
        BadInputError: the source's face cannot be laid onto the target.
    """
    onto = weld(target)
    if onto.head is not target:
        return _split(retargeted_head(source, onto.head, progress=progress), onto, target)
    source = weld(source).head
    found = correspond(source, target, progress=subprogress(progress, 0.0, _REGISTERED))
    basis = found.carry(source.expression_basis, progress=subprogress(progress, _REGISTERED, 1.0))
    made = replace(
        target,
        expression_basis=basis,
        expression_names=source.expression_names,
        regions={**_regions(found), **target.regions},
        landmarks={**_landmarks(found), **target.landmarks},
    )
    fitted = fit_lower_lip_roll(source, made, found.registration.similarity)
    return replace(made, expression_basis=fitted)


def _split(made: Head, whole: Weld, target: Head) -> Head:
    """A whole head that was retargeted, with the vertices of its file."""
    regions = {name: whole.split(members) for name, members in made.regions.items()}
    marks = {name: whole.first[m].astype(np.int32) for name, m in made.landmarks.items()}
    return replace(
        target,
        expression_basis=made.expression_basis[:, whole.index],
        expression_names=made.expression_names,
        regions=regions,
        landmarks=marks,
    )


def carry_basis(
    source: Head, target: Head, basis: Float, *, progress: Progress = no_progress
) -> Float:
    """Offsets of one head as offsets of another.

    Args:
        source: a head.
        target: any head in head space with closed lips.
        basis: (K, Vs, 3) metres.
        progress: called with the share done; may raise to cancel.

    Returns:
        (K, Vt, 3) float32, metres.

    Raises:
        BadInputError: the source's face cannot be laid onto the target.
    """
    of, onto = weld(source), weld(target)
    found = correspond(of.head, onto.head, progress=subprogress(progress, 0.0, _REGISTERED))
    carried = found.carry(basis[:, of.first], progress=subprogress(progress, _REGISTERED, 1.0))
    return carried[:, onto.index]


def correspond(source: Head, target: Head, *, progress: Progress = no_progress) -> Correspondence:
    """Which point of the source each vertex of the target follows.

    The registration comes from the cache where it was made before.

    Raises:
        BadInputError: the source's face cannot be laid onto the target.
    """
    ours, theirs = anatomy(source), anatomy(target)
    kept = cache_folder() / "retarget" / f"{_digest(source, target)}.npz"
    registration = _kept(kept, source)
    if registration is None:
        registration = register(ours, theirs, progress=progress)
        # Where the folder cannot be written the next time takes as long again, no more.
        with contextlib.suppress(OSError):
            _keep(kept, registration)
    progress(1.0, "the heads are matched")
    return correspondence(ours, theirs, registration)


def _digest(source: Head, target: Head) -> str:
    digest = hashlib.sha256(f"registration {_VERSION}".encode())
    for head in (source, target):
        arrays: dict[str, NDArray[np.generic]] = {
            "template": head.template,
            "faces": head.faces,
            "joints": head.skeleton.positions,
            "weights": head.skeleton.weights,
        }
        arrays |= {f"region {name}": indices for name, indices in head.regions.items()}
        arrays |= {f"landmark {name}": indices for name, indices in head.landmarks.items()}
        if "jawOpen" in head.expression_names:
            arrays["jaw"] = head.expression_basis[head.expression_index("jawOpen")]
        digest.update(" ".join(head.skeleton.names).encode())
        for name in sorted(arrays):
            array = np.ascontiguousarray(arrays[name])
            digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()[:32]


def _keep(path: Path, made: Registration) -> None:
    write_npz(
        path,
        vertices=made.vertices,
        scale=np.asarray(made.similarity.scale),
        rotation=made.similarity.rotation,
        shift=made.similarity.shift,
        error=np.asarray(made.error),
    )


def _kept(path: Path, source: Head) -> Registration | None:
    """What :func:`_keep` wrote; ``None`` where it is missing or damaged."""
    try:
        data = open_npz(path)
        vertices = data.numbers("vertices", source.template.shape, np.float64)
        rotation = data.numbers("rotation", (3, 3), np.float64)
        shift = data.numbers("shift", (3,), np.float64)
        moved = Similarity(data.number("scale"), rotation, shift)
        return Registration(vertices, moved, data.number("error"))
    except BadInputError:
        return None


def _regions(found: Correspondence) -> dict[str, Index]:
    """The source's regions on the target: skin by correspondence, parts by what they are."""
    source, target = found.source, found.target
    corner = np.take_along_axis(
        source.surface.faces[found.closest.faces],
        found.closest.weights.argmax(axis=1)[:, None],
        axis=1,
    )[:, 0]
    follows = source.skin[corner]
    trusted = found.trust > _OWN_REGIONS_TRUSTED
    regions = {}
    for name, members in source.head.regions.items():
        skin = target.skin[trusted & np.isin(follows, members)]
        if len(skin):
            regions[name] = np.sort(skin).astype(np.int32)
    for name, vertices in found.parts.items():
        if name != "skin":
            regions[name] = np.sort(vertices).astype(np.int32)
    for whole in ("teeth", "eyeball"):
        sets = [v for name, v in regions.items() if name.endswith(f"_{whole}")]
        if sets:
            regions[whole if whole == "teeth" else "eyeballs"] = np.unique(np.concatenate(sets))
    return regions


def _landmarks(found: Correspondence) -> dict[str, Index]:
    """The source's landmarks on the target, as far as it has the parts they are on."""
    marks = found.source.head.landmarks
    target, vertices = found.target, found.target.head.template
    registered = found.registration.vertices
    skin_tree = cKDTree(target.surface.vertices)
    result: dict[str, Index] = {}
    for name in ("nose_tip", "chin", "mouth_corners"):
        if name in marks:
            _, near = skin_tree.query(registered[marks[name]])
            result[name] = target.skin[near].astype(np.int32)
    for row in ("upper", "lower"):
        own = found.parts.get(f"{row}_teeth", np.zeros(0, np.intp))
        if f"{row}_teeth_edge" in marks and len(own):
            _, near = cKDTree(vertices[own]).query(registered[marks[f"{row}_teeth_edge"]])
            result[f"{row}_teeth_edge"] = _distinct(own[near])
    if "inner_lip_upper" in marks and "inner_lip_lower" in marks:
        upper, lower = _lip_pairs(target, registered, marks["inner_lip_upper"])
        if len(upper):
            result["inner_lip_upper"], result["inner_lip_lower"] = upper, lower
    return result


def _lip_pairs(target: Anatomy, source: NDArray[np.float64], line: Index) -> tuple[Index, Index]:
    """Vertices of the target's lips that touch, nearest to the source's line of contact."""
    if target.slit is None:
        return np.zeros(0, np.int32), np.zeros(0, np.int32)
    points = target.surface.vertices
    middles = 0.5 * (points[target.slit.upper] + points[target.slit.lower])
    _, near = cKDTree(middles).query(source[line])
    pairs = near[np.sort(np.unique(near, return_index=True)[1])]
    upper, lower = target.slit.upper[pairs], target.slit.lower[pairs]
    return target.skin[upper].astype(np.int32), target.skin[lower].astype(np.int32)


def _distinct(vertices: NDArray[np.intp]) -> Index:
    """In their order, each once."""
    first = np.sort(np.unique(vertices, return_index=True)[1])
    return np.asarray(vertices[first], np.int32)
