# SPDX-License-Identifier: GPL-3.0-or-later
"""The joint stage from a capture, an avatar and a speech model to both of them refined.

Round by round the speech model learns from the tracked motion (L_vertices, Eq. 13 and 14), then the
colours from the pictures under the faces that it predicts (L_photo).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from engine.avatar import load_avatar, save_avatar
from engine.avatar.kernels import warm_up
from engine.core.errors import CancelledError
from engine.jobs.worker import JobHandle
from engine.motion.encoders.registry import load_encoder
from engine.motion.encoders.wav2vec2 import Wav2Vec2Encoder
from engine.motion.model.checkpoint import TrainedModel, load_model
from engine.motion.model.config import for_head
from engine.motion.model.loaded import LoadedModel
from engine.motion.model.wrinkles import TENSIONS
from engine.splatting.registry import choose_backend
from training.avatar.preview import save_preview
from training.avatar.run import AVATAR, CONFIG, PREVIEW, SCORES, use_threads
from training.data.captured_motion import CapturedHead
from training.data.flame_tracking import load_tracking
from training.data.multiview import MultiViewCapture
from training.data.recordings import Recordings, find_recordings
from training.evaluation.held_out import held_out_scores
from training.joint.coloring import ColorTrainer, colored
from training.joint.config import JointSettings
from training.joint.predicted import Predictions, captured_clips, speaking_head
from training.joint.scoring import Row, judged_views, scored, table
from training.losses.avatar import AvatarLoss
from training.losses.speech import LossWeights
from training.run.checkpoints import STATE, write_json
from training.run.loop import Intervals, TrainingLoop, report_to
from training.run.record import Record
from training.speech.best import save_with_encoder
from training.speech.captures import load_captures, measured_wrinkles
from training.speech.config import TrainingConfig
from training.speech.personal import fitted
from training.speech.stages import stages_of
from training.speech.trainer import MODEL, SpeechTrainer
from training.speech.wrinkle_measures import MEASURED, Measuring, with_measured

BEFORE, UNTUNED, TUNED = (
    "predicted faces, before",
    "predicted faces, without colour and latent fine-tuning",
    "predicted faces, with colour and latent fine-tuning",
)
"""Rows of the scores; the second is Table 4's fourth row."""
_DRAWN = ("speech total", "photo total", "validation LVE (mm)", "test PSNR (dB)")


def train(
    data: Path,
    avatar: str | Path,
    speech_model: str,
    settings: JointSettings,
    folder: Path,
    job: JobHandle,
    *,
    head: str | None = None,
    tracking: Path | None = None,
) -> list[Row]:
    """Train, or resume a training that was interrupted.

    Args:
        data: folder of the capture.
        avatar: ``"default"`` or the file of an avatar of its head, with a colour network.
        speech_model: ``"starter"`` or the file of a model that speaks for this head.
        settings: how.
        folder: the job's; gets both results, curves, a preview, checkpoints and scores.
        job: gets reports.
        head: id or file of the capture's head, where the capture does not tell.
        tracking: ``flame_param.npz`` of the avatar's training: its refined parameters.

    Returns:
        The scores on held-out views.

    Raises:
        BadInputError: capture, avatar and model do not fit each other; before training starts.
        MissingDependencyError: weights that are not on this machine.
        CancelledError: the user asked to stop; a checkpoint was saved.
    """
    job.update(job.status.step, total=settings.steps, message="Checking the capture")
    training = _JointTraining(data, avatar, speech_model, settings, folder, job, head, tracking)
    about: dict[str, Any] = {"data": str(data), "avatar": str(avatar)}
    about |= {"speech_model": speech_model, "tracking": None if tracking is None else str(tracking)}
    terms = {"terms": training.loss.weights, "terms_off": training.loss.terms_off}
    write_json(folder / CONFIG, about | settings.to_dict() | terms)
    record = Record(folder, f"{settings.name}: losses, LVE and PSNR", _DRAWN)
    per_round = settings.steps // settings.rounds
    intervals = Intervals(per_round, per_round, per_round)
    loop = TrainingLoop(training, folder, training.resumable_with(), intervals, record)
    if (folder / STATE).is_file():
        loop.resume()
    else:
        training.rows = training.score_before()
        loop.measure()
    loop.run(report_to(job))
    return training.finish()


class _JointTraining:
    """Both trainers as one: round by round first the speech model, then the colours."""

    def __init__(
        self,
        data: Path,
        avatar: str | Path,
        speech_model: str,
        settings: JointSettings,
        folder: Path,
        job: JobHandle,
        head: str | None,
        tracking: Path | None,
    ) -> None:
        self.settings, self.folder, self.job = settings, folder, job
        self._capture_head, self._tracking = head, tracking
        self.capture = MultiViewCapture.open(
            data, scale=settings.scale, head=head, tracking=tracking
        )
        found = find_recordings(data)
        self._recordings, filmed = found, found.require_filmed()
        self.tracking = None if tracking is None else load_tracking(tracking)
        use_threads(settings.threads)
        self.model_file, self.head = speaking_head(speech_model, self.capture.head, str(avatar))
        self._model_digest = sha256(self.model_file.read_bytes()).hexdigest()
        self._load_avatar(avatar)
        self._load_speech(found, speech_model)
        clips = captured_clips(filmed, self._who, self.tracking)
        tuned = self.speech.model.config.tunes_audio
        self.predictions = Predictions(clips, self.head, self.capture, self.encoder, tuned=tuned)
        self._predict()
        faces = self.predictions.faces
        self.views, self.title = judged_views(self.capture, faces, found.test_timesteps)
        self.colors = ColorTrainer(
            self.capture,
            self.avatar,
            settings,
            self.backend,
            self.loss,
            self.predictions,
        )
        self.rows: list[Row] = []
        self._psnr = 0.0

    def _load_avatar(self, path: str | Path) -> None:
        self.backend = choose_backend(self.settings.backend)
        device = torch.device("cuda" if self.backend.name == "gsplat" else "cpu")
        self.given = load_avatar(path, self.capture.head)
        self.avatar = colored(self.given, self.capture.head).to(device)
        self.loss = AvatarLoss(self.settings.losses, device)
        if self.loss.off:
            self.job.note(self.loss.off_note)
        warm_up(self.backend, gradients=True)

    @property
    def _who(self) -> CapturedHead:
        return replace(self.capture.captured_head(), trained=self.head)

    def _load_speech(self, recordings: Recordings, name: str) -> None:
        settings = self.settings
        torch.manual_seed(settings.seed)
        model = load_model(self.model_file, self.head).model
        config = for_head(model.config, self.head)
        if config.wrinkle_features and config.wrinkles != TENSIONS:
            # It learned from pictures, and continues with them.
            measuring = Measuring(recordings.folder, self._capture_head, tracking=self._tracking)
            recordings = with_measured(recordings, measuring, self.folder / MEASURED, self._report)
        config = replace(config, wrinkles=measured_wrinkles(recordings) or config.wrinkles)
        model = fitted(model, config)
        self.encoder = load_encoder(config.encoder, config.encoder_source, config.inner_rate)
        self.job.update(self.job.status.step, message="Reading the recordings")
        captures = load_captures(
            recordings, self._who, config, self.encoder, self._report, self.tracking
        )
        steps = settings.rounds * settings.speech_steps
        self.speech = SpeechTrainer(
            model,
            self.head,
            captures.training,
            captures.validation,
            TrainingConfig(
                steps=steps,
                batch=settings.batch,
                frames=settings.frames,
                learning_rate=settings.speech_rate,
                encoder_rate=settings.encoder_rate,
                warm_up=max(1, steps // 20),
                validate_every=steps,
                seed=settings.seed,
                device=settings.device,
                precision=settings.precision,
            ),
            self.folder / "speech",
            name=settings.name,
            basis=captures.basis,
            encoder=self.encoder if isinstance(self.encoder, Wav2Vec2Encoder) else None,
            # What was learned part by part is refined by L_vertices.
            stages=stages_of(model, LossWeights())[-1:],
        )
        self.model_name = name

    def _report(self, _fraction: float, message: str) -> None:
        if self.job.cancel_requested:
            raise CancelledError
        self.job.update(self.job.status.step, message=message)

    def _predict(self) -> None:
        self.predictions.renew(self.speech.model, self.settings.name)

    @property
    def step(self) -> int:
        return self.speech.step + self.colors.step

    @property
    def total(self) -> int:
        return self.settings.steps

    @property
    def finished(self) -> bool:
        return self.step >= self.total

    @property
    def message(self) -> str:
        rounds = self.settings.rounds
        current = min(self.step * rounds // self.total + 1, rounds)
        measured = f", {self._psnr:.2f} dB" if self._psnr else ""
        return f"round {current} of {rounds}{measured}"

    def advance(self) -> dict[str, float]:
        settings = self.settings
        within = self.step % (settings.steps // settings.rounds)
        if within < settings.speech_steps:
            terms = self.speech.advance()
            if within == settings.speech_steps - 1:
                self._predict()
            shown = {f"speech {name}": value for name, value in terms.items()}
        else:
            terms = self.colors.advance()
            shown = {f"photo {n}": v for n, v in terms.items() if not n.startswith("raw/")}
        return shown | {"total": terms["total"]}

    def validate(self) -> dict[str, float]:
        psnr, lve = self._scored("held out").psnr, self.speech.validation_lve()
        self._psnr = psnr
        return {"test PSNR (dB)": psnr, "validation LVE (mm)": lve}

    def preview(self) -> Path:
        path = self.folder / PREVIEW
        save_preview(path, self.avatar, [self.predictions.shown(self.views[0])], self.backend)
        return path

    def state(self) -> dict[str, Any]:
        return {
            "speech": self.speech.state(),
            "colors": self.colors.state(),
            "rows": [row.to_dict() for row in self.rows],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        self.speech.restore(state["speech"])
        self.colors.restore(state["colors"])
        self.rows = [Row(**row) for row in state["rows"]]
        # Within a round the colours learn from what the speech model of that round predicts, and
        # that is the one of the state: it does not change while they learn.
        self._predict()

    def score_before(self) -> list[Row]:
        """The scores of what the training starts from, on tracked and on predicted faces."""
        return [self._scored("tracked faces, before", tracked=True), self._scored(BEFORE)]

    def resumable_with(self) -> dict[str, Any]:
        """The settings and inputs with which alone a run resumes."""
        # Colours of one avatar would load into another of as many Gaussians, and fit none of it.
        places = sha256(self.given.positions.cpu().numpy().tobytes())
        given = {"avatar": places.hexdigest(), "speech_model": self._model_digest}
        return self.settings.to_dict() | given

    def _scored(self, what: str, *, tracked: bool = False, avatar: Any = None) -> Row:
        shown = None if tracked else self.predictions
        return scored(what, avatar or self.avatar, self.views, self.backend, shown)

    def finish(self) -> list[Row]:
        """Write both results and their scores.

        Returns:
            The scores on held-out views.
        """
        settings = self.settings
        before = colored(self.given, self.capture.head).to(self.avatar.binding.device)
        rows = [*self.rows, self._scored(UNTUNED, avatar=before)]
        if settings.color:
            rows += [self._scored(TUNED), self._scored("tracked faces, after", tracked=True)]
        provenance = {
            "made by": "gaussianspeech train joint",
            "capture": self.capture.folder.resolve().name,
            "speech model": Path(self.model_name).name,
            "rounds": str(settings.rounds),
            "seed": str(settings.seed),
            "losses off": self.loss.lacks or "none",
        }
        refined = self.avatar.avatar(
            {**self.given.provenance, **provenance}, self.capture.identity(), self.given.light
        )
        save_avatar(refined, self.folder / AVATAR, half=True)
        lve = self.speech.validation_lve()
        save_with_encoder(
            self.folder / MODEL,
            self.speech.model,
            self.head,
            settings.name,
            {**provenance, "validation_lve_mm": lve},
            self.speech.encoder,
        )
        content = {
            "views": self.title,
            "rows": [row.to_dict() for row in rows],
            "validation_lve_mm": lve,
        }
        tested = self._speech_scores()
        write_json(self.folder / SCORES, content | {"seed": settings.seed, "speech": tested})
        print(table(rows, self.title), flush=True)
        for name, value in tested.items():
            print(f"{name}: {value:.4g}", flush=True)
        return rows

    def _speech_scores(self) -> dict[str, float]:
        """Figures of the refined speech model on the test part; none where there is none."""
        model = TrainedModel(self.speech.model.eval(), self.settings.name, self.head.id, {})
        loaded = LoadedModel(model, self.encoder)
        scores = held_out_scores(self._recordings, self._who, loaded, self.tracking)
        figures = {} if scores is None else scores.figures()
        return {name: value for name, value in figures.items() if math.isfinite(value)}
