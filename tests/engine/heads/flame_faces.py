# SPDX-License-Identifier: GPL-3.0-or-later
"""The default head as another person, and that person in the arrays of a FLAME file."""

from dataclasses import replace

import numpy as np

from engine.heads.default import load_default_head

VERTICES, TRIANGLES = 5023, 9976


def warp(points):
    """A smooth map of space to another face: longer, narrower at the temples, a larger chin."""
    x, y, z = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    chin = np.exp(-((x / 0.03) ** 2 + ((y + 0.075) / 0.03) ** 2))
    return np.stack(
        [
            x * (1.06 + 0.06 * np.sin(12 * y)),
            1.08 * y + 0.004 * np.sin(18 * z) + 0.003 * np.cos(25 * y),
            0.95 * z + 0.006 * chin - 0.004 * np.cos(20 * x),
        ],
        -1,
    )


def another_person():
    """The default head warped, its expressions those of the warped points: the truth."""
    head = load_default_head()
    template = warp(head.template)
    basis = np.stack(
        [warp(head.template + offsets) - template for offsets in head.expression_basis]
    )
    positions = warp(head.skeleton.positions).astype(np.float32)
    return replace(
        head,
        id="another",
        template=template.astype(np.float32),
        expression_basis=basis.astype(np.float32),
        skeleton=replace(head.skeleton, positions=positions),
    )


def without_names(head):
    """A head of whose parts nothing is known but the mesh and the joints of the eyes."""
    skeleton = replace(head.skeleton, weights=np.zeros_like(head.skeleton.weights))
    return replace(
        head,
        id="nameless",
        regions={},
        landmarks={},
        skeleton=skeleton,
        expression_basis=head.expression_basis[:1],
        expression_names=("anything",),
    )


def facing_backwards(head):
    """Such a head turned round: no face can be laid onto its back."""
    turn = np.array([-1, 1, -1], np.float32)
    skeleton = replace(head.skeleton, positions=head.skeleton.positions * turn)
    return replace(
        without_names(head), id="backwards", template=head.template * turn, skeleton=skeleton
    )


def flame_dressed(person, seed=0):
    """A head as the arrays of a FLAME file, and which of its vertices they are.

    As in FLAME there are no teeth, no tongue and no mouth cavity; for its numbers of vertices and
    triangles the back of the head is cut open.
    """
    regions = person.regions
    inside = np.concatenate([regions[name] for name in ("teeth", "upper_gum", "lower_gum")])
    cavity = np.setdiff1d(regions["mouth_interior"], regions["inner_lips"])
    gone = np.concatenate([inside, regions["tongue"], cavity])
    kept = np.setdiff1d(np.arange(person.vertex_count), gone)
    depth = person.template[kept, 2] + np.isin(kept, regions["eyeballs"])
    kept = np.sort(kept[np.argsort(-depth, kind="stable")[:VERTICES]])
    number = np.full(person.vertex_count, -1)
    number[kept] = np.arange(VERTICES)
    faces = number[person.faces]
    faces = faces[(faces >= 0).all(axis=1)]
    back = np.argsort(-person.template[kept][faces].mean(axis=1)[:, 2], kind="stable")
    faces = faces[back[:TRIANGLES]]
    # Triangles twice are no harm; one is at the back of the head.
    faces = np.concatenate([faces, np.repeat(faces[-1:], TRIANGLES - len(faces), axis=0)])
    points = person.template[kept].astype(np.float64)
    joined = np.concatenate([points, np.ones((VERTICES, 1))], axis=1)
    joints = np.concatenate([person.skeleton.positions, np.ones((5, 1))], axis=1)
    return {
        "v_template": points,
        "f": faces.astype(np.uint32),
        "shapedirs": 1e-3 * np.random.default_rng(seed).standard_normal((VERTICES, 3, 400)),
        "posedirs": np.zeros((VERTICES, 3, 36)),
        "J_regressor": joints @ np.linalg.pinv(joined),
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "weights": person.skeleton.weights[kept].astype(np.float64),
    }, kept
