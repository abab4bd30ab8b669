# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.benchmarks.speech_systems``: what Table 3's systems cost beside this one.

Untrained networks of their presets' sizes on a mesh of FLAME's size (5,023 vertices) make motion of
random features of wav2vec 2.0's size, whole clips as ``animate`` does; printed are the parameters,
and seconds on the clock and of the processor, all without the encoder, which is the same for all.
Vertices are made of the whole clip in the end; FaceFormer's own program makes those of all frames
so far for each frame, which the row ``faceformer-all`` does too. CodeTalker decodes a deep prior
from the start for every frame: it gets a shorter clip, of which the time is printed as it is.
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
from engine.motion.model.network import SpeechNetwork, VertexMapper
from tests.benchmarks.speech_model import Cost, timed
from training.speech.presets import NEW_MODELS

FPS = 30.0
ALL_MAPPED = "faceformer-all"
SYSTEMS = ("personal", "paper", "faceformer", ALL_MAPPED, "imitator", "codetalker")


@torch.inference_mode()
def _vertices(model: SpeechNetwork, clip: AudioFeatures) -> None:
    weights = torch.from_numpy(infer(model, clip, FPS).weights)[None]
    _mapped(model.mapper, weights)


def _mapped(mapper: VertexMapper, weights: torch.Tensor) -> None:
    mapper.offsets(weights)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--codetalker", type=float, default=3.0, help="seconds for CodeTalker")
    parser.add_argument("--only", nargs="*", default=SYSTEMS, choices=SYSTEMS)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rates = {"motion_rate": FPS, "feature_rate": FPS, "feature_start": 0.0}
    took: dict[str, Cost] = {}
    for name in options.only:
        torch.manual_seed(0)
        sizes = {"vertices": 5023, "lip_vertices": 254, "expressions": 100}
        config = replace(
            NEW_MODELS[name.removesuffix("-all")], **sizes, **rates, inner_interpolation=True
        )
        model = build(config).eval()
        torch.nn.init.normal_(model.mapper.basis, std=1e-3)
        if name == ALL_MAPPED:
            model.mapper.register_forward_hook(lambda mapper, _, made: _mapped(mapper, made))
        seconds = options.codetalker if name == "codetalker" else options.seconds
        count = round(seconds * FPS)
        values = np.random.default_rng(0).normal(size=(count, 768)).astype(np.float32)
        clip = AudioFeatures(values, FPS, 0.0, seconds)
        repeats = 3 if name in ("personal", "paper") else 0
        cost = took[name] = timed(partial(_vertices, model, clip), repeats)
        parameters = sum(p.numel() for p in model.parameters())
        print(
            f"{name:<12} {parameters:>12,} parameters   {seconds:g} s of speech: "
            f"{cost.wall:.3f} s, {cost.processor:.3f} s of processor time",
            flush=True,
        )
    for theirs in {"faceformer", ALL_MAPPED} & took.keys():
        for ours in {"personal", "paper"} & took.keys():
            ratio = took[theirs].processor / took[ours].processor
            print(f"{theirs} takes {ratio:.0f} times the processor time of {ours}")


if __name__ == "__main__":
    main()
