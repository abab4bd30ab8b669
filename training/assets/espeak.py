# SPDX-License-Identifier: GPL-3.0-or-later
"""espeak-ng by its library: text in some hundred languages in, samples and timed sounds out.

The program writes no times, but the library calls back with an event at each sound
(``espeak_ng/speak_lib.h``).
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import NamedTuple

import espeakng_loader
import numpy as np
import soxr

from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Float
from engine.core.errors import MissingDependencyError
from training.assets import espeak_process

_ATTEMPTS = 3
"""The library reads past its buffers in some texts (valgrind shows it in Spanish ones), and where
its memory comes to lie decides whether it crashes."""


class IpaSegment(NamedTuple):
    """A sound as espeak-ng names it: IPA (empty in pauses), seconds from the start."""

    ipa: str
    start: float
    end: float


def speak_ipa(voice: str, text: str, speed: int, pitch: int) -> tuple[Float, list[IpaSegment]]:
    """Let a voice of espeak-ng say a text.

    The library continues from where the text before left it, by up to a sample and in its noise, so
    each text is spoken in a process of its own: the same text always sounds the same.

    Args:
        voice: language with an optional variant, as in ``en-us+f2``.
        text: what to say, in that language.
        speed: words per minute, 80 to 450.
        pitch: 0 to 99.

    Returns:
        (N,) float32 at 16 kHz, and the sounds in order; both empty where there is no such voice.

    Raises:
        MissingDependencyError: the data of espeak-ng are not where its package says.
    """
    library, data = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
    command = [sys.executable, espeak_process.__file__, library, data, voice, speed, pitch]
    for _ in range(_ATTEMPTS):
        done = subprocess.run(  # noqa: S603 - the program is ours; no shell is involved.
            [str(part) for part in command],
            input=text.encode(),
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            break
    else:
        return np.zeros(0, np.float32), []
    header, _, said = done.stdout.partition(b"\n")
    hertz, sounds = json.loads(header)
    if not hertz:
        raise MissingDependencyError(
            "espeak-ng does not find its data.", "Reinstall the package espeakng-loader."
        )
    samples = np.frombuffer(said, np.int16).astype(np.float32) / np.float32(2**15)
    if not len(samples):
        return samples, []
    ends = [start for start, _ in sounds[1:]] + [round(1000 * len(samples) / hertz)]
    segments = [
        IpaSegment(ipa, start / 1000, end / 1000)
        for (start, ipa), end in zip(sounds, ends, strict=True)
        if end > start
    ]
    return soxr.resample(samples, hertz, SAMPLE_RATE), segments
