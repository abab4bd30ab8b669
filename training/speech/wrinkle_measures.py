# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.speech.wrinkle_measures --data CAPTURE``: wrinkle features of recordings.

Pictures of a multi-view capture are searched for furrows, by the ridge detector or by a learned
detector from a file, and what is found is averaged over the regions of the head that the pictures
show. ``NAME.wrinkles.npy`` (T, W) goes beside each recording, one row per frame of its motion, for
:mod:`training.speech.captures`. Where a frame was not filmed, its row is what the
captured timesteps let expect: a linear fit of the features on the tension of the mesh, plus what
the nearest filmed frames before and after are off that fit.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import tyro
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.audio.loading import load_speech
from engine.commands.console import print_error, print_result, progress_bar
from engine.core.arrays import Float
from engine.core.errors import BadInputError, GaussianSpeechError
from engine.core.files import atomic_write, write_text
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.model.wrinkles import REGIONS, RidgeDetector, SkinTension
from training.data.flame_tracking import load_tracking
from training.data.multiview import MultiViewCapture, View
from training.data.recorded_motion import read_motion
from training.data.recordings import SPEECH, Recordings, find_recordings
from training.losses.perceptual import layers_of
from training.metrics.image_regions import visible_faces
from training.torchscript import load_detector

RECORD = "wrinkles.json"
MEASURED = "wrinkles"
"""Folder of a run with what was measured on the capture's pictures."""
_RIDGE = 1e-2
"""Of the fit, beside the mean square of the tension."""
_INSIDE = 0.5


@dataclass(frozen=True)
class Measuring:
    """What to measure.

    Attributes:
        data: folder of the capture.
        head: id or file of its head, where the capture does not tell.
        detector: TorchScript or ONNX file of a learned detector; the ridge detector without.
        scale: of the pictures, (0, 1].
        tracking: ``flame_param.npz`` of an avatar's training: its refined parameters.
    """

    data: Path
    head: str | None = None
    detector: Path | None = None
    scale: float = 1.0
    tracking: Path | None = None


def with_measured(
    found: Recordings, plan: Measuring, out: Path, progress: Progress = no_progress
) -> Recordings:
    """The recordings of a capture with wrinkles that were measured on its pictures.

    Those that lie beside the recordings count; otherwise a run measures its own, once. Recordings
    of which there are no pictures come back as they are.

    Args:
        found: the recordings.
        plan: what to measure.
        out: folder for what is measured.
        progress: called with the share done; may raise to cancel.

    Raises:
        BadInputError: as :func:`measure`.
    """
    if not found.filmed or any(recording.wrinkles.is_file() for recording in found.every):
        return found
    own = found.measured_in(out)
    if not all(recording.wrinkles.is_file() for recording in own.every):
        measure(plan, progress, out)
    return own


def measure(
    plan: Measuring, progress: Progress = no_progress, out: Path | None = None
) -> dict[str, tuple[int, int]]:
    """Measure all recordings of a capture.

    Args:
        plan: what to measure.
        progress: called with the share done; may raise to cancel.
        out: folder for the features; beside the recordings without.

    Returns:
        By recording, how many of its frames were filmed, and how many it has.

    Raises:
        BadInputError: a capture that cannot be used or holds no speech, or a detector that is not
            there, is no TorchScript or gives something else than features or maps of them.
    """
    found = find_recordings(plan.data)
    found.require_filmed()
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        found = found.measured_in(out)
    detector: nn.Module = RidgeDetector()
    if plan.detector is not None:
        detector = load_detector(plan.detector)
    tracking = None if plan.tracking is None else load_tracking(plan.tracking)
    capture = MultiViewCapture.open(
        plan.data, scale=plan.scale, head=plan.head, tracking=plan.tracking
    )
    head = capture.head
    seen = _measured(capture, Regions(head), detector, progress)
    tension = SkinTension(head)
    fit = _Fit(
        tension.features(np.stack([seen[step][1] for step in seen])),
        np.stack([seen[step][0] for step in seen]),
    )
    counts = {}
    for recording in found.every:
        captured = {f: seen[s][0] for f, s in recording.timesteps.items() if s in seen}
        speech = load_speech(recording.audio)
        motion = read_motion(recording, capture.captured_head(), speech, tracking)
        if motion.expression is None:
            raise BadInputError(
                f"{motion.path} has other expressions than the head {head.id!r}.",
                "Give the head that was captured, or train with --wrinkles mesh.",
            )
        rows = fit.completed(tension.features(motion.expression), captured)
        with atomic_write(recording.wrinkles) as temporary, temporary.open("wb") as file:
            np.save(file, rows)
        counts[recording.name] = (len(captured), len(rows))
    about = {
        "regions": REGIONS,
        "detector": "ridges" if plan.detector is None else plan.detector.name,
        "scale": plan.scale,
        "features": int(fit.size),
        "filmed of all frames": counts,
    }
    inside = plan.data / SPEECH
    folder = out or (inside if inside.is_dir() else plan.data)
    write_text(folder / RECORD, json.dumps(about, indent=2))
    progress(1.0, "Wrinkles measured")
    return counts


class Regions:
    """Which region of the head each triangle lies in.

    Args:
        head: its regions; one that it lacks has no triangles.
    """

    def __init__(self, head: Head) -> None:
        self.faces = head.faces
        within = []
        for name in REGIONS:
            inside = np.zeros(head.vertex_count, bool)
            inside[head.regions.get(name, np.zeros(0, np.int32))] = True
            within.append(inside[head.faces].all(axis=1))
        # The last column is what pixels show that show no triangle.
        self._within = np.column_stack([np.array(within), np.zeros(len(REGIONS), bool)])

    def masks(self, view: View) -> Tensor:
        """(R, H, W) 1 where a view shows a region of the person."""
        shown = visible_faces(view.vertices.numpy(), self.faces, view.camera)
        person = view.alpha.numpy() > _INSIDE
        return torch.from_numpy((self._within[:, shown] & person).astype(np.float32))


@torch.inference_mode()
def region_sums(detector: nn.Module, view: View, masks: Tensor) -> tuple[Float, Float]:
    """What a detector finds in a view.

    Args:
        detector: (1, 3, H, W) pictures to (1, N, h, w) maps, or to (1, N) features of the whole,
            or to several of them.
        view: the picture.
        masks: (R, H, W).

    Returns:
        (W,) sums and the weights that they are sums of, the layers one after the other: of maps
        over pixels, W = R · N with the N of a region beside each other; of features over pictures,
        W = N.
    """
    found = layers_of(detector(view.image.permute(2, 0, 1)[None]))
    sums, weights = zip(*(_layer_sums(layer, masks) for layer in found), strict=True)
    return np.concatenate(sums), np.concatenate(weights)


def _layer_sums(found: Tensor, masks: Tensor) -> tuple[Float, Float]:
    if found.ndim == 2:
        values = found[0].float().numpy()
        return values, np.ones_like(values)
    if found.shape[2:] != masks.shape[1:]:
        masks = torch.nn.functional.interpolate(masks[None], found.shape[2:], mode="area")[0]
    sums = torch.einsum("nhw,rhw->rn", found[0].float(), masks).flatten()
    weights = masks.sum(dim=(1, 2))[:, None].expand(-1, found.shape[1]).flatten()
    return sums.numpy(), weights.numpy()


def _measured(
    capture: MultiViewCapture, regions: Regions, detector: nn.Module, progress: Progress
) -> dict[int, tuple[Float, Float]]:
    """By timestep, (W,) features over its pictures, and its (E,) expression.

    The pictures are those that trainings see: the camera that is kept from them is kept from what
    they are to predict as well.
    """
    sums: dict[int, tuple[Float, Float]] = {}
    expressions: dict[int, Float] = {}
    frames = {frame.image: frame for frame in capture.split("train").frames}
    for number, frame in enumerate(frames.values()):
        progress(number / len(frames), "Measuring wrinkles")
        view = capture.load(frame)
        found, weight = region_sums(detector, view, regions.masks(view))
        before = sums.get(view.timestep, (np.zeros_like(found), np.zeros_like(weight)))
        sums[view.timestep] = (before[0] + found, before[1] + weight)
        expressions[view.timestep] = view.expression.numpy()
    return {
        step: (np.asarray(total / np.maximum(weight, 1.0), np.float32), expressions[step])
        for step, (total, weight) in sorted(sums.items())
    }


class _Fit:
    """The features that a tension of the mesh lets expect.

    Args:
        tension: (n, 24) of the captured timesteps.
        features: (n, W) measured there.
    """

    def __init__(self, tension: Float, features: Float) -> None:
        inputs = self._inputs(tension)
        gram = inputs.T @ inputs
        size = np.diag(gram).copy()
        size[-1] = 0.0  # The constant is free.
        gram += np.diag(_RIDGE * np.maximum(size, 1e-9 * size.max(initial=1.0)))
        self._weights = np.linalg.solve(gram, inputs.T @ features.astype(np.float64))
        self.size = features.shape[1]
        self._least = features.min(axis=0)

    def completed(self, tension: Float, captured: Mapping[int, Float]) -> Float:
        """(T, W) features of a motion of which some frames were filmed."""
        expected = self._inputs(tension) @ self._weights
        inside = sorted(frame for frame in captured if frame < len(expected))
        if inside:
            off = np.stack([captured[frame] - expected[frame] for frame in inside])
            every = np.arange(len(expected))
            expected += np.stack([np.interp(every, inside, column) for column in off.T], axis=1)
        return np.maximum(expected, self._least).astype(np.float32)

    @staticmethod
    def _inputs(tension: Float) -> NDArray[np.float64]:
        return np.column_stack([tension.astype(np.float64), np.ones(len(tension))])


def main() -> int:
    """The command."""
    plan = tyro.cli(Measuring, description=__doc__)
    try:
        with progress_bar("measure wrinkles") as progress:
            counts = measure(plan, progress)
    except GaussianSpeechError as error:
        return print_error(error)
    print_result(
        {
            name: f"{captured} of {frames} frames captured"
            for name, (captured, frames) in counts.items()
        },
        as_json=False,
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
