# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech made of samples, and the phones that are recognised in it."""

from __future__ import annotations

import numpy as np

from engine.audio.loading import speech_from_samples

RATE = 16000


def speech_of(samples):
    return speech_from_samples(np.asarray(samples, np.float32), RATE)


def labels(encoding):
    return [phone.label for phone in encoding.phones]


def spoken(encoding):
    return [phone for phone in encoding.phones if phone.label != "SIL"]
