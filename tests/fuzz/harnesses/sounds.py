# SPDX-License-Identifier: GPL-3.0-or-later
"""Sounds of every container: what FFmpeg and libsndfile make of damaged ones."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import av
import numpy as np
import soundfile

from engine.audio.loading import load_speech
from tests.fuzz.harness import Harness
from tests.fuzz.structure import damage_sound

_KINDS = {
    "wav": ("pcm_s16le", "pcm_f32le", "adpcm_ms"),
    "flac": ("flac",),
    "ogg": ("libopus",),
    "mp3": ("libmp3lame",),
    "m4a": ("aac", "alac"),
    "webm": ("libopus",),
}


def _record(kind: str, folder: Path) -> None:
    time = np.arange(9600) / 48000
    sound = (0.3 * np.sin(2 * np.pi * 220 * time)).astype(np.float32)
    if kind == "ogg":
        soundfile.write(folder / "vorbis.ogg", sound, 48000)
    for number, codec in enumerate(_KINDS[kind]):
        with av.open(str(folder / f"{number}.{kind}"), "w") as container:
            stream = container.add_stream(codec, rate=48000, layout="mono")
            resampler = av.AudioResampler(stream.codec_context.format or "fltp", "mono", 48000)
            for start in range(0, len(sound), 960):
                block = sound[None, start : start + 960]
                frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
                frame.sample_rate, frame.pts = 48000, start
                for ready in resampler.resample(frame):
                    container.mux(stream.encode(ready))
            container.mux(stream.encode(None))


def _read(path: Path) -> None:
    speech = load_speech(path)
    assert np.isfinite(speech.samples).all()


HARNESSES = tuple(
    Harness(kind, f"a.{kind}", partial(_record, kind), _read, damage_sound, memory=256, cost=15)
    for kind in _KINDS
)
