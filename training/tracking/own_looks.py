# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar that the detector is shown, in the looks of the person of a film.

A detector is wrong otherwise about a face whose brows, lids or hair look otherwise. So each
Gaussian takes what the film's pictures show where it lies, against what is rendered there. What no
picture shows, or is not surely the person's, changes as the nearest Gaussians that are seen do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from engine.avatar import AvatarPipeline, GaussianAvatar
from engine.avatar.binding import triangle_frames
from engine.avatar.color import ColorModel
from engine.core.arrays import Double, Float
from engine.core.progress import Progress
from engine.heads.head import Head
from engine.splatting.backend import Backend
from engine.splatting.camera import Camera
from training.data.color_gathering import ColorGathering, face_groups
from training.tracking.film import Film, pictures
from training.tracking.given_masks import GivenMasks
from training.tracking.landmarks import Image
from training.tracking.mattes import Segmenter

_PERSON = 0.8
"""Of a mask from which a pixel is the person's."""
_EDGE = 3.0
"""Pixels from the edge of what is rendered, and of the mask, in which colours are not taken."""


class FilmPicture(NamedTuple):
    """A picture of a film.

    Attributes:
        image: (H, W, 3) uint8 display-referred sRGB.
        mask: (H, W) float32 in [0, 1], the person.
    """

    image: Image
    mask: Float


class PosedPicture(NamedTuple):
    """A picture with what was fitted to it.

    Attributes:
        picture: what was filmed.
        K: (3, 3) of its camera, pixels.
        matrix: (4, 4) head space to camera, OpenCV axes.
        vertices: (V, 3) head space, metres.
        expression: (E,).
    """

    picture: FilmPicture
    K: Float
    matrix: Double
    vertices: Float
    expression: Float


FilmPictures = Callable[[int, NDArray[np.intp], Progress], list[FilmPicture]]
"""Pictures by the number of a camera and numbers of frames, ascending."""


def film_pictures(
    films: Sequence[Film],
    segmenter: Segmenter | None,
    masks: Sequence[GivenMasks | None],
) -> FilmPictures:
    """The pictures of some frames of films.

    Args:
        films: of each camera.
        segmenter: of persons, where masks are not given.
        masks: the user's, of each camera.
    """

    def pictures_of(camera: int, frames: NDArray[np.intp], progress: Progress) -> list[FilmPicture]:
        film, given = films[camera], masks[camera]
        wanted, found = set(frames.tolist()), []
        progress(0.0, "looking at the person")
        for frame, image in pictures(film, only=wanted):
            if given is not None:
                mask = given.mask(frame, film.width, film.height)
            else:
                assert segmenter is not None
                mask = segmenter.segment(image)
            found.append(FilmPicture(image, mask))
            progress(len(found) / len(wanted), "looking at the person")
        return found

    return pictures_of


@dataclass(frozen=True, eq=False)
class ShiftedColor:
    """Colours that differ by the same from everywhere, at any expression.

    Attributes:
        base: the colours.
        shift: (G, 3) what is added, display-referred sRGB.
    """

    base: ColorModel
    shift: torch.Tensor
    kind: ClassVar[str] = "shifted"

    @property
    def count(self) -> int:
        """G."""
        return self.base.count

    def colors(
        self, expression: torch.Tensor | None, directions: torch.Tensor | None
    ) -> torch.Tensor:
        """See :class:`engine.avatar.color.ColorModel`."""
        return (self.base.colors(expression, directions) + self.shift).clamp(0, 1)

    def tensors(self) -> dict[str, torch.Tensor]:
        """See :class:`engine.avatar.color.ColorModel`."""
        return {"shift": self.shift}

    def to(self, device: torch.device | str) -> ShiftedColor:
        """See :class:`engine.avatar.color.ColorModel`."""
        return ShiftedColor(self.base.to(device), self.shift.to(device))


def in_own_looks(
    avatar: GaussianAvatar,
    person: Head,
    shots: Sequence[PosedPicture],
    backend: Backend,
    progress: Progress,
) -> GaussianAvatar:
    """The avatar with the colours that pictures show.

    Args:
        avatar: on the person's head, on the CPU.
        person: neutral.
        shots: the pictures.
        backend: rasteriser.
        progress: called before each; may raise to cancel.
    """
    pipeline, gathering = AvatarPipeline(avatar, backend.device), ColorGathering(avatar.count)
    for number, shot in enumerate(shots):
        progress(number / len(shots), "taking the person's colours")
        with torch.no_grad():
            _gather(gathering, pipeline, shot, backend)
    places = pipeline.splats(person.template).means.cpu()
    groups = torch.from_numpy(face_groups(person))[avatar.binding.long()]
    shift = gathering.changes(places, groups)
    return replace(avatar, color=ShiftedColor(avatar.color, shift))


def _gather(
    gathering: ColorGathering, pipeline: AvatarPipeline, shot: PosedPicture, backend: Backend
) -> None:
    """Take what one picture shows against what is rendered there."""
    avatar, image = pipeline.avatar, shot.picture.image
    height, width = image.shape[:2]
    camera = Camera(shot.matrix.astype(np.float32), shot.K, width, height)
    splats = pipeline.splats(shot.vertices, shot.expression, None, camera.viewpoint)
    rendered = backend.render(splats, camera)
    rgb, alpha, depth = (part.cpu() for part in rendered)
    surely = (alpha.numpy() > 0.5) & (shot.picture.mask > _PERSON)
    inside = ndimage.distance_transform_edt(surely) > _EDGE
    normals = triangle_frames(torch.from_numpy(shot.vertices), avatar.faces).rotations
    filmed = torch.from_numpy(image.astype(np.float32)) / 255
    gathering.add(
        splats.means.cpu(),
        normals[avatar.binding.long(), :, 1],
        depth,
        filmed - rgb,
        torch.from_numpy(inside.astype(np.float32)),
        camera,
    )
