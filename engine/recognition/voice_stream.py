# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether somebody speaks, as the sound comes in: Silero's detector, 32 ms at a time.

The network (MIT licence) and its weights are in the faster-whisper package.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import as_file, files
from typing import Any

import numpy as np

from engine.core.arrays import Float
from engine.core.errors import MissingDependencyError

BLOCK = 512
"""Samples at 16 kHz that the network judges at a time."""
CONTEXT = 64
"""Samples before them that it takes along."""
_STATE = (1, 1, 128)


class VoiceStream:
    """Sound in, probabilities of speech out, one for each 32 ms, whatever the chunks."""

    def __init__(self) -> None:
        self._session = _session()
        self._samples = np.zeros(CONTEXT, np.float32)
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)

    def push(self, samples: Float) -> Float:
        """Take the next (n,) samples at 16 kHz; give the (m,) probabilities that became known."""
        self._samples = np.concatenate([self._samples, samples])
        found = []
        while len(self._samples) >= CONTEXT + BLOCK:
            block = self._samples[: CONTEXT + BLOCK]
            self._samples = self._samples[BLOCK:]
            inputs = {"input": block[None], "h": self._h, "c": self._c}
            probability, self._h, self._c = self._session.run(None, inputs)
            found.append(float(np.squeeze(probability)))
        return np.array(found, np.float32)


@cache
def _session() -> Any:
    """The network on one thread: 32 ms of sound take it a fraction of a millisecond.

    Raises:
        MissingDependencyError: the installed faster-whisper has no such network.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    source = files("faster_whisper") / "assets" / "silero_vad_v6.onnx"
    if not source.is_file():
        raise MissingDependencyError(
            "The installed faster-whisper has no silero_vad_v6.onnx.",
            "Install the version of faster-whisper that pyproject.toml names.",
        )
    with as_file(source) as path:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
