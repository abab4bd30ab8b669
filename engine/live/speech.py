# SPDX-License-Identifier: GPL-3.0-or-later
"""From live sound to frames of expression weights, from top to bottom.

What is said is recognised phone by phone while it is spoken (:mod:`engine.recognition.live`); every
40 ms the motion of the last seconds is made anew, and the frames that lie :data:`LOOK_AHEAD` back
are given. By then their phones are mostly decided, and so are those after them that the mouth
prepares for.
"""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
import soxr

from engine.audio.features import FRAME_RATE
from engine.audio.level import loudness
from engine.audio.loading import SAMPLE_RATE, checked_rate
from engine.core.arrays import Double, Float
from engine.core.errors import BadInputError
from engine.core.timing import frame_count
from engine.heads.head import Head
from engine.motion.arkit import to_head_weights
from engine.motion.encoders.phonetic import PhoneticEncoder, phonetic_features
from engine.motion.face.blinks import blink_times, lids
from engine.motion.lip_contact import (
    LipGap,
    apply_labiodental_contact,
    close_lips,
    fit_mouth_close,
    lip_gap,
)
from engine.motion.model.ids import CORRECTED, LIVE, model_file
from engine.motion.model.live import SpeechStream
from engine.motion.model.loaded import LoadedModel, loaded_model
from engine.motion.model.network import SpeechModel
from engine.motion.rules.contacts import Contacts, contact_curves, phones_in_silence
from engine.motion.rules.correction import LipCorrection, lip_correction
from engine.motion.rules.pauses import hold_pauses_open
from engine.motion.rules.visemes import articulate
from engine.motion.style import NEUTRAL, Style, apply_style, model_inputs
from engine.recognition.live import HOP, LiveRecognizer

LOOK_AHEAD = 0.2
"""Seconds of sound after a frame that are known when it is given."""

_KEPT = 2.4
"""Seconds of sound that the motion is made from."""
_JOINING = 0.05
"""Seconds in which frames leave the path that the ones before were on, when what was recognised
turns out otherwise."""
_AT_ONCE = 12
"""Features of 10 ms that a model's stream takes at a time: many cost no more than few."""
_BLINKS = 60.0
"""Seconds for which blinks are drawn at once."""


class LiveSpeech:
    """Sound in, frames out; the same frames whatever the chunks that the sound comes in.

    Frame i stands at i / fps seconds of the sound. A context: recognition holds a temporary file.

    Args:
        head: who speaks; one with ARKit mouth shapes, or with the default head's by
            :func:`engine.heads.retarget.with_arkit_expressions`.
        fps: frames per second, 12 to 120.
        rate: of the sound, Hz.
        model: one of :data:`engine.motion.model.ids.MODELS` or the file of a trained model that
            moves the head's expressions and takes phonetic features.
        style: how it is spoken.
        catch_up: where a push brings several hops, because the machine was too slow for the ones
            before, make their frames at once: later than they should be, but no later each time.

    Raises:
        BadInputError: an unknown model, one that cannot run live, or an impossible rate.
    """

    def __init__(
        self,
        head: Head,
        fps: float,
        *,
        rate: float = SAMPLE_RATE,
        model: str = LIVE,
        style: Style = NEUTRAL,
        catch_up: bool = False,
    ) -> None:
        frame_count(1.0, fps)
        self.head, self.fps = head, fps
        self._style = style
        self._catch_up = catch_up
        self._names = head.expression_names
        self._gap = lip_gap(head.expression_basis, self._names, head.landmarks)
        self._motion = _motion(head, fps, model, style, self._gap)
        self._rate = checked_rate(rate, "The sound")
        self._recognizer = LiveRecognizer(_KEPT)
        self._resampler = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="LQ")
        self._same_rate = rate == SAMPLE_RATE
        self._came = 0
        self._waiting = np.zeros(0, np.float32)
        self._given = 0
        self._last: Float | None = None
        self._blinks: tuple[int, Double] = (-1, np.zeros(0))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._recognizer.close()

    def push(self, samples: Float) -> Float:
        """Take the next (n,) samples; give the (m, E) weights of the frames that are due."""
        self._came += len(samples)
        if not self._same_rate:
            samples = np.asarray(self._resampler.resample_chunk(samples), np.float32)
        return self._advance(samples, None)

    def finish(self) -> Float:
        """The end of the sound: give what is left of its round(duration · fps) frames."""
        rest = np.zeros(0, np.float32)
        if not self._same_rate:
            rest = np.asarray(self._resampler.resample_chunk(rest, last=True), np.float32)
        silence = np.zeros(SAMPLE_RATE, np.float32)
        frames = round(self._came / self._rate * self.fps)
        return self._advance(np.concatenate([rest, silence]), frames)

    def _advance(self, samples: Float, frames: int | None) -> Float:
        """Recognise whole hops of what came, and give the frames before ``frames`` that are due."""
        self._waiting = np.concatenate([self._waiting, samples])
        made = [np.zeros((0, len(self._names)), np.float32)]
        while len(self._waiting) >= HOP:
            self._recognizer.push(self._waiting[:HOP])
            self._waiting = self._waiting[HOP:]
            stop = int((self._recognizer.now - LOOK_AHEAD) * self.fps) + 1
            stop = max(stop if frames is None else min(stop, frames), self._given)
            more = frames is None and len(self._waiting) >= HOP
            if self._catch_up and more and stop < self._given + self.fps:
                continue
            if stop > self._given and self._recognizer.now >= LOOK_AHEAD:
                made.append(self._frames(stop))
        return np.concatenate(made)

    def _frames(self, stop: int) -> Float:
        """The frames from the first that was not given to ``stop``."""
        first, weights, contacts = self._motion.window(self._recognizer)
        weights = hold_pauses_open(weights, self._names, contacts, self._style.rest)
        before = self._given - 1 - first
        new = slice(before + 1, stop - first)
        joined = weights[new]
        if self._last is not None:
            behind = (np.arange(len(joined)) + 1) / (_JOINING * self.fps)
            joined = joined + np.exp(-behind)[:, None] * (self._last - weights[before])
        joined = np.clip(joined, 0.0, 1.0).astype(np.float32)
        joined = close_lips(joined, self._gap, contacts.closure[new])
        self._last, self._given = joined[-1], stop
        styled = apply_style(joined, self._names, self._style, self._gap)
        return np.maximum(styled, self._blinking(stop - len(styled), stop))

    def _blinking(self, first: int, stop: int) -> Float:
        """Blinks of some frames, which need no speech to be drawn."""
        frames = round(_BLINKS * self.fps)
        shut = np.zeros((stop - first, len(self._names)), np.float32)
        amount = min(self._style.upper_face, 1.0)
        columns = [i for i, name in enumerate(self._names) if name.startswith("eyeBlink")]
        for row, frame in enumerate(range(first, stop)):
            number = frame // frames
            if self._blinks[0] != number:
                times = blink_times((), _BLINKS, self._style.seed + number)
                self._blinks = number, lids(times, frames, self.fps)
            shut[row, columns] = amount * self._blinks[1][frame % frames]
        return shut


class _Motion(Protocol):
    """How phones become motion."""

    def window(self, recognizer: LiveRecognizer) -> tuple[int, Float, Contacts]:
        """The number of a first frame, and the (n, E) weights and contacts from it to now."""
        ...


class _RuleMotion:
    """The rules, corrected or not, once more over all that is kept."""

    def __init__(
        self,
        head: Head,
        fps: float,
        style: Style,
        gap: LipGap | None,
        correction: LipCorrection | None,
    ) -> None:
        self._correction = correction
        self._names, self._gap = head.expression_names, gap
        self._fps, self._style = fps, style

    def window(self, recognizer: LiveRecognizer) -> tuple[int, Float, Contacts]:
        """See :class:`_Motion`."""
        first = int(np.ceil(max(recognizer.now - _KEPT, 0.0) * self._fps))
        speech, recognized = recognizer.recognized(first / self._fps)
        frames = round(speech.duration * self._fps)
        phones = phones_in_silence(recognized.phones, frames / self._fps)
        contacts = contact_curves(phones, frames, self._fps, self._style.anticipation)
        level = loudness(speech.samples, SAMPLE_RATE)
        curves = articulate(
            *(phones, contacts, self._fps),
            loudness=level,
            style=self._style,
            correction=self._correction,
        )
        weights = to_head_weights(curves, self._names)
        return first, fit_mouth_close(weights, self._gap, contacts.closure), contacts


class _ModelMotion:
    """A speech model: its stream takes what is decided; what may change makes a preview of it."""

    def __init__(self, model: LoadedModel, head: Head, fps: float, style: Style) -> None:
        network = model.trained.model
        if not isinstance(network, SpeechModel):
            raise BadInputError(
                f"The speech model {model.trained.name!r} needs whole clips: it cannot speak live.",
                "Choose the starter, the rules, or a model of section 4.2.",
            )
        self._stream = SpeechStream(network, fps, model_inputs(style, network.config.styles))
        self._names, self._fps, self._style = head.expression_names, fps, style
        self._decided = 0
        self._final = np.zeros((0, len(head.expression_names)), np.float32)

    def window(self, recognizer: LiveRecognizer) -> tuple[int, Float, Contacts]:
        """See :class:`_Motion`."""
        start = round(max(recognizer.now - _KEPT, 0.0) * FRAME_RATE)
        _, recognized = recognizer.recognized(start / FRAME_RATE)
        # The last frame's window reaches into what comes next.
        values = phonetic_features(recognized.phones, recognized.mel, recognized.energy)[:-1]
        decided = round((recognizer.now - LOOK_AHEAD) * FRAME_RATE)
        if decided - self._decided >= _AT_ONCE:
            made = self._stream.push(values[self._decided - start : decided - start]).weights
            # After a stall frames are final that were not given yet.
            self._final = np.concatenate([self._final, made])[-round(_KEPT * self._fps) :]
            self._decided = decided
        frames = int(recognizer.now * self._fps)
        preview = self._stream.preview(values[self._decided - start :], frames).weights
        weights = np.concatenate([self._final, preview])
        first = frames - len(weights)
        shift = start / FRAME_RATE - first / self._fps
        phones = [p._replace(start=p.start + shift, end=p.end + shift) for p in recognized.phones]
        known = phones_in_silence(phones, len(weights) / self._fps)
        contacts = contact_curves(known, len(weights), self._fps, self._style.anticipation)
        return (
            first,
            apply_labiodental_contact(weights, self._names, contacts.labiodental),
            contacts,
        )


def _motion(head: Head, fps: float, model: str, style: Style, gap: LipGap | None) -> _Motion:
    file = model_file(model)
    if file is None:
        return _RuleMotion(head, fps, style, gap, lip_correction() if model == CORRECTED else None)
    loaded = loaded_model(file, head)
    if loaded.basis is not None or loaded.encoder.id != PhoneticEncoder.id:
        raise BadInputError(
            f"The speech model {model!r} cannot run live: it has a basis of its own or another "
            "encoder of the sound.",
            "Use 'starter', 'rules', or a model trained from the starter.",
        )
    return _ModelMotion(loaded, head, fps, style)
