# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of Tables 3 and 4: an avatar under predicted faces, beside what was filmed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from engine.avatar import load_avatar
from engine.avatar.kernels import warm_up
from engine.core.errors import CancelledError, MissingDependencyError
from engine.core.json_values import read_json
from engine.motion.model.loaded import LoadedModel
from engine.splatting.registry import choose_backend
from training.avatar.run import SCORES
from training.data.multiview import MultiViewCapture
from training.joint.compare import renderable
from training.joint.config import JointSettings
from training.joint.predicted import Predictions, captured_clips
from training.joint.run import TUNED, UNTUNED, train
from training.joint.scoring import Row, judged_views, scored
from training.metrics.image_lpips import Lpips
from training.paper import published
from training.paper.avatars import FULL, avatar_file, capture_head, worker
from training.paper.plan import PaperPlan
from training.paper.rows import Result, folder_of
from training.paper.speech import SpeechData, alone_figures, loaded_from, model_file
from training.run.record import training_seconds
from training.speech.trainer import MODEL


def lpips_of(plan: PaperPlan) -> tuple[Lpips | None, str]:
    """LPIPS, or why there is none."""
    try:
        return Lpips("vgg", plan.weights), ""
    except MissingDependencyError as error:
        return None, str(error)


def score_row(data: SpeechData, model: LoadedModel, avatar: Path) -> Result:
    """An avatar under the faces that a model predicts, beside held-out pictures of speech.

    Args:
        data: the capture.
        model: what speaks.
        avatar: file of the avatar that it moves.

    Raises:
        BadInputError: nothing that is said was filmed.
    """
    plan = data.plan
    capture = MultiViewCapture.open(plan.data, scale=plan.size.scale, head=capture_head(plan))
    clips = captured_clips(data.found.require_filmed(), data.who)
    predictions = Predictions(clips, data.head, capture, model.encoder, tuned=False)
    predictions.renew(model.trained.model, model.trained.name)
    views, title = judged_views(capture, predictions.faces, data.found.test_timesteps)
    backend = choose_backend(plan.backend)
    warm_up(backend)
    device = torch.device("cuda" if backend.name == "gsplat" else "cpu")
    given = renderable(load_avatar(avatar, capture.head), capture.head).to(device)
    row = scored("", given, views, backend, predictions, lpips_of(plan)[0])
    return Result(_figures(row), notes=[f"pictures: {row.views} {title}"])


def _figures(row: Row) -> dict[str, float]:
    found = {published.PSNR: row.psnr, published.SSIM: row.ssim, published.LPIPS: row.lpips}
    return {name: v for name, v in found.items() if v is not None and np.isfinite(v)}


def train_joint(data: SpeechData, seed: int) -> dict[str, Result]:
    """The joint training of the full avatar and the paper's model: Table 4's last two rows.

    Returns:
        The results, by :data:`published.JOINT` and :data:`published.UNTUNED`.

    Raises:
        BadInputError: capture, avatar and model do not fit each other.
        CancelledError: its job was cancelled; it can be resumed.
    """
    plan, size = data.plan, data.plan.size
    folder = folder_of(plan.out, "joint", "paper", seed)
    settings = JointSettings(
        rounds=size.rounds,
        speech_steps=size.round_speech,
        color_steps=size.round_color,
        batch=min(size.batch, JointSettings.batch),
        frames=min(size.frames, JointSettings.frames),
        seed=seed,
        scale=size.scale,
        backend=plan.backend,
        device=plan.device,
        threads=plan.threads,
    )
    if not (folder / SCORES).is_file():
        model = str(model_file(plan, "paper", seed))
        avatar = avatar_file(plan, FULL, seed)
        with worker(folder) as job:
            train(plan.data, avatar, model, settings, folder, job, head=capture_head(plan))
    if not (folder / SCORES).is_file():
        raise CancelledError
    made = _joint_results(folder)
    # The two differ in the avatar's colours: the refined model speaks in both.
    alone = alone_figures(data, loaded_from(data, folder / MODEL))
    for result in made.values():
        result.figures.update(alone)
    return made


def _joint_results(folder: Path) -> dict[str, Result]:
    content = read_json(folder / SCORES, "Remove the folder to train again.").values
    rows = {row["what"]: Row(**row) for row in content["rows"]}
    seconds = training_seconds(folder)
    motion = {name.removeprefix("test "): value for name, value in content["speech"].items()}
    made = {}
    for name, what in ((published.UNTUNED, UNTUNED), (published.JOINT, TUNED)):
        notes = [f"pictures: {rows[what].views} {content['views']}"]
        made[name] = Result(motion | _figures(rows[what]), 0, seconds, notes)
    return made
