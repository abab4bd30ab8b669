# SPDX-License-Identifier: GPL-3.0-or-later
"""Recognition of a live voice: the phones of the last seconds, known anew every 40 ms.

The search is that of :mod:`.phone_loop`, which needs no words: nobody knows them while they are
spoken. What lies a fifth of a second back has mostly been decided by then.
"""

from __future__ import annotations

import numpy as np

from engine.audio.features import FRAME_RATE, MEL_BANDS, features
from engine.audio.features import HOP as FRAME
from engine.audio.level import loudness, relative_level
from engine.audio.loading import SAMPLE_RATE, Speech
from engine.core.arrays import Float
from engine.phonemes import SILENCE, Phone, normalize_segments
from engine.recognition.measurement import LOUD
from engine.recognition.phone_loop import LivePhoneLoop
from engine.recognition.recognizer import RecognizedSpeech
from engine.recognition.senone_stream import SenoneStream
from engine.recognition.senones import acoustic_model
from engine.recognition.voice_stream import BLOCK, VoiceStream

HOP = 640
"""Samples at 16 kHz after which the phones are known anew: 40 ms."""

_NEW = HOP // FRAME + 1
"""Frames of features that a hop completes or begins."""

_SPEAKS, _STOPS = 0.5, 0.3
"""Probabilities of speech from which somebody speaks, and under which a pause begins."""
_PAUSE = 4
"""Blocks of 32 ms that a pause lasts; a closure is shorter."""
_BEFORE, _AFTER = 3, 2
"""Blocks before and after speech that belong to it: consonants that pass for noise."""

_USUAL_LEVEL = -26.0
"""dB of loud speech before anything was said."""
_LEVELS = (-70.0, 0.0)
_LOUDER, _SOFTER = 0.15, 12.0
"""Seconds in which the level of speech follows a louder, and a softer voice."""


class LiveRecognizer:
    """Sound in, what is spoken out; the same for any chunks that the sound comes in.

    Args:
        kept: seconds that are looked back.
    """

    def __init__(self, kept: float = 2.0) -> None:
        self._kept = round(kept * SAMPLE_RATE / HOP) * HOP
        self._scorer = SenoneStream()
        self._loop = LivePhoneLoop(self._kept // FRAME)
        self._voice = VoiceStream()
        self._samples = np.zeros(self._kept, np.float32)
        self._taken = 0
        self._mel = np.zeros((self._kept // FRAME, MEL_BANDS), np.float32)
        self._level = np.zeros(self._kept // FRAME, np.float32)
        self._spans: list[list[int]] = []
        self._judged, self._quiet, self._speaking = 0, 0, False
        self._loud, self._spoken = _USUAL_LEVEL, 0.0

    def push(self, samples: Float) -> None:
        """Take the next :data:`HOP` samples at 16 kHz."""
        sound = samples * self.gain
        for probability in self._voice.push(sound):
            self._judge(float(probability))
        scores = self._scorer.push(sound, spoken=self._speaking)
        if len(scores):
            self._loop.accept_scores(np.ascontiguousarray(scores))
        if self._speaking:
            self._follow_level(samples)
        self._samples = np.concatenate([self._samples[HOP:], samples])
        self._taken += HOP
        self._measure()

    @property
    def gain(self) -> np.float32:
        """The factor that brings loud speech to :data:`LOUD`."""
        return np.float32(10 ** ((LOUD - self._loud) / 20))

    @property
    def now(self) -> float:
        """Seconds of sound that were taken."""
        return self._taken / SAMPLE_RATE

    def recognized(self, start: float) -> tuple[Speech, RecognizedSpeech]:
        """The sound from a time on and what is spoken in it, with times from there.

        Args:
            start: seconds, not before what is kept; nothing is said before 0.
        """
        first = round(start * SAMPLE_RATE) - self._taken
        speech = Speech(self._samples[first:] * self.gain, self.now - start, "")
        phones = normalize_segments(self._phones(start), speech.duration)
        frames = max(1, round(speech.duration * FRAME_RATE))
        spoken = np.zeros(frames, bool)
        for phone in phones:
            if phone.label != SILENCE:
                spoken[round(phone.start * FRAME_RATE) : round(phone.end * FRAME_RATE)] = True
        level = relative_level(self._level[-frames:], LOUD)
        energy = np.where(spoken, level, np.float32(0))
        return speech, RecognizedSpeech(phones, self._mel[-frames:], energy)

    def close(self) -> None:
        """Give back what recognition holds."""
        self._scorer.close()

    def _phones(self, start: float) -> list[Phone]:
        """The phones that somebody speaks, in seconds from ``start``."""
        labels = acoustic_model().labels
        segments = self._loop.finish()
        known = segments[-1].stop if segments else 0
        phones = []
        for phone, first, stop in segments:
            # What is not known yet continues what is.
            last = self._taken / FRAME if stop == known else stop
            if labels[phone] != SILENCE and self._is_spoken(first * FRAME, last * FRAME):
                times = (first / FRAME_RATE - start, last / FRAME_RATE - start)
                phones.append(Phone(labels[phone], *times))
        return phones

    def _is_spoken(self, first: float, last: float) -> bool:
        return any(begin < last and end > first for begin, end in self._spans)

    def _judge(self, probability: float) -> None:
        """Follow who speaks through the next block."""
        begin = self._judged * BLOCK
        self._judged += 1
        if probability > (_STOPS if self._speaking else _SPEAKS):
            if not self._speaking:
                self._spans.append([begin - _BEFORE * BLOCK, begin])
            self._speaking, self._quiet = True, 0
        else:
            self._quiet += 1
            self._speaking = self._speaking and self._quiet < _PAUSE
        if self._speaking and self._quiet == 0:
            self._spans[-1][1] = begin + (1 + _AFTER) * BLOCK
        while self._spans and self._spans[0][1] < begin - self._kept:
            del self._spans[0]

    def _measure(self) -> None:
        """Features of the frames that the last samples completed, and of the one that they began.

        The last window reaches 7 ms into what comes next.
        """
        step = HOP // FRAME
        sound = self._samples[-2 * HOP :] * self.gain
        mel, level = features(sound, 2 * step)
        self._mel = np.concatenate([self._mel[step:-1], mel[-_NEW:]])
        self._level = np.concatenate([self._level[step:-1], level[-_NEW:]])

    def _follow_level(self, samples: Float) -> None:
        """Bring the level of loud speech nearer to that of the last samples."""
        seconds = HOP / SAMPLE_RATE
        self._spoken += seconds
        level = float(loudness(samples, SAMPLE_RATE).max())
        # The first words have no past that outweighs them.
        reach = _LOUDER if level > self._loud else min(_SOFTER, _LOUDER + self._spoken)
        self._loud += (level - self._loud) * (1.0 - float(np.exp(-seconds / reach)))
        self._loud = min(max(self._loud, _LEVELS[0]), _LEVELS[1])
