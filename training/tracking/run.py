# SPDX-License-Identifier: GPL-3.0-or-later
"""Tracking as a job: look, listen, fit, write; resumed where it stopped.

Everything is written beside the capture's final names until it is whole: ``transforms_train.json``,
which makes a folder a capture, comes last.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from engine.core import platforms
from engine.core.errors import BadInputError, CancelledError, UnwritableError
from engine.core.files import atomic_write
from engine.core.progress import Progress, subprogress
from engine.heads.default import load_default_head
from engine.jobs.worker import JobHandle
from engine.rendering.video import write_video
from training.tracking.film import Film, open_film, pictures
from training.tracking.film_sound import write_sound
from training.tracking.flame_track import FlameTrack, in_flame
from training.tracking.given_masks import GivenMasks
from training.tracking.landmark_map import load_landmark_map
from training.tracking.landmarks import Image
from training.tracking.mediapipe_faces import HandDetector, PersonSegmenter, open_detector
from training.tracking.native_messages import native_messages_in
from training.tracking.observations import View
from training.tracking.one_person import other_faces
from training.tracking.output import CaptureWriter
from training.tracking.own_looks import film_pictures
from training.tracking.preview import HEIGHT, MeshOverlay, side_by_side
from training.tracking.recordings import SOUND, write_recordings
from training.tracking.report import notes_of, sentence, write_report
from training.tracking.rig import RigCamera, read_rig
from training.tracking.scan import GOOD, REASONS, Scan, scan
from training.tracking.settings import TrackSettings
from training.tracking.several import (
    TrackedCamera,
    check_cameras,
    merged,
    one_camera,
    tracked_cameras,
    view_of,
)
from training.tracking.simultaneous import simultaneous
from training.tracking.sound import Said, listen
from training.tracking.takes import alike, joined
from training.tracking.track import Track, phone_focal, track_scan

PREVIEW, PREVIEW_FILM = "preview.jpg", "preview.mp4"
_NATIVE = "mediapipe.log"
_SCANNED, _RECOGNISED, _COMPARED, _FITTED, _IN_FLAME = 0.45, 0.54, 0.57, 0.73, 0.75
_SHOW_EVERY, _PREVIEWED = 20, 3
"""Frames from one preview to the next, and cameras that one shows."""


def track_videos(
    videos: Sequence[Path],
    out: Path,
    settings: TrackSettings,
    job: JobHandle,
    *,
    head: Path | None = None,
) -> dict[str, Any]:
    """Track a video, several takes, or several calibrated cameras; OUT becomes a capture.

    Args:
        videos: the films: one after another, or with ``settings.cameras`` at the same time.
        out: folder of the job and of the capture.
        settings: how.
        job: asked for a cancel, and given progress and previews.
        head: FLAME model whose parameters the capture is to have; the default head's without.

    Returns:
        The summary of ``report.json``.

    Raises:
        BadInputError: a video cannot be tracked; says why.
        MissingDependencyError: MediaPipe is missing.
        CancelledError: the job was cancelled; what was looked at is kept.
    """

    def report(share: float, message: str) -> None:
        if job.cancel_requested:
            raise CancelledError
        job.update(round(1000 * share), total=1000, message=message)

    settings.check_videos(videos)
    # Read now: the files that options name may be gone when all is fitted.
    asked = settings.to_dict()
    films = tuple(open_film(video, settings.largest) for video in videos)
    rig = None if settings.cameras is None else read_rig(settings.cameras, films)
    report(0.0, "looking at the videos")
    offsets: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    if rig is None:
        films = alike(films)
    else:
        timed = simultaneous(films, settings.offsets)
        films, offsets, notes = timed.films, timed.offsets, timed.notes
    with ExitStack() as open_parts:
        open_parts.enter_context(native_messages_in(out / _NATIVE))
        segmenter = None
        if settings.masks is None:
            segmenter = open_parts.enter_context(closing(PersonSegmenter()))
        still = open_parts.enter_context(
            closing(open_detector(settings.landmark_model, still=True))
        )
        with _refusal_forgets(job, videos):
            scans, detector = _scans(films, settings, job, subprogress(report, 0.0, _SCANNED))
            shown = _Shown.of(films, scans, rig)
        masks = _masks(settings, shown.films, scans if shown.cameras else [shown.found])
        voice = next((film for film in shown.films if film.sound), None)
        said = _recognised(voice, out, asked, subprogress(report, _SCANNED, _RECOGNISED))
        focal = _focal(shown.films[0], settings)
        if rig is None:
            # Said before the long fit, so that it need not be waited for.
            guess = phone_focal(shown.films[0]) if focal is None else focal
            step = subprogress(report, _RECOGNISED, _COMPARED)
            for note in other_faces(shown.films[0], shown.found, guess, step):
                job.note(note)
        with _refusal_forgets(job, videos):
            track = track_scan(
                shown.films[0],
                shown.found,
                focal,
                subprogress(report, _COMPARED, _FITTED),
                closure=None if said is None else said.closure,
                still=still,
                views=shown.views,
                filmed=film_pictures(shown.films, segmenter, masks),
            )
        cameras = shown.cameras or (one_camera(shown.films[0], track.camera, track.scan),)
        for note in (*notes, *notes_of(shown.films, track, said)):
            job.note(note)
        flame = None
        if head is not None:
            flame = in_flame(head, track.head, track.fit, subprogress(report, _FITTED, _IN_FLAME))
        writer = CaptureWriter(
            out, cameras, track, settings.pictures, flame, largest=settings.largest
        )
        _write_pictures(
            out,
            track,
            writer,
            segmenter,
            masks,
            job,
            subprogress(report, _IN_FLAME, 0.98),
        )
        recordings = []
        if said is not None:
            recordings = write_recordings(out, shown.films[0], track, writer, said, job)
        summary = write_report(out, cameras, offsets, track, detector, flame)
        language = "" if said is None else said.language
        writer.finish(recordings, _made_of(videos, asked, detector, track, flame), language)
    job.update(1000, total=1000, message=sentence(summary))
    return summary


@contextmanager
def _refusal_forgets(job: JobHandle, videos: Sequence[Path]) -> Iterator[None]:
    """Of videos that are refused nothing is kept: other ones can be tracked in their place.

    All is kept of those that are gone, as with a disk that was taken off: they come back.
    """
    try:
        yield
    except UnwritableError:
        raise
    except BadInputError:
        if not all(video.is_file() for video in videos):
            raise
        for path in list(job.checkpoints.iterdir()):
            (platforms.remove_tree if path.is_dir() else platforms.remove)(path)
        job.update(0)
        raise


def _scans(
    films: Sequence[Film], settings: TrackSettings, job: JobHandle, progress: Progress
) -> tuple[list[Scan], str]:
    """What each video shows, and the detector's name."""
    found, name = [], ""
    part_of = "take" if settings.cameras is None else "camera"
    alone = settings.cameras is None or len(films) == 1
    for number, film in enumerate(films):
        folder = job.checkpoints
        if len(films) > 1:
            folder = job.checkpoints / f"{part_of}_{number:02d}"
        part = subprogress(progress, number / len(films), (number + 1) / len(films))
        with (
            closing(open_detector(settings.landmark_model)) as detector,
            closing(HandDetector()) as hands,
        ):
            found.append(scan(film, detector, hands, folder, part, alone=alone))
            name = detector.name
    return found, name


@dataclass(frozen=True, eq=False)
class _Shown:
    """What the videos show.

    Attributes:
        films: as long as what was decoded; several are of cameras.
        found: one scan of all.
        cameras: those with a calibration.
        views: the same.
    """

    films: tuple[Film, ...]
    found: Scan
    cameras: tuple[TrackedCamera, ...] = ()
    views: tuple[View, ...] = ()

    @classmethod
    def of(
        cls, films: Sequence[Film], scans: Sequence[Scan], rig: Sequence[RigCamera] | None
    ) -> _Shown:
        if rig is None:
            film, found = joined(films, scans)
            return cls((film,), found)
        count = min(len(found.state) for found in scans)
        whole = tuple(replace(film, frames=count) for film in films)
        cameras = tracked_cameras(rig, whole, scans)
        views = tuple(view_of(camera) for camera in cameras)
        marks = load_landmark_map()
        likely = marks.on_mesh(load_default_head().template) + marks.offset
        check_cameras(views, likely.astype(np.float64))
        return cls(whole, merged(cameras, views), cameras, views)


def _masks(
    settings: TrackSettings, films: Sequence[Film], scans: Sequence[Scan]
) -> list[GivenMasks | None]:
    """The user's, of each video."""
    if settings.masks is None:
        return [None] * len(films)
    takes = [film.takes or (film,) for film in films]
    folders = iter(settings.mask_folders([take.path for own in takes for take in own]))
    masks = [GivenMasks([(next(folders), take.frames) for take in own]) for own in takes]
    for film, own, found in zip(films, masks, scans, strict=True):
        good = found.good[found.good < film.frames]
        some = np.linspace(0, len(good) - 1, min(len(good), settings.pictures)).astype(int)
        own.check_faces(found.points, good[some], (film.width, film.height))
    return [*masks]


def _focal(film: Film, settings: TrackSettings) -> float | None:
    """In pixels of the film's pictures."""
    return None if settings.focal is None else settings.focal * film.scale


def _recognised(
    film: Film | None, out: Path, asked: dict[str, Any], progress: Progress
) -> Said | None:
    if film is None:
        return None
    progress(0.0, "recognising what is said")
    write_sound(film, out / SOUND, film.frames)
    return listen(
        *(out / SOUND, asked["text"], film.frames, film.fps, progress),
        begins=film.begins,
        language=asked["language"],
    )


def _write_pictures(
    out: Path,
    track: Track,
    writer: CaptureWriter,
    segmenter: PersonSegmenter | None,
    masks: Sequence[GivenMasks | None],
    job: JobHandle,
    progress: Progress,
) -> None:
    """The second pass: pictures and masks, and the preview film on the way."""
    overlay, films = MeshOverlay(track.head), [windows.film for windows in writer.windows]
    height = HEIGHT if len(films) == 1 else HEIGHT * 2 // 3
    fps, frames = track.scan.fps, len(track.scan.state)

    def drawn(frame: int, images: Sequence[Image]) -> Image:
        state = int(track.scan.state[frame])
        label = f"{frame / fps:.2f} s" + ("" if state == GOOD else f"  {REASONS[state]}")
        return side_by_side(
            [
                overlay.draw(
                    image,
                    writer.pixels(frame, number) * writer.windows[number].zoom
                    if state == GOOD
                    else np.zeros((0, 2)),
                    label,
                    height,
                )
                for number, image in enumerate(images[:_PREVIEWED])
            ]
        )

    def shown() -> Iterator[Image]:
        for together in islice(zip(*map(pictures, films), strict=False), frames):
            frame, images = together[0][0], [image for _, image in together]
            progress(frame / frames, f"writing frame {frame + 1}")
            for number, image in enumerate(images):
                if writer.shows(frame, number):
                    writer.write_view(frame, image, segmenter, masks[number], number)
            picture = drawn(frame, images)
            if frame % _SHOW_EVERY == 0:
                with atomic_write(out / PREVIEW) as temporary:
                    Picture.fromarray(picture).save(temporary, quality=85)
                job.update(job.status.step, preview=out / PREVIEW)
            yield picture

    sound = out / SOUND
    write_video(out / PREVIEW_FILM, shown(), fps, sound if sound.is_file() else None, quality=26)


def _made_of(
    videos: Sequence[Path],
    asked: dict[str, Any],
    detector: str,
    track: Track,
    flame: FlameTrack | None,
) -> dict[str, Any]:
    return {
        "video": videos[0].name if len(videos) == 1 else [video.name for video in videos],
        "head": track.head.id if flame is None else flame.person.head.id,
        "detector": detector,
        "settings": asked,
        "focal_pixels": track.camera.focal,
    }
