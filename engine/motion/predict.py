# SPDX-License-Identifier: GPL-3.0-or-later
"""From speech to a performance, from top to bottom: the one entry of all callers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from engine.audio.level import loudness
from engine.audio.loading import SAMPLE_RATE
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress, subprogress
from engine.core.timing import frame_count
from engine.motion.arkit import to_head_weights
from engine.motion.face.head_motion import head_motion
from engine.motion.face.layers import animate_face
from engine.motion.face.voice import measure_prosody
from engine.motion.lip_contact import (
    apply_labiodental_contact,
    close_lips,
    fit_mouth_close,
    lip_gap,
)
from engine.motion.model.ids import CORRECTED, DEFAULT, MODELS, model_file
from engine.motion.performance import Performance
from engine.motion.rules.contacts import contact_curves, phones_in_silence
from engine.motion.rules.correction import LipCorrection, lip_correction
from engine.motion.rules.pauses import ease_in_silence, hold_pauses_open, rest_in_silence
from engine.motion.rules.visemes import articulate
from engine.motion.style import NEUTRAL, Style
from engine.recognition.ids import DEFAULT as RECOGNIZER

if TYPE_CHECKING:
    from engine.audio.loading import Speech
    from engine.heads.head import Head
    from engine.motion.face_fit import FaceFit
    from engine.motion.model.live import Frames
    from engine.motion.model.loaded import LoadedModel
    from engine.recognition.recognizer import RecognizedSpeech
    from engine.recognition.segmentation import Segmentation
    from engine.recognition.text_file import Cue

_FITTED = 0.3
"""Part of the time that fitting the default head's expressions to another head takes."""
_RECOGNIZED = 0.9
"""Part of the time that recognition takes; the rest is quick."""


_NO_LAYERS = (
    "The default head's face does not fit this head, so the motion is the model's own: contacts of "
    "the lips, blinks and style were left out."
)


def predict(
    speech: Speech,
    head: Head,
    fps: float,
    *,
    text: str | Sequence[Cue] | None = None,
    language: str | None = None,
    recognizer: str = RECOGNIZER,
    recognized: RecognizedSpeech | Callable[[Progress], RecognizedSpeech] | None = None,
    given: Segmentation | None = None,
    model: str | LoadedModel | LipCorrection = DEFAULT,
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
        recognized: the clip as it was recognised already, instead of recognising it here; or what
            recognises it.
        given: the phones and words of the clip where they are known: nothing is recognised, and
            the motion is that of exactly these; not together with ``text``.
        model: one of :data:`engine.motion.model.ids.MODELS`, the ``.safetensors`` of a trained
            model, or a model in use, for just this head; or the rules with a correction of one's
            own.
        style: how it is spoken.
        progress: called with the fraction done; may raise to cancel.

    Returns:
        A performance of ``round(duration · fps)`` frames on the head's expression basis, its own
        or the default head's, or on the basis that the model learned and those expressions that
        contacts, blinks and style add to it; its warnings are those of the clip and of its
        recognition.

    Raises:
        BadInputError: unknown model, given phones beyond the clip, a frame rate outside its range,
            a head that the default head's face does not fit, or one that the learned model was not
            trained for.
        MissingDependencyError: the weights of the model's encoder are not there.
        CancelledError: ``progress`` raised it.
    """
    from engine.recognition.given import accept
    from engine.recognition.recognizer import recognize

    if given is not None and text:
        raise BadInputError("Both a text and phones were given.", "Give one of them.")
    frames = frame_count(speech.duration, fps)
    head, face, loaded, progress = _load(model, head, progress)
    step = subprogress(progress, 0.0, _RECOGNIZED)
    if callable(recognized):
        recognized = recognized(step)
    if recognized is None:
        if given is not None:
            recognized = accept(speech, given, step, language=language)
        else:
            recognized = recognize(speech, text, step, language=language, recognizer=recognizer)
    progress = subprogress(progress, _RECOGNIZED, 1.0)
    prosody = measure_prosody(speech.samples, SAMPLE_RATE, recognized.phones, recognized.words)
    performance = partial(
        Performance,
        fps=fps,
        expression_names=head.expression_names,
        head=head.id,
        source_sha256=speech.sha256,
        model=_name(model, loaded),
        phones=recognized.phones,
        words=recognized.words,
        language=recognized.language,
        warnings=recognized.warnings,
        prosody=prosody,
    )
    if face is None:
        assert loaded is not None
        motion = loaded.motion(speech, recognized, fps, style, progress)
        basis = head.expression_basis if loaded.basis is None else loaded.basis
        warnings = (*recognized.warnings, _NO_LAYERS)
        turned = head_motion(recognized.phones, prosody.accents, frames, fps, style)
        performance = partial(performance, head_rotation=turned, warnings=warnings)
        return performance(**motion._asdict(), basis=basis)
    phones = phones_in_silence(recognized.phones, frames / fps)
    contacts = contact_curves(phones, frames, fps, style.anticipation)
    names = face.expression_names
    gap = lip_gap(face.expression_basis, names, face.landmarks)
    fit: FaceFit | None = None
    if loaded is None:
        curves = articulate(
            *(phones, contacts, fps),
            loudness=loudness(speech.samples, SAMPLE_RATE),
            style=style,
            correction=_correction(model),
        )
        weights = fit_mouth_close(to_head_weights(curves, names), gap, contacts.closure)
    else:
        motion = loaded.motion(speech, recognized, fps, style, progress)
        fit = _fit(motion, loaded, head, face)
        weights, gap = (motion.weights, gap) if fit is None else (fit.weights, fit.gap)
        if fit is None:
            weights = ease_in_silence(weights, names, phones, contacts, fps)
            weights = rest_in_silence(weights, names, contacts)
        weights = apply_labiodental_contact(weights, names, contacts.labiodental)
        weights = close_lips(weights, gap, contacts.closure)
    weights = hold_pauses_open(weights, names, contacts, style.rest)
    made = animate_face(weights, names, recognized.phones, prosody, fps, style, gap)
    progress(1.0, "Motion predicted")
    performance = partial(performance, head_rotation=made.head_rotation)
    if fit is not None:
        return performance(**fit.joined(made.weights, head.expression_names)._asdict())
    return performance(weights=made.weights, basis=head.expression_basis, expression=made.weights)


def _fit(motion: Frames, loaded: LoadedModel, head: Head, face: Head) -> FaceFit | None:
    """What a model with a basis of its own says in ARKit expressions; ``None`` for any other."""
    from engine.motion.face_fit import fit_face

    if loaded.basis is not None:
        return fit_face(motion, loaded.basis, face)
    return None if face is head else fit_face(motion, head.expression_basis, face)


def _correction(model: str | LoadedModel | LipCorrection) -> LipCorrection | None:
    if isinstance(model, LipCorrection):
        return model
    return lip_correction() if model == CORRECTED else None


def _name(model: str | LoadedModel | LipCorrection, loaded: LoadedModel | None) -> str:
    if loaded is not None:
        return loaded.trained.name
    return model if isinstance(model, str) else CORRECTED


def _load(
    model: str | LoadedModel | LipCorrection, head: Head, progress: Progress
) -> tuple[Head, Head | None, LoadedModel | None, Progress]:
    """The head as a model moves it, the same with ARKit's expressions, the model, and the progress.

    The model is ``None`` for the rules; the second head is ``None`` where the default head's face
    does not fit and the model can do without; the progress is what is left of it.

    Raises:
        BadInputError: unknown or damaged, of another head, or the face does not fit.
        MissingDependencyError: the weights of its encoder are not there.
    """
    from engine.heads.retarget import has_arkit_visemes, with_arkit_expressions

    if isinstance(model, LipCorrection):
        model = CORRECTED
    loaded = None if isinstance(model, str) else model
    file = model_file(model) if isinstance(model, str) else None
    face: Head | None = head
    if not has_arkit_visemes(head):
        step = subprogress(progress, 0.0, _FITTED)
        progress = subprogress(progress, _FITTED, 1.0)
        try:
            face = with_arkit_expressions(head, progress=step)
        except BadInputError:
            if model in MODELS:
                raise
            # What the user's own model makes of this head needs no ARKit expressions.
            face = None
    if face is not None and model in MODELS:
        head = face
    if file is not None:
        from engine.motion.model.checkpoint import head_for_model
        from engine.motion.model.loaded import loaded_model

        # A model of the user's own may be for just this head as it is.
        head = head_for_model(file, head)
        loaded = loaded_model(file, head)
    return head, face, loaded, progress
