# SPDX-License-Identifier: GPL-3.0-or-later
"""A tracked video as a capture on disk: what the trainings read (docs/capture.md)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from scipy.spatial.transform import Rotation

from engine.core.arrays import Double, Float
from engine.core.files import atomic_write, write_text
from engine.heads.flame_param import save_flame_param
from engine.motion.performance import Performance
from engine.splatting.camera import Camera
from training.data.flame_tracking import save_tracking
from training.data.layout import (
    CANONICAL,
    CANONICAL_HEAD,
    SPLITS,
    Frame,
    Split,
    flame_param_path,
    head_param_path,
    image_path,
    mask_path,
    transforms_path,
    write_transforms,
)
from training.data.layout_head_param import HeadParam, save_head_param, save_identity
from training.data.recordings import RECORD, SPEECH
from training.tracking.flame_track import FlameTrack, frames_of
from training.tracking.given_masks import GivenMasks
from training.tracking.landmarks import Image
from training.tracking.mattes import (
    FADE,
    Segmenter,
    ShownHead,
    along_edges,
    of_the_head,
)
from training.tracking.several import TrackedCamera
from training.tracking.sound import Said, phones_between, words_between
from training.tracking.track import Track
from training.tracking.windows import HeadWindows, head_windows

MODEL = "tracked"
TRACKED_FORMAT = "gaussianspeech-tracking-1"
_QUALITY = 94
_LEAST = 20
"""Timesteps that are kept of many cameras."""
_HELD_OUT = 10
"""The last one in so many pictures is to watch and test on."""


class CaptureWriter:
    """Writes pictures, masks and parameters of a track, frame by frame.

    The world is head space in the mean pose, so that a single camera stands before the face.
    """

    def __init__(
        self,
        folder: Path,
        cameras: Sequence[TrackedCamera],
        track: Track,
        most: int,
        flame: FlameTrack | None = None,
        *,
        largest: int,
    ) -> None:
        """Plan the views.

        Args:
            folder: of the capture.
            cameras: with their videos.
            track: of them.
            most: pictures at most; of longer videos the frames are evenly spread.
            flame: the track in FLAME's terms, where the capture is to be of a FLAME head.
            largest: pixels of the larger side of a view's picture, at most.
        """
        self._folder, self._cameras, self._track = folder, tuple(cameras), track
        self._fps = track.scan.fps
        good, most = track.scan.sharp, max(_LEAST, most // len(cameras))
        if len(good) > most:
            good = good[np.unique(np.linspace(0, len(good) - 1, most).round().astype(int))]
        self.views: NDArray[np.intp] = good
        self.timestep = {int(frame): step for step, frame in enumerate(good)}
        matrices = np.tile(np.eye(4), (len(track.scan.state), 1, 1))
        matrices[:, :3, :3], matrices[:, :3, 3] = track.fit.rotation, track.fit.translation
        mean = np.eye(4)
        mean[:3, :3] = Rotation.from_matrix(matrices[good, :3, :3]).mean().as_matrix()
        mean[:3, 3] = matrices[good, :3, 3].mean(axis=0)
        self._to_camera = matrices
        self._viewmat = mean
        self.to_world: Double = np.linalg.inv(mean) @ matrices
        self._flame = None if flame is None else flame.placed(self.to_world)
        self.windows = tuple(self._windows(camera, largest) for camera in range(len(cameras)))

    def shows(self, frame: int, camera: int) -> bool:
        """Whether a camera's picture of a frame becomes a view: the head is there, unspoilt."""
        if frame not in self.timestep or not self._cameras[camera].clear[frame]:
            return False
        film, middle = self._cameras[camera].film, self.vertices(frame).mean(axis=0)
        x, y = self._projected(frame, camera, middle[None])[0]
        return bool(0 <= x < film.width and 0 <= y < film.height)

    def pixels(self, frame: int, camera: int = 0) -> Double:
        """(V, 2) pixels of the head's vertices in a frame."""
        return self._projected(frame, camera, self.vertices(frame))

    def vertices(self, frame: int) -> Float:
        """(V, 3) head space, metres."""
        return self._track.head.deform(self._track.fit.expression[frame])

    def write_view(
        self,
        frame: int,
        image: Image,
        segmenter: Segmenter | None,
        masks: GivenMasks | None,
        camera: int = 0,
    ) -> None:
        """Write picture, mask and parameters of one of the views.

        Args:
            frame: its number.
            image: (H, W, 3) uint8, of the film of the camera's window.
            segmenter: of persons, where no masks are given.
            masks: the user's.
            camera: number of the camera.
        """
        step, track = self.timestep[frame], self._track
        windows = self.windows[camera]
        image = windows.cropped(image, frame)
        if masks is not None:
            film = windows.film
            mask = windows.cropped(masks.mask(frame, film.width, film.height), frame)
        else:
            assert segmenter is not None
            mask = self._matte(frame, camera, along_edges(segmenter.segment(image), image))
        with atomic_write(self._folder / image_path(step, camera)) as temporary:
            Picture.fromarray(image).save(temporary, quality=_QUALITY, subsampling=0)
        with atomic_write(self._folder / mask_path(step, camera)) as temporary:
            Picture.fromarray(np.asarray(mask * 255 + 0.5, np.uint8)).save(temporary)
        if self._flame is not None:
            here = frames_of(self._flame, slice(frame, frame + 1))
            save_flame_param(here, self._folder / flame_param_path(step))
            return
        param = HeadParam(
            track.head.id,
            track.fit.expression[frame].astype(np.float32),
            track.head.expression_names,
            self.to_world[frame].astype(np.float32),
        )
        save_head_param(param, self._folder / head_param_path(step))

    def write_motion(self, stem: Path, first: int, last: int, said: Said) -> None:
        """Write what the head does in some frames, for a speech model to learn.

        Args:
            stem: path of the recording without its ending.
            first: frame.
            last: frame, exclusive.
            said: with the words and phones of the video.
        """
        fps = self._fps
        if self._flame is not None:
            path = stem.with_name(f"{stem.name}.flame_param.npz")
            moved = frames_of(self._flame, slice(first, last))
            save_tracking(moved, range(first, last), path, fps)
            return
        start, end = first / fps, last / fps
        performance = replace(
            performance_of(self._track, self.to_world, first, last),
            phones=phones_between(said.phones, start, end),
            words=words_between(said.words, start, end),
            language=said.language,
        )
        performance.save(stem.with_name(f"{stem.name}.performance.npz"))

    def _matte(self, frame: int, camera: int, mask: Float) -> Float:
        head = self._track.head
        vertices = self.vertices(frame)
        face = head.regions.get("face", np.arange(head.vertex_count))
        low, high = vertices[:, 1].min(), vertices[:, 1].max()
        end = np.flatnonzero(vertices[:, 1] < low + 0.03 * (high - low))
        neck = vertices[end].astype(np.float64).mean(axis=0)
        mouth = vertices[[head.landmarks[name][0] for name in ("nose_tip", "chin")]]
        marks = np.stack([*mouth, neck, neck - [0.0, FADE, 0.0]])
        windows = self.windows[camera]
        nose, chin, here, below = windows.pixels(self._projected(frame, camera, marks), frame)
        pixels = windows.pixels(self.pixels(frame, camera), frame)
        shown = ShownHead(pixels, face, np.stack([nose, chin]), end, below - here)
        return of_the_head(mask, shown)

    def _windows(self, camera: int, largest: int) -> HeadWindows:
        low = np.full((len(self._to_camera), 2), np.nan)
        high = low.copy()
        for frame in map(int, self.views):
            if self.shows(frame, camera):
                pixels = self.pixels(frame, camera)
                low[frame], high[frame] = pixels.min(axis=0), pixels.max(axis=0)
        return head_windows(self._cameras[camera].film, low, high, largest)

    def _projected(self, frame: int, camera: int, points: Any) -> Double:
        shown = self._cameras[camera]
        matrix = shown.placed @ self._to_camera[frame]
        local = (points @ matrix[:3, :3].T + matrix[:3, 3]) @ shown.K.T
        flat: Double = local[:, :2] / local[:, 2:]
        return flat

    def finish(
        self,
        recordings: Sequence[tuple[str, int, int]],
        made_of: dict[str, Any],
        language: str = "",
    ) -> None:
        """Write the head, the record, and at last what lists the views, by which it is a capture.

        Args:
            recordings: name, first and last (exclusive) frame of each.
            made_of: for ``capture.json``.
            language: of the recordings, an ISO 639 code; empty where unknown.
        """
        track, folder = self._track, self._folder
        if self._flame is None:
            save_identity(track.head, folder / CANONICAL_HEAD)
        else:
            save_flame_param(frames_of(self._flame, slice(0, 1)), folder / CANONICAL)
        steps = [
            {
                "timestep_index": step,
                "seconds": round(frame / self._fps, 4),
                "take": int(track.scan.takes[frame]),
            }
            | self._spoken(frame, recordings)
            for frame, step in self.timestep.items()
        ]
        content = {
            "format": TRACKED_FORMAT,
            "fps": self._fps,
            "made_of": made_of,
            "language": language,
            "timesteps": steps,
        }
        write_text(folder / RECORD, json.dumps(content, indent=1))
        chosen = _splits(self._frames(), len(self.views))
        for split in reversed(SPLITS):
            write_transforms(transforms_path(folder, split), chosen[split])

    def _frames(self) -> list[Frame]:
        return [
            Frame(
                timestep=step,
                camera_index=number,
                camera_id=camera.id,
                camera=self._seen_by(frame, number),
                image=image_path(step, number),
                mask=mask_path(step, number),
                param=self._param_path(step),
                kind="head" if self._flame is None else "flame",
            )
            for frame, step in self.timestep.items()
            for number, camera in enumerate(self._cameras)
            if self.shows(frame, number)
        ]

    def _seen_by(self, frame: int, camera: int) -> Camera:
        """The camera of a view: it stands still, and its window follows the head."""
        shown, windows = self._cameras[camera], self.windows[camera]
        return Camera(
            (shown.placed @ self._viewmat).astype(np.float32),
            windows.intrinsics(shown.K, frame).astype(np.float32),
            windows.width,
            windows.height,
        )

    def _param_path(self, step: int) -> str:
        return head_param_path(step) if self._flame is None else flame_param_path(step)

    def _spoken(self, frame: int, recordings: Sequence[tuple[str, int, int]]) -> dict[str, Any]:
        ending = "performance" if self._flame is None else "flame_param"
        for name, first, last in recordings:
            if first <= frame < last:
                return {"performance": f"{SPEECH}/{name}.{ending}.npz", "frame": frame - first}
        return {}


def performance_of(track: Track, to_world: Double, first: int, last: int) -> Performance:
    """What the head does in some frames, on its own expressions.

    Args:
        track: of the video.
        to_world: (T, 4, 4) of :class:`CaptureWriter`.
        first: frame.
        last: frame, exclusive.
    """
    head = track.head
    expression = track.fit.expression[first:last].astype(np.float32)
    turned = Rotation.from_matrix(to_world[first:last, :3, :3]).as_rotvec()
    return Performance(
        fps=track.scan.fps,
        weights=expression,
        basis=head.expression_basis,
        expression=expression,
        expression_names=head.expression_names,
        head=head.id,
        model=MODEL,
        head_rotation=turned.astype(np.float32),
    )


def _splits(frames: Sequence[Frame], timesteps: int) -> dict[Split, list[Frame]]:
    """The last tenth is held out: neighbours of training pictures would be no test."""
    first = timesteps - max(2, timesteps // _HELD_OUT)
    rest = [frame for frame in frames if frame.timestep >= first]
    odd = [(frame.timestep - first) % 2 == 1 for frame in rest]
    return {
        "train": [frame for frame in frames if frame.timestep < first],
        "val": [frame for frame, late in zip(rest, odd, strict=True) if not late],
        "test": [frame for frame, late in zip(rest, odd, strict=True) if late],
    }
