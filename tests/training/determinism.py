# SPDX-License-Identifier: GPL-3.0-or-later
"""What a machine computes from the same input and seed: ``python -m tests.training.determinism``.

It adds this machine's digests to the known ones, and says how far its numbers are from theirs.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from engine.audio.loading import load_speech
from engine.avatar import load_avatar
from engine.heads import load_head
from engine.motion.predict import predict
from engine.rendering.frames import portrait_camera, render_frame, studio_backdrop
from engine.splatting.cpu.backend import CpuBackend
from tests.training.avatar.conftest import ALONE, SMALL
from training.avatar.run import use_threads
from training.avatar.start import seeded_avatar
from training.avatar.trainer import AvatarTrainer
from training.data.multiview import MultiViewCapture
from training.losses.avatar import AvatarLoss
from training.run.machine import processor, vector_bits
from training.synthetic.small_capture import write_small_capture

KNOWN = Path(__file__).with_name("determinism.json")
TOLERANCES = {"performance": 1e-3, "picture": 1 / 255, "training": 1e-3}
"""Between machines: weights of expressions, levels of a picture's mean over 8×8 pixels, and a part
of the losses. The same numbers stand in docs/conventions.md."""


def computed(folder):
    """By name: all numbers as bytes, and those that are compared between machines.

    Args:
        folder: of the small capture.
    """
    head = load_head("default")
    voice = Path(__file__).parents[2] / "engine" / "assets" / "sample_voice.wav"
    weights = predict(load_speech(voice, duration=2.0), head, 25.0).expression
    camera, backdrop = portrait_camera(head, 96, 96), studio_backdrop(96, 96)
    avatar = load_avatar("default", head)
    frame = render_frame(head.template, None, avatar, CpuBackend(), camera, backdrop)
    losses = trained(folder)
    return {
        "performance": (weights.tobytes(), weights[::10]),
        "picture": (frame.tobytes(), frame.reshape(12, 8, 12, 8, 3).mean((1, 3)) / 255),
        "training": (losses.tobytes(), losses),
    }


def trained(folder):
    """Losses of three steps."""
    use_threads(1)
    settings = replace(SMALL, steps=40)
    capture = MultiViewCapture.open(folder)
    backend = CpuBackend()
    avatar = seeded_avatar(capture, settings, backend, views=2)
    loss = AvatarLoss(settings.losses)
    trainer = AvatarTrainer(capture, avatar, settings, backend, ALONE, loss)
    return np.array([trainer.advance()["total"] for _ in range(3)])


def family():
    """The machines that must have the same bytes: processor, vectors and libraries."""
    libraries = (f"{name} {version(name)}" for name in ("numpy", "numba", "torch"))
    return ", ".join([processor(), f"{vector_bits()} bits", *libraries])


def digests(results):
    """SHA-256 by name."""
    return {name: hashlib.sha256(data).hexdigest() for name, (data, _) in results.items()}


def distances(results, known):
    """The largest difference from the known numbers, by name; of losses in parts of them."""
    found = {}
    for name, (_, values) in results.items():
        stored = np.array(known["values"][name])
        size = np.abs(stored) if name == "training" else 1.0
        found[name] = float((np.abs(values - stored) / size).max())
    return found


def main():
    """Compare, and keep."""
    with tempfile.TemporaryDirectory() as folder:
        results = computed(write_small_capture(Path(folder)))
    if not KNOWN.is_file():
        values = {name: np.round(part, 6).tolist() for name, (_, part) in results.items()}
        KNOWN.write_text(json.dumps({"values": values, "families": {}}), "utf-8")
    known = json.loads(KNOWN.read_text("utf-8"))
    print(family(), distances(results, known))
    known["families"][family()] = digests(results)
    KNOWN.write_text(json.dumps(known, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
