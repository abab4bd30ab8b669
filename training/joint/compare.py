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

from engine import runtime

runtime.prepare()

import torch  # noqa: E402 - after runtime.prepare, which it reads
import tyro  # noqa: E402

from engine.audio.encoder import load_encoder  # noqa: E402
from engine.avatar import load_avatar  # noqa: E402
from engine.avatar.color import ShColor  # noqa: E402
from engine.avatar.gaussian_avatar import GaussianAvatar  # noqa: E402
from engine.commands.console import print_error, progress_bar  # noqa: E402
from engine.errors import GaussianSpeechError  # noqa: E402
from engine.heads.head import Head  # noqa: E402
from engine.progress import Progress, silent  # noqa: E402
from engine.speech.checkpoint import load_model  # noqa: E402
from engine.speech.predict import STARTER  # noqa: E402
from engine.splatting.registry import choose_backend  # noqa: E402
from training.avatar.config import AvatarSettings  # noqa: E402
from training.avatar.model import TrainableAvatar, from_avatar  # noqa: E402
from training.avatar.run import use_threads  # noqa: E402
from training.data.filmed_speech import read_filmed_speech  # noqa: E402
from training.data.multiview import MultiViewCapture  # noqa: E402
from training.joint.coloring import colored  # noqa: E402
from training.joint.predicted import Predictions, filmed_clips, speaking_head  # noqa: E402
from training.joint.scoring import Row, judged_views, scored, table  # noqa: E402


@dataclass(frozen=True)
class Comparison:
    """What to compare.

    Attributes:
        data: folder of a capture with speech.
        avatars: files of avatars of its head.
        speech_model: "starter" or the file of a speech model for it.
        head: file of the capture's head, where the capture does not tell.
        scale: of the pictures.
        backend: rasteriser.
    """

    data: Path
    avatars: tuple[Path, ...]
    speech_model: str = STARTER
    head: str | None = None
    scale: float = 1.0
    backend: str = "auto"


def compare(plan: Comparison, progress: Progress = silent) -> tuple[list[Row], str]:
    """Score each avatar under tracked and under predicted faces.

    Returns:
        The rows, and what to call the views that they are means over.

    Raises:
        BadInputError: capture, avatars and model do not fit each other.
        MissingDependencyError: the model or its encoder's weights are not there.
    """
    progress(0.0, "Checking the capture")
    capture = MultiViewCapture.open(plan.data, scale=plan.scale, head=plan.head)
    filmed = read_filmed_speech(plan.data)
    use_threads(0)
    file, head = speaking_head(plan.speech_model, capture.head, str(plan.avatars[0]))
    trained = load_model(file, head)
    config = trained.model.config
    encoder = load_encoder(config.encoder, config.encoder_source)
    predictions = Predictions(filmed_clips(filmed, head), head, encoder, tuned=False)
    progress(0.1, "Predicting faces")
    predictions.renew(trained.model, trained.name)
    views, title = judged_views(capture, predictions.faces)
    backend = choose_backend(plan.backend)
    backend.warm_up()
    device = torch.device("cuda" if backend.name == "gsplat" else "cpu")
    rows = []
    for number, path in enumerate(plan.avatars):
        progress(0.2 + 0.8 * number / len(plan.avatars), f"Rendering {path.name}")
        avatar = _renderable(load_avatar(path, capture.head), capture.head).to(device)
        rows.append(scored(f"{path}, tracked faces", avatar, views, backend, None))
        rows.append(scored(f"{path}, predicted faces", avatar, views, backend, predictions))
    progress(1.0, "Compared")
    return rows, title


def _renderable(avatar: GaussianAvatar, head: Head) -> TrainableAvatar:
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
