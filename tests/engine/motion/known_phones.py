# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances of phones whose times are known, by the rules."""

import numpy as np

from engine.motion.model.ids import RULES
from engine.motion.predict import predict
from engine.motion.rules.contacts import contact_curves, phones_in_silence
from engine.motion.rules.visemes import articulate
from engine.motion.style import NEUTRAL, Style
from engine.recognition.recognizer import RecognizedSpeech


def perform(phones, speech, head, fps, **style):
    """The rules' performance; they need neither mel nor energy."""
    none = np.zeros((0, 40), np.float32)
    recognized = RecognizedSpeech(tuple(phones), none, none[:, 0], speech.warnings)
    return predict(speech, head, fps, recognized=recognized, model=RULES, style=Style(**style))


def contacts_of(phones, frames, fps, style=NEUTRAL):
    return contact_curves(phones_in_silence(phones, frames / fps), frames, fps, style.anticipation)


def articulated(phones, frames, fps, *, loudness=None, style=NEUTRAL):
    """(frames, 52) curves of the rules."""
    known = phones_in_silence(phones, frames / fps)
    contacts = contact_curves(known, frames, fps, style.anticipation)
    return articulate(known, contacts, fps, loudness=loudness, style=style)
