# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.benchmarks.speech_systems``: what Table 3's systems cost beside this one.

Untrained networks of their presets' sizes on a mesh of FLAME's size (5,023 vertices) make motion of
random features of wav2vec 2.0's size, whole clips as ``animate`` does; printed are the parameters,
and seconds on the clock and of the processor, all without the encoder, which is the same for all.
CodeTalker decodes a deep prior from the start for every frame: it gets a shorter clip, of which the
time is printed as it is.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial

import numpy as np
import torch

from engine.motion.encoders.base import AudioFeatures
from engine.motion.model.architectures import build
from engine.motion.model.inference import infer
from tests.benchmarks.speech_model import Cost, timed
from training.speech.presets import NEW_MODELS

FPS = 30.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--codetalker", type=float, default=3.0, help="seconds for CodeTalker")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rates = {"motion_rate": FPS, "feature_rate": FPS, "feature_start": 0.0}
    took: dict[str, Cost] = {}
    for name in ("personal", "paper", "faceformer", "imitator", "codetalker"):
        torch.manual_seed(0)
        sizes = {"vertices": 5023, "lip_vertices": 254, "expressions": 100}
        config = replace(NEW_MODELS[name], **sizes, **rates, inner_interpolation=True)
        model = build(config).eval()
        torch.nn.init.normal_(model.mapper.basis, std=1e-3)
        seconds = options.codetalker if name == "codetalker" else options.seconds
        count = round(seconds * FPS)
        values = np.random.default_rng(0).normal(size=(count, 768)).astype(np.float32)
        clip = AudioFeatures(values, FPS, 0.0, seconds)
        repeats = 3 if name in ("personal", "paper") else 0
        cost = took[name] = timed(partial(infer, model, clip, FPS), repeats)
        parameters = sum(p.numel() for p in model.parameters())
        print(
            f"{name:<12} {parameters:>12,} parameters   {seconds:g} s of speech: "
            f"{cost.wall:.3f} s, {cost.processor:.3f} s of processor time",
            flush=True,
        )
    for ours in ("personal", "paper"):
        ratio = took["faceformer"].processor / took[ours].processor
        print(f"{ours} takes a {ratio:.0f}th of FaceFormer's processor time")


if __name__ == "__main__":
    main()
