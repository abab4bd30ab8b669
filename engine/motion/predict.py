# SPDX-License-Identifier: GPL-3.0-or-later
"""From speech to a performance, from top to bottom: the one entry of all callers."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from engine.audio.level import loudness
from engine.audio.loading import SAMPLE_RATE
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress, subprogress
from engine.core.timing import frame_count
from engine.motion.arkit import to_head_weights
from engine.motion.blinks import add_blinks_and_brows
from engine.motion.lip_contact import (
    apply_labiodental_contact,
    close_lips,
    fit_mouth_close,
    lip_gap,
)
from engine.motion.model.ids import DEFAULT, MODELS, RULES, STARTER, model_file
from engine.motion.performance import Performance
from engine.motion.rules.contacts import contact_curves, phones_in_silence
from engine.motion.rules.visemes import articulate
from engine.motion.style import NEUTRAL, Style, apply_style
from engine.recognition.ids import DEFAULT as RECOGNIZER

if TYPE_CHECKING:
    from engine.audio.loading import Speech
    from engine.heads.head import Head
    from engine.motion.model.loaded import LoadedModel
    from engine.recognition.recognizer import RecognizedSpeech

_FITTED = 0.3
"""Part of the time that fitting the default head's expressions to another head takes."""
_RECOGNIZED = 0.9
"""Part of the time that recognition takes; the rest is quick."""


def predict(
    speech: Speech,
    head: Head,
    fps: float,
    *,
    text: str | None = None,
    language: str | None = None,
    recognizer: str = RECOGNIZER,
    recognized: RecognizedSpeech | None = None,
    model: str | LoadedModel = DEFAULT,
    style: Style = NEUTRAL,
    progress: Progress = no_progress,
) -> Performance:
    """The performance of a head that speaks a clip.

    Args:
        speech: the clip.
        head: who speaks; one without ARKit mouth shapes, such as FLAME, gets the default head's
            by :func:`engine.heads.retarget.with_arkit_expressions`, once and within a minute.
        fps: frames per second, 12 to 120.
        text: what is said, where known: its phones are then aligned rather than guessed.
        language: what is spoken, an ISO 639 code such as ``"en"``; found out by default.
        recognizer: what writes down a clip without a text; see
            :func:`engine.recognition.recognizer.recognize`.
        recognized: the clip as it was recognised already, instead of recognising it here.
        model: one of :data:`engine.motion.model.ids.MODELS`, the ``.safetensors`` of a trained
            model, or a model in use, for just this head.
        style: how it is spoken.
        progress: called with the fraction done; may raise to cancel.

    Returns:
        A performance of ``round(duration · fps)`` frames on the head's expression basis, its own
        or the default head's, or on the basis that the model learned; its warnings are those of
        the clip and of its recognition.

    Raises:
        BadInputError: unknown model, a frame rate outside its range, a head that the default
            head's face does not fit, one that the learned model was not trained for, or a style
            that a model with a basis of its own cannot have.
        MissingDependencyError: the weights of the model's encoder are not there.
        CancelledError: ``progress`` raised it.
    """
    from engine.recognition.recognizer import recognize

    frames = frame_count(speech.duration, fps)
    head, loaded, progress = _load(model, head, style, progress)
    if recognized is None:
        step = subprogress(progress, 0.0, _RECOGNIZED)
        recognized = recognize(speech, text, step, language=language, recognizer=recognizer)
    progress = subprogress(progress, _RECOGNIZED, 1.0)
    phones = phones_in_silence(recognized.phones, frames / fps)
    contacts = contact_curves(phones, frames, fps, style.anticipation)
    names = head.expression_names
    gap = lip_gap(head.expression_basis, names, head.landmarks)
    performance = partial(
        Performance,
        fps=fps,
        expression_names=names,
        head=head.id,
        source_sha256=speech.sha256,
        model=RULES if loaded is None else loaded.trained.name,
        phones=recognized.phones,
        words=recognized.words,
        language=recognized.language,
        warnings=recognized.warnings,
    )
    if loaded is None:
        level = loudness(speech.samples, SAMPLE_RATE)
        curves = articulate(phones, contacts, fps, loudness=level, style=style)
        weights = fit_mouth_close(to_head_weights(curves, names), gap, contacts.closure)
    else:
        motion = loaded.motion(speech, recognized, fps, style, progress)
        if loaded.basis is not None:
            # Such a model learned contacts and blinks together with its basis.
            return performance(**motion._asdict(), basis=loaded.basis)
        weights = apply_labiodental_contact(motion.weights, names, contacts.labiodental)
        weights = close_lips(weights, gap, contacts.closure)
    weights = add_blinks_and_brows(weights, names, phones, fps, style)
    weights = apply_style(weights, names, style, gap)
    progress(1.0, "Motion predicted")
    return performance(weights=weights, basis=head.expression_basis, expression=weights)


def _load(
    model: str | LoadedModel, head: Head, style: Style, progress: Progress
) -> tuple[Head, LoadedModel | None, Progress]:
    """The head with the expressions that a model moves, the model, and the progress that is left.

    The model is ``None`` for the rules.

    Raises:
        BadInputError: unknown or damaged, of another head, or the style is not for it.
        MissingDependencyError: the weights of its encoder are not there.
    """
    from engine.heads.retarget import has_arkit_visemes, with_arkit_expressions

    loaded = None if isinstance(model, str) else model
    file = model_file(model) if isinstance(model, str) else None
    if loaded is None and not has_arkit_visemes(head):
        step = subprogress(progress, 0.0, _FITTED)
        progress = subprogress(progress, _FITTED, 1.0)
        if file is None or model == STARTER:
            head = with_arkit_expressions(head, progress=step)
        else:
            from engine.motion.model.checkpoint import head_for_model

            # A model of the user's own may be for just this head as it is.
            head = head_for_model(file, head, step)
    if file is not None:
        from engine.motion.model.loaded import loaded_model

        loaded = loaded_model(file, head)
    _check_style(style, head, loaded)
    return head, loaded, progress


def _check_style(style: Style, head: Head, loaded: LoadedModel | None) -> None:
    """Make sure that the expressions are such as a style can be laid over.

    Raises:
        BadInputError: they are not.
    """
    arkit = (loaded is None or loaded.basis is None) and "jawOpen" in head.expression_names
    if not arkit and (style.articulation, style.smile) != (NEUTRAL.articulation, NEUTRAL.smile):
        raise BadInputError(
            f"The speech model {RULES if loaded is None else loaded.trained.name!r} moves "
            f"{head.id!r} in components of its own; no articulation and no smile can be laid over "
            "them.",
            f"Leave both at their defaults, or use {' or '.join(map(repr, MODELS))}.",
        )
