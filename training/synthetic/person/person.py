# SPDX-License-Identifier: GPL-3.0-or-later
"""The filmed person: built once, then moved from frame to frame."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError
from engine.heads.head import Head
from training.synthetic.person.brows import eyebrows, eyelashes
from training.synthetic.person.eyes import eye_attributes, eye_material
from training.synthetic.person.hair import scalp_hair
from training.synthetic.person.hair_part import HairPart, hair_material
from training.synthetic.person.mesh_part import MeshPart
from training.synthetic.person.mouth import mouth_attributes, mouth_material
from training.synthetic.person.skin import furrow_attributes, skin_attributes, skin_material
from training.synthetic.person.strands import Front

_NEEDED = ("eyeballs", "teeth", "upper_gum", "lower_gum", "tongue", "brows", "lips", "ears")

HAIRS = 17000
BROW_HAIRS = 560
LASHES = 150


class Person:
    """A head with skin, eyes, mouth and hair, as Cycles renders it.

    Attributes:
        head: the head.
        root: an empty that all parts hang on; its ``matrix_world`` places the whole person, in
            Blender space.
        parts: the Blender objects by name: ``skin``, ``eyes``, ``mouth``, ``hair``, ``brows``,
            ``lashes``.
    """

    def __init__(
        self, head: Head, root: Any, meshes: dict[str, MeshPart], hairs: dict[str, HairPart]
    ) -> None:
        """Keep the parts; :func:`build_person` makes them."""
        self.head = head
        self.root = root
        self._meshes = meshes
        self._hairs = hairs
        self.parts: dict[str, Any] = {name: part.item for name, part in meshes.items()}
        self.parts.update({name: part.item for name, part in hairs.items()})
        self.pose(head.template, np.zeros(len(head.expression_names), np.float32))

    @property
    def strand_count(self) -> int:
        """Hairs of all kinds."""
        return sum(len(part.field.points) for part in self._hairs.values())

    def pose(self, vertices: NDArray[np.float32], expression: NDArray[np.float32]) -> None:
        """Move to a frame; the next render shows it.

        Args:
            vertices: (V, 3) float32 in head space, metres, such as ``head.deform(expression)``.
            expression: (E,) float32 weights; they decide which wrinkles show.

        Raises:
            BadInputError: the arrays are not of the head's size.
        """
        wanted = self.head.template.shape, (len(self.head.expression_names),)
        given = np.shape(vertices), np.shape(expression)
        if given != wanted:
            raise BadInputError(
                f"A pose of the head {self.head.id!r} needs vertices and expression of the shapes "
                f"{wanted[0]} and {wanted[1]}, not {given[0]} and {given[1]}.",
                "Pose the person with the head that it was built from.",
            )
        skin = self._meshes["skin"]
        for name, values in furrow_attributes(self.head, skin.vertices, expression).items():
            skin.set_attribute(name, values)
        for mesh in self._meshes.values():
            mesh.move(np.asarray(vertices, np.float32))
        for hair in self._hairs.values():
            hair.move(np.asarray(vertices, np.float32))


def build_person(
    scene: Any, head: Head, *, seed: int = 0, hairs: int = HAIRS, hair_length: float = 1.0
) -> Person:
    """Build a head in a scene: skin, eyes, mouth, hair, brows and lashes, in the neutral pose.

    Args:
        scene: a Blender scene; the objects go into its collection.
        head: the default head, or one with its regions.
        seed: of the places and shapes of the hairs; the same one gives the same person.
        hairs: about how many on the skull; fewer render quicker.
        hair_length: beside that of the usual cut.

    Raises:
        BadInputError: the head lacks regions that its materials and hair are made from.
    """
    missing = [name for name in _NEEDED if not len(head.regions.get(name, ()))]
    if missing:
        raise BadInputError(
            f"The head {head.id!r} cannot be filmed: it has no region {', '.join(missing)}.",
            "Film the default head.",
        )
    root = bpy.data.objects.new("person", None)
    scene.collection.objects.link(root)
    eyes = head.regions["eyeballs"].astype(np.intp)
    kept = ("teeth", "upper_gum", "lower_gum", "tongue")
    mouth = np.unique(np.concatenate([head.regions[name] for name in kept])).astype(np.intp)
    skin = np.setdiff1d(np.arange(head.vertex_count), np.concatenate([eyes, mouth]))
    meshes = {
        "skin": MeshPart(head, skin, skin_material(head), root, "skin"),
        "eyes": MeshPart(head, eyes, eye_material(), root, "eyes"),
        "mouth": MeshPart(head, mouth, mouth_material(), root, "mouth"),
    }
    painted = {
        "skin": skin_attributes(head, skin),
        "eyes": eye_attributes(head, eyes),
        "mouth": mouth_attributes(head, mouth),
    }
    for part, attributes in painted.items():
        for name, values in attributes.items():
            meshes[part].set_attribute(name, values)
    random = np.random.default_rng(seed)
    front = Front(head, skin)
    brown = hair_material("hair", melanin=0.88, redness=0.55)
    dark = hair_material("lashes", melanin=0.97, redness=0.3)
    fields = {
        "hair": (scalp_hair(head, skin, random, hairs, hair_length=hair_length), brown),
        "brows": (eyebrows(head, front, random, BROW_HAIRS), brown),
        "lashes": (eyelashes(head, front, random, LASHES), dark),
    }
    strands = {
        name: HairPart(head, field, material, root, name)
        for name, (field, material) in fields.items()
    }
    return Person(head, root, meshes, strands)
