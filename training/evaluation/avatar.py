# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate avatar``: how close an avatar comes to pictures it never saw."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from engine.avatar import GaussianAvatar, load_avatar, splats
from engine.avatar.kernels import warm_up
from engine.core.errors import BadInputError, MissingDependencyError
from engine.core.files import write_text
from engine.core.json_values import read_json
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.head import Head
from engine.rendering.video import write_video
from engine.splatting.backend import Backend
from engine.splatting.registry import choose_backend
from training.data.flame_tracking import CAMERAS_TUNED, TRACKING
from training.data.multiview import MultiViewCapture, View
from training.data.recorded_motion import with_lips
from training.evaluation.report.avatar import (
    PAGE_NAME,
    REPORT_NAME,
    TURNTABLE_NAME,
    AvatarReport,
    decibel_text,
)
from training.evaluation.report.avatar_page import AvatarPictures, avatar_page
from training.evaluation.report.avatar_pictures import (
    TURNTABLE_FPS,
    comparison,
    regions_picture,
    strip,
    turntable,
)
from training.metrics.image_lpips import Lpips, Net
from training.metrics.image_scores import ViewScores, score_view
from training.run.record import curves_figure, read_curves

_AVATAR, _CONFIG = "avatar.safetensors", "config.json"
"""What a training leaves in its folder."""
_VIEWS = 60
"""Views that the report at the end of a training measures."""
_SHOWN = 5
TURNTABLE, FRAMES = (360, 440), 80
_SETTINGS = ("name", "steps", "scale", "seed", "color", "latent", "hidden", "subdivide_teeth")
"""Settings of a training that a reader wants to know."""


@dataclass(frozen=True)
class Wanted:
    """What to measure.

    Attributes:
        scale: of the pictures against those on disk.
        views: at most so many of the test camera's, spread over them; 0 takes all.
        backend: rasteriser.
        net: network of LPIPS.
        weights: folder of the weight files; the user's own by default.
        head: the capture's head or FLAME model where it is not the default one.
        tracking: ``flame_param.npz`` of the avatar's training: its refined parameters.
    """

    scale: float = 1.0
    views: int = 0
    backend: str = "auto"
    net: Net = "vgg"
    weights: Path | None = None
    head: str | None = None
    tracking: Path | None = None


@torch.no_grad()
def rendered(avatar: GaussianAvatar, view: View, backend: Backend) -> Tensor:
    """(H, W, 3) the avatar as a view's camera sees it, before black, on the CPU."""
    matrix = view.head_matrix.double()
    # The engine moves a head's vertices by its matrix itself, to turn the directions of view back.
    inside = torch.linalg.solve(
        matrix[:3, :3], (view.vertices.double() - matrix[:3, 3]).T
    ).T.float()
    gaussians = splats(
        avatar,
        inside.contiguous(),
        view.expression,
        view.head_matrix,
        torch.from_numpy(view.camera.viewpoint),
    )
    return backend.render(gaussians, view.camera).rgb.cpu()


def evaluate(
    avatar_file: str | Path,
    data: str | Path,
    out: str | Path | None,
    wanted: Wanted | None = None,
    job: Path | None = None,
    progress: Progress = no_progress,
) -> AvatarReport:
    """Measure an avatar on the test camera of a capture, and write the report.

    Args:
        avatar_file: the avatar.
        data: folder of the capture.
        out: folder for report.json, report.html and turntable.mp4; ``None`` writes none.
        wanted: what to measure.
        job: folder of the training, for its curves.
        progress: called with the share done.

    Raises:
        BadInputError: the avatar, the capture or the settings cannot be used.
    """
    wanted = wanted or Wanted()
    if wanted.views < 0:
        raise BadInputError(f"{wanted.views} views cannot be measured.", "Give 0 for all.")
    progress(0.0, "Checking the capture")
    capture = MultiViewCapture.open(
        data, scale=wanted.scale, head=wanted.head, tracking=wanted.tracking
    )
    avatar = load_avatar(avatar_file, capture.head)
    head = capture.head
    if head.source.kind == "flame" and "face" not in head.regions:
        # Without FLAME's masks: regions are found as for retargeting.
        head = with_lips(head)
    backend = choose_backend(wanted.backend)
    warm_up(backend, subprogress(progress, 0.02, 0.05))
    lpips, missing = None, ""
    try:
        lpips = Lpips(wanted.net, wanted.weights)
    except MissingDependencyError as error:
        missing = str(error)
    views = capture.split("test")
    chosen = _spread(len(views), wanted.views)
    scores: list[ViewScores] = []
    seconds: list[float] = []
    for number, index in enumerate(chosen):
        progress(0.05 + 0.75 * number / len(chosen), f"View {number + 1} of {len(chosen)}")
        view = views[index]
        start = time.perf_counter()
        ours = rendered(avatar, view, backend)
        seconds.append(time.perf_counter() - start)
        scores.append(score_view(ours, view, head, lpips))
    path = Path(avatar_file)
    camera = views[chosen[0]].camera
    report = AvatarReport(
        avatar=str(avatar_file),
        capture=capture.folder.resolve().name,
        camera=capture.test_camera,
        size=(camera.width, camera.height),
        gaussians=avatar.count,
        color=avatar.color.kind,
        file_bytes=path.stat().st_size if path.is_file() else None,
        backend=backend.name,
        frame_seconds=float(np.median(seconds)),
        lpips_net=wanted.net,
        lpips_missing=missing,
        losses_off=avatar.provenance.get("losses off", ""),
        cameras_tuned=CAMERAS_TUNED in avatar.provenance.get("refined", ""),
        views=tuple(scores),
    )
    if out is not None:
        shown = [views[chosen[index]] for index in pictured(scores)]
        _write(report, avatar, head, backend, shown, Path(out), job, progress)
    progress(1.0, "done")
    return report


def pictured(scores: Sequence[ViewScores]) -> list[int]:
    """Which views the page shows: some spread over time, the worst and the best."""
    by_quality = sorted(range(len(scores)), key=lambda index: scores[index].psnr)
    chosen = {*_spread(len(scores), _SHOWN), by_quality[0], by_quality[-1]}
    return sorted(chosen)


def _write(
    report: AvatarReport,
    avatar: GaussianAvatar,
    head: Head,
    backend: Backend,
    views: Sequence[View],
    out: Path,
    job: Path | None,
    progress: Progress,
) -> None:
    """Report, page and video into a folder."""
    by_time = {(view.camera_id, view.timestep): view for view in report.views}
    compared = []
    for number, view in enumerate(views):
        progress(0.80 + 0.05 * number / len(views), "Comparing pictures")
        scores = by_time[view.camera_id, view.timestep]
        caption = f"Time step {view.timestep}: {decibel_text(scores.psnr)}, SSIM {scores.ssim:.4f}"
        compared.append((caption, comparison(rendered(avatar, view, backend), view.image)))
    config = {} if job is None else read_config(job)
    curves = {} if job is None else read_curves(job)
    size = TURNTABLE
    turning = subprogress(progress, 0.85, 0.98)
    frames = turntable(avatar, head, backend, size, frames=FRAMES, progress=turning)
    write_video(out / TURNTABLE_NAME, frames, TURNTABLE_FPS, quality=23)
    pictures = AvatarPictures(
        views=compared,
        regions=regions_picture(open_mouthed(views, report), head),
        strip=strip(avatar, head, backend, size),
        turntable=(out / TURNTABLE_NAME).read_bytes(),
        curves=curves_figure(curves) if curves else None,
        settings=[(name, config[name]) for name in _SETTINGS if name in config],
    )
    report.save(out / REPORT_NAME)
    write_text(out / PAGE_NAME, avatar_page(report, pictures))


def open_mouthed(views: Sequence[View], report: AvatarReport) -> View:
    """Of some views the one that shows most of the mouth's inside."""
    pixels = {
        (view.camera_id, view.timestep): view.regions["mouth interior"].pixels
        for view in report.views
    }
    return max(views, key=lambda view: pixels[view.camera_id, view.timestep])


def _spread(count: int, most: int) -> list[int]:
    """Indices of at most so many views, evenly over all."""
    wanted = min(count, most) if most else count
    places = np.linspace(0, count - 1, wanted).round().astype(int)
    return list(dict.fromkeys(places.tolist()))


def write_report(folder: Path, data: Path) -> AvatarReport:
    """The report on a training that has ended, in its job's folder.

    Args:
        folder: of the job, with avatar.safetensors and config.json.
        data: folder of the capture.

    Raises:
        BadInputError: the job has no avatar, or the capture cannot be used any more.
    """
    config = read_config(folder)
    wanted = Wanted(
        scale=float(config.get("scale", 1.0)),
        views=_VIEWS,
        backend=str(config.get("backend", "auto")),
        head=config.get("head"),
        tracking=refined if (refined := folder / TRACKING).is_file() else None,
    )
    return evaluate(folder / _AVATAR, data, folder, wanted, job=folder)


def read_config(folder: Path) -> dict[str, Any]:
    """The settings of a training; empty where the job's folder has none.

    Raises:
        BadInputError: the file is damaged.
    """
    path = folder / _CONFIG
    if not path.is_file():
        return {}
    return dict(read_json(path, "Train again.").values)
