# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech in, performance out: the one entry that the command line and the server call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from engine.audio.level import loudness
from engine.audio.loading import SAMPLE_RATE
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress, subprogress
from engine.core.timing import frame_count
from engine.motion.arkit import ARKIT_NAMES, COLUMN
from engine.motion.articulation import Articulation
from engine.motion.blinks import enliven
from engine.motion.lip_contact import sealed
from engine.motion.performance import Performance
from engine.motion.rules.visemes import articulate, lip_closure
from engine.motion.style import NEUTRAL, Style, lip_parting, styled
from engine.phonemes import Phone

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from engine.audio.loading import Speech
    from engine.heads.head import Head

RULES = "rules"
"""Id of the rule-based model."""
STARTER = "starter"
"""Id of the shipped learned model of the default head."""
DEFAULT = STARTER
"""Id of the model that speaks unless another is asked for."""
MODELS: tuple[str, ...] = (STARTER, RULES)
"""Ids of the speech models; the file of a trained model is one too."""
MODEL_SUFFIX = ".safetensors"

_FITTED = 0.3
"""Part of the time that fitting the default head's expressions to another head takes."""
_HEARD = 0.9
"""Part of the time that recognising takes; articulating is quick."""


def predict(
    speech: Speech,
    head: Head,
    fps: float,
    *,
    text: str | None = None,
    model: str = DEFAULT,
    settings: Articulation | None = None,
    style: Style | None = None,
    progress: Progress = no_progress,
) -> Performance:
    """The performance of a head that speaks a clip.

    Args:
        speech: the clip.
        head: who speaks; one without ARKit mouth shapes, such as FLAME, gets the default head's
            by :func:`engine.heads.retarget.with_arkit_expressions`, once and within a minute.
        fps: frames per second, 12 to 120.
        text: what is said, where known: the sounds are then aligned rather than guessed.
        model: one of :data:`MODELS`, or the ``.safetensors`` of a trained one.
        settings: how the rules articulate; an ordinary speaker by default. A learned model takes
            the amplitudes and the liveliness.
        style: what an artist asks for on top; nothing by default.
        progress: told how far it is.

    Returns:
        A performance of ``round(duration · fps)`` frames on the head's expression basis, its own
        or the default head's; its warnings are those of the clip and of hearing it.

    Raises:
        BadInputError: unknown model, a frame rate outside its range, a head that the default
            head's face does not fit, or one that the learned model was not trained for.
        MissingDependencyError: the file of the learned model is not there.
        CancelledError: ``progress`` raised it.
    """
    from engine.recognition.recognizer import recognize

    if model == STARTER or model.endswith(MODEL_SUFFIX):
        from engine.motion.learned import predict_learned

        if model == STARTER:
            head, progress = _expressive(head, progress)
        else:
            # A model of the user's own may be for just this head as it is.
            from engine.motion.model.checkpoint import head_for_model

            head = head_for_model(model, head, subprogress(progress, 0.0, _FITTED))
            progress = subprogress(progress, _FITTED, 1.0)
        learned = predict_learned(
            speech, head, fps, model=model, text=text, settings=settings, progress=progress
        )
        return in_style(learned, head, style)
    if model != RULES:
        raise BadInputError(
            f"There is no speech model {model!r}.",
            f"Choose from: {', '.join(MODELS)}, or give the {MODEL_SUFFIX} file of a trained one.",
        )
    frame_count(speech.duration, fps)
    head, progress = _expressive(head, progress)
    heard = recognize(speech, text=text, progress=subprogress(progress, 0.0, _HEARD))
    progress(_HEARD, "articulating")
    performance = perform(heard.phones, speech, head, fps, settings=settings)
    progress(1.0, "articulated")
    return in_style(replace(performance, warnings=heard.warnings), head, style)


def in_style(performance: Performance, head: Head, style: Style | None) -> Performance:
    """A performance in the style that an artist asks for; itself where nothing is asked for.

    Args:
        performance: in the head's own expressions.
        head: whose landmarks tell when lips touch.
        style: what is asked for.

    Raises:
        BadInputError: the performance is not in ARKit expressions, so no style can be laid over it.
    """
    if style is None or style == NEUTRAL:
        return performance
    names = performance.expression_names
    if performance.weights.shape != performance.expression.shape or "jawOpen" not in names:
        raise BadInputError(
            f"The speech model {performance.model!r} moves {performance.head!r} in components of "
            "its own; no articulation and no smile can be laid over them.",
            "Leave both at their defaults, or use 'starter' or 'rules'.",
        )
    upper, lower = (head.landmarks.get(f"inner_lip_{side}", ()) for side in ("upper", "lower"))
    parting = lip_parting(performance.basis, list(upper), list(lower))
    weights = styled(performance.weights, names, style, parting)
    return replace(performance, weights=weights, expression=weights)


def perform(
    phones: Sequence[Phone],
    speech: Speech,
    head: Head,
    fps: float,
    *,
    settings: Articulation | None = None,
) -> Performance:
    """The rules alone: the performance for sounds whose times are known.

    Args:
        phones: timed sounds of the clip.
        speech: the clip, for its loudness and duration.
        head: who speaks; as for :func:`predict`.
        fps: frames per second.
        settings: an ordinary speaker by default.

    Raises:
        BadInputError: a frame rate outside its range, or a head that the default head's face does
            not fit.
    """
    settings = settings or Articulation()
    head, _ = _expressive(head, no_progress)
    frames = frame_count(speech.duration, fps)
    level = loudness(speech.samples, SAMPLE_RATE)
    curves = articulate(phones, frames, fps, loudness=level, settings=settings)
    curves = sealed(curves, lip_closure(phones, frames, fps, settings), head)
    curves = np.maximum(curves, enliven(phones, frames, fps, settings))
    expression = on_head(curves, head)
    return Performance(
        fps=fps,
        weights=expression,
        basis=head.expression_basis,
        expression=expression,
        expression_names=head.expression_names,
        head=head.id,
        source_sha256=speech.sha256,
        model=RULES,
        phones=tuple(phones),
        warnings=speech.warnings,
    )


def _expressive(head: Head, progress: Progress) -> tuple[Head, Progress]:
    """The head with ARKit mouth shapes, and the progress that is left after making them.

    Raises:
        BadInputError: the default head's face does not fit this one.
    """
    from engine.heads.retarget import has_arkit_visemes, with_arkit_expressions

    if has_arkit_visemes(head):
        return head, progress
    found = with_arkit_expressions(head, progress=subprogress(progress, 0.0, _FITTED))
    return found, subprogress(progress, _FITTED, 1.0)


def on_head(curves: NDArray[np.float32], head: Head) -> NDArray[np.float32]:
    """ARKit curves as weights of a head's expressions; those that it lacks are left out.

    A head without ``mouthClose`` shuts its lips with the jaw.

    Args:
        curves: (T, 52) columns as :data:`engine.motion.arkit.ARKIT_NAMES`.
        head: E expressions.

    Returns:
        (T, E) float32; expressions without an ARKit name stay 0.
    """
    weights = np.zeros((len(curves), len(head.expression_names)), np.float32)
    for column, name in enumerate(ARKIT_NAMES):
        if name in head.expression_names:
            weights[:, head.expression_index(name)] = curves[:, column]
    if "jawOpen" in head.expression_names and "mouthClose" not in head.expression_names:
        parted = curves[:, COLUMN["jawOpen"]] - curves[:, COLUMN["mouthClose"]]
        weights[:, head.expression_index("jawOpen")] = np.maximum(parted, 0.0)
    return weights
