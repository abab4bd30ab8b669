# SPDX-License-Identifier: GPL-3.0-or-later
"""What a learned speech model says by itself, before lip contact is solved."""

from __future__ import annotations

from engine.audio.loading import Speech
from engine.heads.head import Head
from engine.motion.model.checkpoint import head_for_model
from engine.motion.model.ids import model_file
from engine.motion.model.loaded import loaded_model
from engine.motion.performance import Performance
from engine.motion.style import NEUTRAL
from engine.recognition.recognizer import RecognizedSpeech


def motion_before_contact(
    speech: Speech, head: Head, fps: float, recognized: RecognizedSpeech, model: str
) -> Performance | None:
    """The motion of a learned model as :func:`engine.motion.predict.predict` gets it from it.

    Contacts of lips and teeth, rest in silences, blinks and brows are not in it.

    Args:
        speech: the clip.
        head: who speaks, as for :func:`engine.motion.predict.predict`.
        fps: frames per second, 12 to 120.
        recognized: the clip as it was recognised.
        model: one of :data:`engine.motion.model.ids.MODELS`, or the file of a trained model.

    Returns:
        A performance of ``round(duration · fps)`` frames on the basis that the model moves;
        ``None`` for the rules, which are contacts from the first.

    Raises:
        BadInputError: unknown model, or one that is for another head.
        MissingDependencyError: the weights of the model's encoder are not there.
    """
    file = model_file(model)
    if file is None:
        return None
    head = head_for_model(file, head)
    loaded = loaded_model(file, head)
    motion = loaded.motion(speech, recognized, fps, NEUTRAL)
    basis = head.expression_basis if loaded.basis is None else loaded.basis
    names = head.expression_names
    return Performance(fps, motion.weights, basis, motion.expression, names, head.id)
