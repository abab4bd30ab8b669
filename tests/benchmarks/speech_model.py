# SPDX-License-Identifier: GPL-3.0-or-later
"""What the speech model costs: ``python -m tests.benchmarks.speech_model``; asserts nothing.

Prints seconds of computing per second of speech for the whole way from sound to motion, for whole
clips and streams of the model alone, the delay of a stream, and the time against a decoder that
works as FaceFormer's does: frame after frame, decoding all of them from the start for each, with
the same sizes, in the same run. Wall-clock seconds depend on what else the machine does; beside
them stand seconds of processor time of all threads.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import as_file, files
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.audio.loading import load_speech, speech_from_samples
from engine.heads import load_head
from engine.motion.model import ids
from engine.motion.model.config import STARTER
from engine.motion.model.live import MotionStream, SpeechStream
from engine.motion.model.network import SpeechModel
from engine.motion.predict import predict
from engine.recognition.recognizer import recognize

_RATE = 16_000


class Cost(NamedTuple):
    """Seconds of the quickest run on the clock, and of the one that took least of the processor."""

    wall: float
    processor: float

    def per(self, seconds: float) -> str:
        """Per second of speech, as text."""
        wall, processor = self.wall / seconds, self.processor / seconds
        return f"{wall:.5f} s per s of speech, {processor:.5f} s of processor time"


def timed(work: Callable[[], object], repeats: int = 3) -> Cost:
    """The cost of some runs, after one that warms up; of 0 runs, that of the first."""
    if repeats:
        work()
    walls, processors = [], []
    for _ in range(repeats or 1):
        start, busy = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - start)
        processors.append(time.process_time() - busy)
    return Cost(min(walls), min(processors))


def whole_way(seconds: float) -> tuple[Cost, Cost]:
    """Recognition, and what follows it, for the sample voice repeated to a length."""
    head = load_head("default")
    with as_file(files("engine.assets") / "sample_voice.wav") as voice:
        samples = load_speech(voice).samples
    speech = speech_from_samples(np.resize(samples, round(seconds * _RATE)), _RATE)
    recognized = recognize(speech)
    return (
        timed(lambda: recognize(speech), 2),
        timed(lambda: predict(speech, head, 25.0, recognized=recognized, model=ids.STARTER), 2),
    )


@torch.inference_mode()
def redecoded(model: SpeechModel, features: Tensor, frames: int) -> Tensor:
    """Feed each frame back and decode all frames from scratch for the next one.

    The encoders run once, as in FaceFormer; the loop is the decoder's and the mapper's.
    """
    a = model.audio(model.interpolation(features, frames), None)
    c = model.lip_encoder(a)
    assert model.wrinkle_encoder is not None
    w = model.wrinkle_encoder(torch.cat([a, c], -1))
    e = model.expression_encoder.expressions(model.expression_encoder(torch.cat([c, w], -1)))
    m = torch.cat([c, model.expression2latent(e)], -1)
    made = torch.zeros(1, 1, model.config.components)
    for i in range(1, frames + 1):
        weights = model.mapper(model.decoder(m[:, :i], a[:, :i], made))
        model.mapper.offsets(weights)
        made = torch.cat([made, weights[:, -1:]], dim=1)
    return made[:, 1:]


def piecewise(model: SpeechModel, features: np.ndarray, size: int) -> None:
    """A stream that is fed ``size`` features at a time."""
    stream = MotionStream(model)
    for start in range(0, len(features), size):
        stream.push(features[start : start + size])
    stream.finish(int(len(features) / model.config.feature_rate * model.config.motion_rate))


def first_frame(model: SpeechModel) -> float:
    """Seconds of sound that a stream has taken when its first frame comes."""
    stream, taken = SpeechStream(model, 25.0), 0
    while not len(stream.push(np.zeros((1, model.config.features), np.float32))):
        taken += 1
    return taken / model.config.feature_rate + model.config.feature_start + 0.0125


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--skip-redecoding", action="store_true")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    config = STARTER
    model = SpeechModel(config).eval()
    model.mapper.basis = torch.randn(config.components, config.vertices, 3) * 1e-3
    model = model.to(options.device)
    count = round(options.seconds * config.feature_rate)
    frames = round(options.seconds * config.motion_rate)
    features = np.random.default_rng(0).normal(size=(count, config.features)).astype(np.float32)
    given = torch.from_numpy(features)[None].to(options.device)

    @torch.inference_mode()
    def whole() -> Tensor:
        return model(given, frames).weights.cpu()

    if options.device == "cpu":
        recognition, rest = whole_way(options.seconds)
        print(f"recognition             {recognition.per(options.seconds)}")
        print(f"model, lip contact, face {rest.per(options.seconds)}")
    parameters = sum(p.numel() for p in model.parameters())
    print(f"starter: {parameters:,} parameters, {config.motion_rate:g} frames per second")
    once = timed(whole)
    print(f"whole clip of {options.seconds:g} s   {once.per(options.seconds)}")
    for size, name in ((1000, "10 s chunks"), (50, "0.5 s chunks"), (2, "frame by frame")):
        part = features if size > 10 else features[:600]
        took = timed(lambda part=part, size=size: piecewise(model, part, size), 1)
        spoken = len(part) / config.feature_rate
        print(f"stream, {name:<16} {took.per(spoken)}")
    print(f"first frame after       {1000 * first_frame(model):.0f} ms of sound")
    if options.skip_redecoding or options.device != "cpu":
        return
    looped = SpeechModel(replace(config, autoregressive=True)).eval()
    looped.mapper.basis = model.mapper.basis
    start = time.perf_counter()
    redecoded(looped, given, frames)
    took = time.perf_counter() - start
    print(f"re-decoding from scratch {took / options.seconds:.4f} s per s of speech")
    print(f"the whole clip at once is {took / once.wall:.0f} times as fast")


if __name__ == "__main__":
    main()
