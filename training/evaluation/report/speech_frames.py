# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of a speaking face: the contact sheet of the report, and what SyncNet looks at."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.avatar import GaussianAvatar, load_avatar
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.performance import Performance
from engine.phonemes import BILABIALS, LABIODENTALS, SILENCE, Phone
from engine.rendering.frames import (
    portrait_camera,
    render_performance,
    render_still,
    studio_backdrop,
)
from engine.splatting.camera import Camera, look_at
from engine.splatting.registry import choose_backend
from training.evaluation.report.mesh_picture import mesh_picture

Frame = NDArray[np.uint8]

CLASSES: Mapping[str, Collection[str]] = {
    "p b m": BILABIALS,
    "f v": LABIODENTALS,
    "w u": {"W", "UW"},
    "a": {"AA", "AE"},
    "rest": {SILENCE},
}
"""What a contact sheet shows."""

_DISTANCE = 1.1
"""Metres from the face: perspective as of a person across a table."""
_FOREHEAD = 1.5
"""Height of a detected face's box, in distances from the eyes to the chin."""
_ASIDE, _BELOW = 1.4, 1.8
"""Half width, and reach under the centre, of the field's crop of a face (that of SyncNet's
pipeline), in half heights of the box."""

_CLOSE, _CLOSE_MIDDLE = 0.95, 0.30
"""Side and middle of a close picture of the mouth, in distances from the eyes to the chin."""


@dataclass(frozen=True)
class Example:
    """A frame to look at.

    Attributes:
        sounds: key of :data:`CLASSES`.
        clip: index of the clip.
        phone: the sound; its middle is shown.
    """

    sounds: str
    clip: int
    phone: Phone

    @property
    def time(self) -> float:
        """Seconds into the clip."""
        return (self.phone.start + self.phone.end) / 2


def examples(clips: Sequence[Sequence[Phone]], each: int = 2) -> list[Example]:
    """The longest sounds of each class, at most one of a clip as long as there are others."""
    chosen = []
    for name, labels in CLASSES.items():
        found = [
            Example(name, number, phone)
            for number, phones in enumerate(clips)
            for phone in phones
            if phone.label in labels
        ]
        found.sort(key=lambda e: e.phone.start - e.phone.end)
        firsts = [e for i, e in enumerate(found) if all(e.clip != f.clip for f in found[:i])]
        others = [e for e in found if e not in firsts]
        chosen += [*firsts, *others][:each]
    return chosen


def face_camera(head: Head, size: int) -> Camera:
    """A camera that frames the face as the crops of SyncNet's pipeline do.

    Args:
        head: neutral; without eyes or chin the whole head is framed.
        size: pixels of the square picture.
    """
    span = _span(head)
    if span is None:
        return portrait_camera(head, size, size)
    eyes, chin = span
    half = 0.5 * _FOREHEAD * (eyes - chin)
    side = 2 * _ASIDE * half
    return _facing(head, chin + half - _BELOW * half + side / 2, side, size)


def mouth_camera(head: Head, size: int) -> Camera:
    """A camera that frames nose, mouth and chin.

    Args:
        head: neutral; without eyes or chin the whole head is framed.
        size: pixels of the square picture.
    """
    span = _span(head)
    if span is None:
        return portrait_camera(head, size, size)
    eyes, chin = span
    side = _CLOSE * (eyes - chin)
    return _facing(head, chin + _CLOSE_MIDDLE * (eyes - chin), side, size)


def _span(head: Head) -> tuple[float, float] | None:
    """Heights of eyes and chin, metres."""
    eyes, chin = head.regions.get("eyeballs"), head.landmarks.get("chin")
    if eyes is None or chin is None or not len(eyes) or not len(chin):
        return None
    return float(head.template[eyes, 1].mean()), float(head.template[chin, 1].mean())


def _facing(head: Head, height: float, side: float, size: int) -> Camera:
    """A camera in front of a head that frames so many metres."""
    target = np.array([0.0, height, head.template[head.regions["eyeballs"], 2].mean()])
    return look_at(
        (target + np.array([0.0, 0.0, _DISTANCE])).astype(np.float32),
        target.astype(np.float32),
        width=size,
        height=size,
        vertical_fov=2 * math.atan(side / 2 / _DISTANCE),
    )


class FacePictures:
    """Takes pictures of performances: of an avatar, or of the bare mesh where there is none.

    Args:
        head: who speaks.
        avatar: ``"default"`` or an avatar file; ``None`` takes the default avatar where it fits.

    Raises:
        BadInputError: the avatar is not of this head.
    """

    def __init__(self, head: Head, avatar: str | None = None) -> None:
        self._head = head
        self._backend = choose_backend("auto")
        self.avatar: GaussianAvatar | None
        try:
            self.avatar = load_avatar(avatar or "default", head)
        except BadInputError:
            if avatar is not None:
                raise
            self.avatar = None

    def still(self, performance: Performance, time: float, size: int) -> Frame:
        """(size, size, 3) uint8 sRGB: the mouth at a time, seconds into the clip."""
        frame = min(max(0, round(time * performance.fps)), performance.frames - 1)
        camera = mouth_camera(self._head, size)
        if self.avatar is None:
            return mesh_picture(self._head, performance.offsets(frame, frame + 1)[0], camera)
        return render_still(performance, self._head, self.avatar, self._backend, camera, frame)

    def render_video(
        self, performance: Performance, size: int, progress: Progress = no_progress
    ) -> Iterator[Frame]:
        """All frames, (size, size, 3) uint8 sRGB each."""
        camera = face_camera(self._head, size)
        if self.avatar is not None:
            backdrop = studio_backdrop(size, size)
            yield from render_performance(
                performance,
                self._head,
                self.avatar,
                self._backend,
                camera,
                progress,
                backdrop=backdrop,
            )
            return
        for start, offsets in performance.offset_chunks():
            for index, offset in enumerate(offsets, start):
                progress(index / performance.frames, "Drawing the mesh")
                yield mesh_picture(self._head, offset, camera)
