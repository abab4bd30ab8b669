# SPDX-License-Identifier: GPL-3.0-or-later
"""What the default avatar's training starts from: ``python -m training.assets.default_avatar OUT``.

Gaussians on the triangles of the default head, four on those of teeth and tongue, as many on the
large ones of the face as furrows need, and some along the strands with which the synthetic capture
dresses it. Their colours are those of nothing yet: the training takes them from the pictures
(``gaussianspeech train avatar --initial OUT``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro

from engine.avatar import GaussianAvatar, ShColor, save_avatar
from engine.heads import load_head
from engine.heads.identity import Identity
from training.assets.strand_seeds import along_strands
from training.avatar.seeding import on_triangles
from training.synthetic.person.brows import eyebrows, eyelashes
from training.synthetic.person.hair import hair_cover, scalp_hair
from training.synthetic.person.strands import Field, Front

_FINEST = 0.0035
"""Metres: the root of the area of the largest triangles of the face that stay whole."""
_HAIR_RADIUS = 0.00045
_BROW_RADIUS = 0.00028
_LASH_RADIUS = 0.00018
"""Metres: thicker than hairs, for each stands for several."""
_BROWN = (0.30, 0.22, 0.17)
_SKIN = (0.75, 0.58, 0.50)


def starting_avatar(hairs: int, brows: int, lashes: int) -> GaussianAvatar:
    """The default head's Gaussians before any training.

    Args:
        hairs: strands on the skull, three Gaussians each.
        brows: strands of both eyebrows together.
        lashes: strands of all lids together, two Gaussians each.
    """
    head = load_head("default")
    not_skin = ("eyeballs", "teeth", "upper_gum", "lower_gum", "tongue")
    skin = np.setdiff1d(
        np.arange(head.vertex_count), np.concatenate([head.regions[name] for name in not_skin])
    )
    random = np.random.default_rng(0)
    front = Front(head, skin)
    fields: list[tuple[Field, int, float]] = [
        (scalp_hair(head, skin, random, hairs), 3, _HAIR_RADIUS),
        (eyebrows(head, front, random, brows), 1, _BROW_RADIUS),
        (eyelashes(head, front, random, lashes), 2, _LASH_RADIUS),
    ]
    parts = [on_triangles(head, subdivide_teeth=True, subdivide_tongue=True, finest=_FINEST)]
    parts += [
        along_strands(head, field.roots.face, field.points, segments, radius)
        for field, segments, radius in fields
    ]
    binding = torch.cat([part[0] for part in parts])
    shape = {name: torch.cat([part[1][name] for part in parts]) for name in parts[0][1]}
    colors = torch.tensor(_BROWN).repeat(len(binding), 1)
    on_faces = parts[0][0].numpy()
    bare = hair_cover(head.template[head.faces[on_faces]].mean(1).astype(np.float64)) < 0.3
    colors[: len(on_faces)][torch.from_numpy(bare)] = torch.tensor(_SKIN)
    return GaussianAvatar(
        identity=Identity.of(head),
        faces=torch.from_numpy(np.array(head.faces, np.int32)),
        binding=binding,
        color=ShColor.constant(colors),
        provenance={"made by": "training.assets.default_avatar, untrained"},
        warnings=(),
        **shape,
    )


def write_start(
    out: Annotated[Path, tyro.conf.Positional],
    hairs: int = 2900,
    brows: int = 560,
    lashes: int = 150,
) -> None:
    """Write the avatar that the default avatar's training starts from.

    Args:
        out: OUT.safetensors.
        hairs: strands on the skull, before the hairline thins them.
        brows: strands of both eyebrows together.
        lashes: strands of all lids together.
    """
    avatar = starting_avatar(hairs, brows, lashes)
    save_avatar(avatar, out)
    print(f"{out}: {avatar.count} Gaussians")


if __name__ == "__main__":
    tyro.cli(write_start)
