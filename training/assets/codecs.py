# SPDX-License-Identifier: GPL-3.0-or-later
"""What codecs of telephones, messengers and podcasts leave of speech; timing is kept."""

from __future__ import annotations

import io
from typing import Any, NamedTuple

import av
import numpy as np
import soxr
from scipy import signal

from engine.audio.loading import SAMPLE_RATE
from engine.core.arrays import Double


class Codec(NamedTuple):
    """A codec as FFmpeg knows it.

    Attributes:
        encoder: its name.
        container: format that holds it.
        hertz: sampling rate.
        bits: bits per second that are drawn from, 0 where there is no choice.
    """

    encoder: str
    container: str
    hertz: int
    bits: tuple[int, ...]


CODECS = (
    Codec("libopus", "ogg", 16_000, (8_000, 12_000, 20_000)),
    Codec("libmp3lame", "mp3", 16_000, (16_000, 24_000, 40_000)),
    Codec("libmp3lame", "mp3", 32_000, (32_000, 64_000)),
    Codec("aac", "adts", 16_000, (16_000, 32_000)),
    Codec("libopencore_amrnb", "amr", 8_000, (4_750, 7_400, 12_200)),
    Codec("pcm_mulaw", "wav", 8_000, (0,)),
)
_LONGEST_DELAY = 0.15
"""Seconds by which a codec may come late."""


def available(codec: Codec) -> bool:
    """Whether this build of FFmpeg can encode it."""
    return codec.encoder in av.codecs_available


def through_codec(samples: Double, codec: Codec, bits: int) -> Double:
    """(N,) samples in [−1, 1] at 16 kHz, encoded and decoded again, without the codec's delay."""
    file = io.BytesIO()
    with av.open(file, "w", format=codec.container) as sink:
        stream: Any = sink.add_stream(codec.encoder, rate=codec.hertz)
        stream.layout = "mono"
        if bits:
            stream.bit_rate = bits
        pcm = np.clip(soxr.resample(samples, SAMPLE_RATE, codec.hertz), -1.0, 1.0)
        frame = av.AudioFrame.from_ndarray(
            np.round(pcm * (2**15 - 1)).astype(np.int16)[None], format="s16", layout="mono"
        )
        frame.sample_rate = codec.hertz
        for wanted in (frame, None):
            sink.mux(stream.encode(wanted))
    file.seek(0)
    with av.open(file, "r") as source:
        to_mono = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE)
        frames = [part for frame in source.decode(audio=0) for part in to_mono.resample(frame)]
        frames += to_mono.resample(None)
    decoded = np.concatenate([frame.to_ndarray()[0] for frame in frames]).astype(np.float64)
    return _in_step(decoded, samples)


def _in_step(decoded: Double, samples: Double) -> Double:
    """The decoded samples, shifted to where they correlate most with the original."""
    most = round(_LONGEST_DELAY * SAMPLE_RATE)
    size = len(samples)
    padded = np.zeros(size + 2 * most)
    padded[: min(len(decoded), size + 2 * most)] = decoded[: size + 2 * most]
    similar = signal.correlate(padded, samples, "valid", method="fft")
    late = int(np.argmax(similar))
    return padded[late : late + size]
