# SPDX-License-Identifier: GPL-3.0-or-later
"""What a speech model predicts for the timesteps of a capture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.audio.loading import Speech, load_speech
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.heads.head import Head
from engine.motion.encoders.base import AudioEncoder, AudioFeatures
from engine.motion.model.checkpoint import TrainedModel, head_for_model
from engine.motion.model.ids import STARTER, STARTER_FILE
from engine.motion.model.loaded import LoadedModel
from engine.motion.model.network import SpeechNetwork
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.recognition.recognizer import RecognizedSpeech, recognize
from training.data.captured_motion import CapturedHead
from training.data.flame_tracking import Tracking
from training.data.multiview import MultiViewCapture, View
from training.data.recorded_motion import read_motion, with_lips
from training.data.recordings import Recording
from training.evaluation.held_out import SPOKEN
from training.joint.upper_face import UpperFace


def speaking_head(speech_model: str, captured: Head, avatar: str) -> tuple[Path, Head]:
    """The file of a speech model, and the head with the expressions that it speaks in.

    Args:
        speech_model: ``"starter"`` or a file.
        captured: the head of the capture.
        avatar: what to call the avatar in messages.

    Raises:
        MissingDependencyError: there is no such model.
        BadInputError: it speaks in other expressions than the avatar's colours follow.
    """
    path = STARTER_FILE if speech_model == STARTER else Path(speech_model)
    head = head_for_model(path, captured)
    if head.expression_names != captured.expression_names:
        ours, theirs = head.expression_names, captured.expression_names
        raise BadInputError(
            f"{speech_model} speaks in {len(ours)} expressions ({ours[0]} …); the colours of "
            f"{avatar} follow the {len(theirs)} of the capture ({theirs[0]} …).",
            "Train a speech model on this head: gaussianspeech train speech --from none.",
        )
    return path, with_lips(head)


class Face(NamedTuple):
    """A predicted timestep.

    Attributes:
        vertices: (V, 3) metres, in the capture's world and in the pose that was filmed.
        expression: (E,) ψ.
    """

    vertices: Tensor
    expression: Tensor


@dataclass(frozen=True, eq=False)
class Clip:
    """A recording of which there are pictures.

    Attributes:
        speech: the sound.
        text: what is said, where ``NAME.txt`` gives it.
        language: of it, an ISO 639 code; ``None`` where unknown.
        fps: frames per second of its motion.
        frames: timestep by filmed frame.
    """

    speech: Speech
    text: str | None
    language: str | None
    fps: float
    frames: Mapping[int, int]


def captured_clips(
    filmed: Sequence[Recording], who: CapturedHead, tracking: Tracking | None = None
) -> dict[str, Clip]:
    """The recordings of a capture of which there are pictures, by name.

    Args:
        filmed: those recordings.
        who: whose motion it is.
        tracking: refined parameters of FLAME.

    Raises:
        BadInputError: a motion that does not fit the head or the sound, or is shorter than what was
            filmed; names it.
    """
    clips = {}
    for recording in filmed:
        speech = load_speech(recording.audio)
        motion = read_motion(recording, who, speech, tracking)
        last, frames = max(recording.timesteps), len(motion.weights)
        if last >= frames:
            raise BadInputError(
                f"Frame {last} of {recording.name} was filmed, but {motion.path} has {frames}.",
                "Give the motion that was filmed.",
            )
        said = recording.text, recording.language
        clips[recording.name] = Clip(speech, *said, motion.fps, recording.timesteps)
    return clips


class Predictions:
    """The faces that a model predicts, made anew as it learns.

    What a sound does not tell is no prediction: blinks, brows and gaze are those of the capture
    (:mod:`training.joint.upper_face`).

    Args:
        clips: by name.
        head: who speaks.
        capture: what was filmed.
        encoder: of the speech model.
        tuned: whether it changes, so that the clips have to be encoded again each time.
    """

    def __init__(
        self,
        clips: Mapping[str, Clip],
        head: Head,
        capture: MultiViewCapture,
        encoder: AudioEncoder,
        *,
        tuned: bool,
    ) -> None:
        self._clips, self._head, self._capture = clips, head, capture
        self._upper = UpperFace.of(head)
        self._encoder = encoder if tuned else _EncodedOnce(encoder)
        self._recognized: dict[str, RecognizedSpeech] = {}
        self.faces: dict[int, Face] = {}

    def renew(self, model: SpeechNetwork, name: str) -> None:
        """Predict the filmed frames as the product does, but for blinks, brows and gaze."""
        was_training = model.training
        trained = TrainedModel(model.eval(), name, self._head.id, {})
        loaded = LoadedModel(trained, self._encoder)
        shown = self._capture.timesteps
        for clip_name, clip in self._clips.items():
            if clip_name not in self._recognized:
                self._recognized[clip_name] = recognize(
                    clip.speech, clip.text, language=clip.language
                )
            known = self._recognized[clip_name]
            made = predict(
                clip.speech, self._head, clip.fps, recognized=known, model=loaded, style=SPOKEN
            )
            for frame, timestep in clip.frames.items():
                if timestep not in shown:
                    continue
                face = _face(made, frame, self._head)
                vertices = self._capture.in_the_world(timestep, face.vertices)
                self.faces[timestep] = Face(vertices, face.expression)
        model.train(was_training)

    def shown(self, view: View) -> View:
        """A view with the predicted face where it was filmed, in the pose that was filmed.

        Its upper face is the captured one.
        """
        face = self.faces[view.timestep]
        device = view.vertices.device
        vertices, expression = self._upper.taken_from(
            view.vertices.cpu(), view.expression.cpu(), face.vertices, face.expression
        )
        return replace(view, vertices=vertices.to(device), expression=expression.to(device))


class _EncodedOnce:
    """An encoder that does not change: each clip is encoded once.

    Args:
        encoder: what encodes.
    """

    def __init__(self, encoder: AudioEncoder) -> None:
        self._encoder = encoder
        self._features: dict[str, AudioFeatures] = {}
        self.id, self.size, self.rate = encoder.id, encoder.size, encoder.rate
        self.start = encoder.start

    def encode(
        self,
        speech: Speech,
        recognized: RecognizedSpeech | None = None,
        *,
        text: str | None = None,
        language: str | None = None,
        progress: Progress = no_progress,
    ) -> AudioFeatures:
        """See :meth:`engine.motion.encoders.base.AudioEncoder.encode`."""
        if speech.sha256 not in self._features:
            found = self._encoder.encode(
                speech, recognized, text=text, language=language, progress=progress
            )
            self._features[speech.sha256] = found
        return self._features[speech.sha256]


def _face(made: Performance, frame: int, head: Head) -> Face:
    # A clip may be a frame shorter than its motion where their lengths are not whole frames.
    frame = min(frame, made.frames - 1)
    vertices = head.template + made.offsets(frame, frame + 1)[0]
    return Face(
        torch.from_numpy(np.ascontiguousarray(vertices, np.float32)),
        torch.from_numpy(np.ascontiguousarray(made.expression[frame], np.float32)),
    )
