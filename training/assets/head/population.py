# SPDX-License-Identifier: GPL-3.0-or-later
"""People sampled from the anny body model: adults of every age, sex, build and origin."""

from __future__ import annotations

from dataclasses import dataclass

import anny
import numpy as np
import torch
from numpy.random import Generator
from scipy.spatial.transform import Rotation

from engine.core.arrays import Double, Float
from training.assets.head.source import JOINT_BONES, JOINTS, PHENOTYPE, Source, head_axes

ORIGINS = ("african", "asian", "caucasian")
"""anny's names of the three sets of targets between which a person's features lie."""
_LOCAL = ("cheek", "chin", "ear-", "ear_", "eyebrows", "eye-", "forehead", "head", "mouth", "nose",
          "neck", "measure-neck")  # fmt: skip
# Standard deviations of the local targets, whose ends at ±1 are a caricature's. Those that move a
# feature off the midline are a person's asymmetry, and what the neck does is the body's.
_DEVIATION, _NECK, _SIDEWAYS, _LEFT_RIGHT = 0.22, 0.1, 0.05, 0.06
_BATCH = 50
# Points above this height of the source take part in the alignment, metres.
_SKULL = -0.09


@dataclass(frozen=True, eq=False)
class Population:
    """Sampled people, rigidly aligned to the source's person.

    Attributes:
        moved: (N, V, 3) metres: how each vertex of the source's body lies in each person.
        joints: (N, 5, 3) the same of the joints.
    """

    moved: Float
    joints: Float


def sample_population(source: Source, count: int, seed: int) -> Population:
    """Sample people, each with his mirror image, so that neither side differs on the whole.

    Args:
        source: whose person the people are measured from.
        count: people, without their mirror images.
        seed: of the random numbers.
    """
    model = anny.Anny(
        rig="makehuman",
        topology="makehuman-full",
        local_changes="all",
        phenotypes="all",
        phenotype_blendshapes="original",
    )
    labels = [label for label in model.local_change_labels if _is_local(label)]
    generator = np.random.default_rng(seed)
    bones = [list(model.bone_labels).index(JOINT_BONES[name]) for name in JOINTS[1:]]
    rest, rest_joints = _people(model, bones, {k: np.array([v]) for k, v in PHENOTYPE.items()}, {})
    skull = source.groups["body"]
    skull = skull[source.vertices[skull, 1] > _SKULL]
    moved, joints = [], []
    for first in range(0, count, _BATCH):
        size = min(_BATCH, count - first)
        bodies, heads = _people(
            model, bones, _phenotypes(generator, size), _local_changes(generator, labels, size)
        )
        for body, head in zip(bodies, heads, strict=True):
            turn, shift = _alignment(body[skull], rest[0][skull])
            moved.append(turn.apply(body) + shift - rest[0])
            joints.append(turn.apply(head) + shift - rest_joints[0])
    flip = np.array([-1, 1, 1], np.float32)
    people, places = np.array(moved, np.float32), np.array(joints, np.float32)
    swap = [JOINTS.index(_mirrored(name)) for name in JOINTS]
    return Population(
        np.concatenate([people, people[:, source.mirror] * flip]),
        np.concatenate([places, places[:, swap] * flip]),
    )


def _is_local(label: str) -> bool:
    name = label.removeprefix("l-").removeprefix("r-")
    return name.startswith(_LOCAL)


def _mirrored(joint: str) -> str:
    for side, other in (("left_", "right_"), ("right_", "left_")):
        if joint.startswith(side):
            return joint.replace(side, other)
    return joint


def _phenotypes(generator: Generator, size: int) -> dict[str, Double]:
    """Adults from 18 to old age; of body measures the middle is common, of sex the ends are."""

    def measure(middle: float, deviation: float) -> Double:
        return np.clip(generator.normal(middle, deviation, size), 0, 1)

    origins = generator.dirichlet(np.full(len(ORIGINS), 0.6), size)
    return {
        "gender": generator.beta(0.4, 0.4, size),
        "age": generator.uniform(0.5, 1.0, size),
        "muscle": measure(0.5, 0.2),
        "weight": measure(0.5, 0.2),
        "height": measure(0.5, 0.15),
        "proportions": measure(0.7, 0.2),
        **dict(zip(ORIGINS, origins.T, strict=True)),
    }


def _local_changes(generator: Generator, labels: list[str], size: int) -> dict[str, Double]:
    """Changes of single features; those of left and right are alike but for a little."""
    shared: dict[str, Double] = {}
    changes = {}
    for label in labels:
        name = label.removeprefix("l-").removeprefix("r-")
        midline = name == label
        if name not in shared:
            shared[name] = generator.normal(0, _deviation(name, midline=midline), size)
        value = shared[name]
        if not midline:
            value = value + generator.normal(0, _LEFT_RIGHT, size)
        changes[label] = np.clip(value, -1, 1)
    return changes


def _deviation(name: str, *, midline: bool) -> float:
    if midline and name.endswith("trans-out"):
        return _SIDEWAYS
    return _NECK if "neck" in name else _DEVIATION


def _people(
    model: anny.Anny, bones: list[int], phenotypes: dict[str, Double], changes: dict[str, Double]
) -> tuple[Double, Double]:
    """(B, V, 3) bodies and (B, 5, 3) joints of them, head space axes."""
    with torch.no_grad():
        out = model(
            phenotype_kwargs={name: torch.as_tensor(value) for name, value in phenotypes.items()},
            local_changes_kwargs={name: torch.as_tensor(value) for name, value in changes.items()},
        )
    heads = head_axes(out["rest_bone_heads"].numpy())[:, bones]
    # The root follows the neck's joint, as it does in the source.
    return head_axes(out["rest_vertices"].numpy()), np.concatenate([heads[:, :1], heads], axis=1)


def _alignment(points: Double, targets: Double) -> tuple[Rotation, Double]:
    """The rotation and the translation that bring points onto targets in the least squares."""
    middle, goal = points.mean(axis=0), targets.mean(axis=0)
    turn = Rotation.align_vectors(targets - goal, points - middle)[0]
    return turn, goal - turn.apply(middle)
