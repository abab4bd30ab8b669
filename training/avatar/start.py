# SPDX-License-Identifier: GPL-3.0-or-later
"""What a training starts from: Gaussians on the triangles, or an avatar that there is."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.avatar.binding import triangle_frames
from engine.avatar.gaussian_avatar import GaussianAvatar
from engine.splatting.backend import Backend
from training.avatar.config import AvatarSettings
from training.avatar.model import (
    SHAPE,
    TrainableAvatar,
    can_resume_colors,
    first_colors,
    from_avatar,
    new_color,
)
from training.avatar.preview import spread
from training.avatar.seeding import on_triangles
from training.data.color_gathering import ColorGathering, face_groups, inside_of_the_mouth
from training.data.multiview import MultiViewCapture
from training.data.recorded_motion import with_lips

VIEWS = 32
"""Pictures that the first colours are taken from."""


def seeded_avatar(
    capture: MultiViewCapture,
    settings: AvatarSettings,
    backend: Backend,
    *,
    views: int = VIEWS,
) -> TrainableAvatar:
    """One Gaussian a triangle (four on the teeth's), in the colours of the training views.

    Args:
        capture: the pictures.
        settings: how.
        backend: rasteriser.
        views: how many pictures are looked at; with none, all is grey.
    """
    head = capture.head
    # FLAME without its masks has its face found.
    named = with_lips(head) if settings.coarse_skull else head
    binding, shape = on_triangles(
        named,
        subdivide_teeth=settings.subdivide_teeth,
        coarse_skull=settings.coarse_skull,
        opacity=settings.opacity,
    )
    color = new_color(settings, head)
    grey = first_colors(color, head, binding, shape, torch.full((len(binding), 3), 0.5), settings)
    avatar = TrainableAvatar(head, color, binding, shape | grey)
    if views:
        gathering, places, groups = gathered(avatar, capture, backend, views)
        _recolour(avatar, gathering.colors(places, groups), settings)
    return avatar


def avatar_to_go_on_from(
    given: GaussianAvatar,
    capture: MultiViewCapture,
    settings: AvatarSettings,
    backend: Backend,
    *,
    views: int = VIEWS,
) -> TrainableAvatar:
    """An avatar that there is; without a colour network of the size it takes the pictures' colours.

    Where no picture shows a Gaussian its own colour is kept, shifted by what the nearest ones that
    are seen change: a nape keeps its strands and takes the tone of the hair. To begin with the
    inside of the mouth keeps its own, too.

    Args:
        given: the avatar.
        capture: the pictures.
        settings: how.
        backend: rasteriser.
        views: how many pictures are looked at; with none, the colours stay.
    """
    avatar = from_avatar(given, settings, capture.head)
    if views and not can_resume_colors(given, settings, capture.head):
        with torch.no_grad():
            before = given.color.colors(None, None)
        gathering, places, groups = gathered(avatar, capture, backend, views)
        colors = gathering.colors(places, groups, before)
        # Between lips that are out by a millimetre a picture shows lips as often as teeth.
        inside = torch.from_numpy(inside_of_the_mouth(capture.head))[avatar.binding.long()]
        _recolour(avatar, torch.where(inside[:, None], before, colors), settings)
    return avatar


@torch.no_grad()
def gathered(
    avatar: TrainableAvatar, capture: MultiViewCapture, backend: Backend, views: int
) -> tuple[ColorGathering, Tensor, Tensor]:
    """What pictures show of an avatar.

    Args:
        avatar: on the CPU.
        capture: the pictures.
        backend: rasteriser.
        views: how many of them are looked at.

    Returns:
        The colours; (G, 3) places on the neutral head, metres; (G,) parts of the head.
    """
    pictures = capture.split("train")
    gathering = ColorGathering(avatar.count)
    face = avatar.binding.long()
    for index in spread(len(pictures), views):
        view = pictures[index]
        splats = avatar.splats(
            view.vertices,
            view.expression,
            torch.from_numpy(view.camera.viewpoint),
            view.head_matrix,
        )
        depth = backend.render(splats, view.camera).depth.cpu()
        normals = triangle_frames(view.vertices, avatar.faces).rotations[face, :, 1]
        gathering.add(splats.means, normals, depth, view.image, view.alpha, view.camera)
    places, _, _ = avatar.bind(torch.from_numpy(capture.head.template))
    groups = torch.from_numpy(face_groups(capture.head))[face]
    return gathering, places, groups


@torch.no_grad()
def _recolour(avatar: TrainableAvatar, colors: Tensor, settings: AvatarSettings) -> None:
    shape = {name: avatar.gaussians[name] for name in SHAPE}
    rows = first_colors(avatar.color, avatar.head, avatar.binding, shape, colors, settings)
    for name, value in rows.items():
        avatar.gaussians[name].copy_(value)
