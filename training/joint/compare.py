# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training.joint.compare --data CAPTURE --avatars A B``: avatars under predicted faces.

Prints PSNR and SSIM of each avatar on the held-out views of a capture's speech, under the tracked
faces and under those that a speech model predicts. Given an avatar from before and one from after
joint training, with the refined speech model, it is Table 4's row without colour and latent
fine-tuning beside the full method.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import tyro

from engine.avatar import load_avatar
from engine.avatar.color import ShColor
from engine.avatar.gaussian_avatar import GaussianAvatar
from engine.avatar.kernels import warm_up
from engine.commands.console import print_error, progress_bar
from engine.core.errors import GaussianSpeechError
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.encoders.registry import load_encoder
from engine.motion.model.checkpoint import load_model
from engine.motion.model.ids import STARTER
from engine.splatting.registry import choose_backend
from training.avatar.config import AvatarSettings
from training.avatar.model import TrainableAvatar, from_avatar
from training.avatar.run import use_threads
from training.data.flame_tracking import load_tracking
from training.data.multiview import MultiViewCapture
from training.data.recordings import find_recordings
from training.joint.coloring import colored
from training.joint.predicted import Predictions, captured_clips, speaking_head
from training.joint.scoring import Row, judged_views, scored, table


@dataclass(frozen=True)
class Comparison:
    """What to compare.

    Attributes:
        data: folder of a capture with speech.
        avatars: files of avatars of its head.
        speech_model: "starter" or the file of a speech model for it.
        head: file of the capture's head, where the capture does not tell.
        tracking: ``flame_param.npz`` of an avatar's training: its refined parameters.
        scale: of the pictures.
        backend: rasteriser.
    """

    data: Path
    avatars: tuple[Path, ...]
    speech_model: str = STARTER
    head: str | None = None
    tracking: Path | None = None
    scale: float = 1.0
    backend: str = "auto"


def compare(plan: Comparison, progress: Progress = no_progress) -> tuple[list[Row], str]:
    """Score each avatar under tracked and under predicted faces.

    Returns:
        The rows, and what to call the views that they are means over.

    Raises:
        BadInputError: capture, avatars and model do not fit each other.
        MissingDependencyError: the model or its encoder's weights are not there.
    """
    progress(0.0, "Checking the capture")
    capture = MultiViewCapture.open(
        plan.data, scale=plan.scale, head=plan.head, tracking=plan.tracking
    )
    filmed = find_recordings(plan.data).require_filmed()
    tracking = None if plan.tracking is None else load_tracking(plan.tracking)
    use_threads(0)
    file, head = speaking_head(plan.speech_model, capture.head, str(plan.avatars[0]))
    trained = load_model(file, head)
    config = trained.model.config
    encoder = load_encoder(config.encoder, config.encoder_source, config.inner_rate)
    clips = captured_clips(filmed, replace(capture.captured_head(), trained=head), tracking)
    predictions = Predictions(clips, head, capture, encoder, tuned=False)
    progress(0.1, "Predicting faces")
    predictions.renew(trained.model, trained.name)
    views, title = judged_views(capture, predictions.faces)
    backend = choose_backend(plan.backend)
    warm_up(backend)
    device = torch.device("cuda" if backend.name == "gsplat" else "cpu")
    rows = []
    for number, path in enumerate(plan.avatars):
        progress(0.2 + 0.8 * number / len(plan.avatars), f"Rendering {path.name}")
        avatar = renderable(load_avatar(path, capture.head), capture.head).to(device)
        rows.append(scored(f"{path}, tracked faces", avatar, views, backend, None))
        rows.append(scored(f"{path}, predicted faces", avatar, views, backend, predictions))
    progress(1.0, "Compared")
    return rows, title


def renderable(avatar: GaussianAvatar, head: Head) -> TrainableAvatar:
    """An avatar of any colours as :func:`training.joint.scoring.scored` takes it.

    Args:
        avatar: the avatar.
        head: that it was trained on.
    """
    if isinstance(avatar.color, ShColor):
        settings = replace(AvatarSettings(), color="sh", degree=avatar.color.degree)
        return from_avatar(avatar, settings, head)
    return colored(avatar, head)


def main() -> int:
    """The command."""
    plan = tyro.cli(Comparison, description=__doc__)
    try:
        with progress_bar("compare") as progress:
            rows, title = compare(plan, progress)
    except GaussianSpeechError as error:
        return print_error(error)
    print(table(rows, title))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
