# SPDX-License-Identifier: GPL-3.0-or-later
# ruff: noqa: E402 - runtime.prepare comes before the imports that read its variables.
"""Before and after the default avatar's training: ``python -m training.avatar.default_avatar``.

Gaussians on the triangles of the default head, four on those of the teeth, and some along the
strands with which the synthetic capture dresses it. Their colours are those of nothing yet: the
training takes them from the pictures (``gaussianspeech train avatar --initial OUT``). Afterwards
the back of the head, which no camera saw, borrows its colours from the sides.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from engine import runtime

runtime.prepare()

import numpy as np
import torch
import tyro
from scipy.spatial import cKDTree
from tyro.extras import SubcommandApp

from engine.avatar import GaussianAvatar, MlpColor, ShColor, load_avatar, save_avatar
from engine.heads import load_head
from engine.splatting.cpu.backend import CpuBackend
from training.avatar.config import PRESETS
from training.avatar.model import SHAPE, from_avatar
from training.avatar.seeding import on_triangles
from training.avatar.start import gathered
from training.avatar.strand_seeds import along_strands
from training.capture.look.brows import eyebrows, eyelashes
from training.capture.look.hair import hair_cover, scalp_hair
from training.capture.look.strands import Field, Front
from training.data.multiview import MultiViewCapture

_FINEST = 0.0035
"""Metres: the root of the area of the largest triangles of the face that stay whole."""
_HAIR_RADIUS = 0.00045
_BROW_RADIUS = 0.00028
_LASH_RADIUS = 0.00018
"""Metres: thicker than hairs, for each stands for several."""
_LOOKED_AT = 48
"""Pictures that tell what is seen."""
_BARELY, _WELL = 0.25, 1.5
"""Sums of squared cosines of view below which a Gaussian counts as unseen, above as well seen."""
_BEHIND, _LENT_FROM = -0.01, 0.04
"""Metres before the ears: behind the first is borrowed, from all that lies behind the second."""
_LENDERS = 60
_UNUSUAL = 0.1
"""Difference from the median colour from which on a Gaussian lends nothing."""
_CLOSER = 0.35
"""Added to the logarithm of sizes, so that no light comes through."""
_SEALED, _FULLER = 0.5, 0.06
"""Added to the logits of opaque Gaussians of skin, eyes and mouth, and to their log scales."""
_BROWN = (0.30, 0.22, 0.17)
_SKIN = (0.75, 0.58, 0.50)


def starting_avatar(hairs: int, brows: int, lashes: int, seed: int = 0) -> GaussianAvatar:
    """The default head's Gaussians before any training.

    Args:
        hairs: strands on the skull, three Gaussians each.
        brows: strands of both eyebrows together.
        lashes: strands of all lids together, two Gaussians each.
        seed: of the strands' places.
    """
    head = load_head("default")
    not_skin = ("eyeballs", "teeth", "upper_gum", "lower_gum", "tongue")
    skin = np.setdiff1d(
        np.arange(head.vertex_count), np.concatenate([head.regions[name] for name in not_skin])
    )
    random = np.random.default_rng(seed)
    front = Front(head, skin)
    fields: list[tuple[Field, int, float]] = [
        (scalp_hair(head, skin, random, hairs), 3, _HAIR_RADIUS),
        (eyebrows(head, front, random, brows), 1, _BROW_RADIUS),
        (eyelashes(head, front, random, lashes), 2, _LASH_RADIUS),
    ]
    parts = [on_triangles(head, subdivide_teeth=True, finest=_FINEST)]
    parts += [
        along_strands(head, field.roots.face, field.points, pieces, radius)
        for field, pieces, radius in fields
    ]
    binding = torch.cat([part[0] for part in parts])
    shape = {name: torch.cat([part[1][name] for part in parts]) for name in parts[0][1]}
    colors = torch.tensor(_BROWN).repeat(len(binding), 1)
    on_faces = parts[0][0].numpy()
    bare = hair_cover(head.template[head.faces[on_faces]].mean(1).astype(np.float64)) < 0.3
    colors[: len(on_faces)][torch.from_numpy(bare)] = torch.tensor(_SKIN)
    return GaussianAvatar(
        head=head.id,
        faces=torch.from_numpy(np.array(head.faces, np.int32)),
        vertex_count=head.vertex_count,
        binding=binding,
        color=ShColor.constant(colors),
        provenance={"made by": "training.avatar.default_avatar, untrained"},
        **shape,
    )


def finished_avatar(trained: GaussianAvatar, start: GaussianAvatar, data: Path) -> GaussianAvatar:
    """A trained avatar whose back looks like its sides.

    No camera of the capture stands behind the head. There, and there alone, the Gaussians that the
    pictures do not show are those of the start again, a little closer, with the latents of some of
    the nearest that are shown well and are of the usual colour: hair from hair, skin from skin.

    Args:
        trained: with a colour network.
        start: what it started from; tells hair from skin.
        data: folder of the capture it was trained on.
    """
    capture = MultiViewCapture.open(data)
    layers = trained.color.tensors()
    settings = replace(
        PRESETS["default"], latent=layers["latents"].shape[1], hidden=len(layers["first_bias"])
    )
    backend = CpuBackend()
    learned = from_avatar(trained, settings, capture.head)
    seen, places, groups = gathered(learned, capture, backend, _LOOKED_AT)
    first = from_avatar(start, settings, capture.head)
    first_seen, first_places, first_groups = gathered(first, capture, backend, _LOOKED_AT)
    first_hair = (start.color.colors(None, None) - torch.tensor(_BROWN)).abs().amax(1) < 0.01
    _, nearest = cKDTree(first_places.numpy()).query(places.numpy())
    hair = first_hair[torch.from_numpy(nearest)]
    replaced = (places[:, 2] < _BEHIND) & (groups == 0) & (seen.weight < _BARELY)
    wanted = (first_places[:, 2] < _BEHIND) & (first_groups == 0) & (first_seen.weight < _BARELY)
    from_behind = torch.tensor([0.0, 0.0, 1.0]).expand(learned.count, 3)
    with torch.no_grad():
        colors = learned.colors(torch.zeros(len(capture.head.expression_names)), from_behind)
    shown = seen.colors(places, groups)
    latents = learned.gaussians["latents"].detach()
    borrowed = torch.zeros(first.count, latents.shape[1])
    for own, of_first in ((hair, first_hair), (~hair, ~first_hair)):
        lending = own & (groups == 0) & (places[:, 2] < _LENT_FROM) & (seen.weight > _WELL)
        usual = shown[lending].median(0).values
        unusual = (colors - usual).abs().amax(1)
        lending &= (unusual < (_UNUSUAL if own is hair else 0.6 * _UNUSUAL)) & ~replaced
        wanting = wanted & of_first
        tree = cKDTree(places[lending].numpy())
        _, near = tree.query(first_places[wanting].numpy(), k=_LENDERS)
        if own is hair:
            drawn = np.random.default_rng(0).integers(0, _LENDERS, len(near))
            near = near[np.arange(len(near)), drawn][:, None]
        # Each hair is that of another; skin is smooth, the mean of many.
        borrowed[wanting] = latents[lending][torch.from_numpy(near)].mean(1)
    ours, theirs = learned.avatar(trained.provenance), first.avatar()
    closer = torch.where(first_hair[wanted, None], 0.0, _CLOSER)
    shape = {
        name: (getattr(ours, name)[~replaced], getattr(theirs, name)[wanted]) for name in SHAPE
    }
    shape["log_scales"] = (shape["log_scales"][0], shape["log_scales"][1] + closer)
    # The surface is solid; a few hundredths of light through it do not show in the pictures.
    solid = ((shape["opacity_logits"][0] > 0) & ~hair[~replaced]).float()
    shape["log_scales"] = (
        shape["log_scales"][0] + _FULLER * solid[:, None],
        shape["log_scales"][1],
    )
    shape["opacity_logits"] = (
        shape["opacity_logits"][0] + _SEALED * solid,
        shape["opacity_logits"][1] + 2.0,
    )
    joined = {name: torch.cat(parts) for name, parts in shape.items()}
    layers["latents"] = torch.cat([latents[~replaced], borrowed[wanted]])
    print(f"{int(replaced.sum())} Gaussians behind the head replaced by {int(wanted.sum())}")
    return GaussianAvatar(
        head=ours.head,
        faces=ours.faces,
        vertex_count=ours.vertex_count,
        binding=torch.cat([ours.binding[~replaced], theirs.binding[wanted]]),
        positions=joined["positions"],
        log_scales=joined["log_scales"],
        quats=joined["quats"],
        opacity_logits=joined["opacity_logits"],
        color=MlpColor.from_tensors(layers),
        provenance={
            "made by": "gaussianspeech train avatar, then training.avatar.default_avatar finish",
            "capture": trained.provenance.get("capture", ""),
            "seed": trained.provenance.get("seed", ""),
            "scores": "engine/assets/PROVENANCE.md",
            "licence": "CC0-1.0",
        },
    )


app = SubcommandApp()


@app.command(name="start")
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


@app.command(name="finish")
def write_finished(trained: Path, start: Path, data: Path, out: Path) -> None:
    """Write the trained avatar with a back that looks like its sides.

    Args:
        trained: avatar.safetensors of the training.
        start: what 'start' wrote.
        data: folder of the capture.
        out: OUT.safetensors.
    """
    head = load_head("default")
    avatar = finished_avatar(load_avatar(trained, head), load_avatar(start, head), data)
    save_avatar(avatar, out, half=True)
    print(f"{out}: {avatar.count} Gaussians")


if __name__ == "__main__":
    app.cli()
