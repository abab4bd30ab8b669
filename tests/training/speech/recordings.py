# SPDX-License-Identifier: GPL-3.0-or-later
"""Small recordings with motion, and a small wav2vec 2.0 of random weights."""

from dataclasses import replace

import numpy as np
import soundfile
import torch

from engine.motion.encoders.wav2vec2 import load_wav2vec2
from engine.motion.model.config import STARTER, for_head
from engine.motion.performance import Performance

FPS = 25.0
SECONDS = 1.0
TINY = replace(STARTER, dimension=16, heads=2, feed_forward=16, past=6, styles=())


def motion_of(head, seed, frames=25):
    """(T, E) a jaw that opens and closes under lips that purse."""
    rng = np.random.default_rng(seed)
    weights = np.zeros((frames, len(head.expression_names)), np.float32)
    curve = 0.3 + 0.3 * np.sin(np.arange(frames) / 4.0 + rng.uniform(0, 6))
    weights[:, head.expression_index("jawOpen")] = curve
    weights[:, head.expression_index("mouthPucker")] = rng.uniform(0, 0.4) * (1 - curve)
    return weights


def write_sound(path, seed):
    """A second of noise."""
    rng = np.random.default_rng(seed)
    sound = rng.normal(size=round(SECONDS * 16_000)).astype(np.float32) * 0.05
    soundfile.write(path, sound, 16_000)


def write_recordings(folder, head, kind="expression", clips=4):
    """A folder of captures c0, c1 …; kind is "expression", "vertices" or "performance"."""
    folder.mkdir(exist_ok=True)
    for seed in range(clips):
        write_sound(folder / f"c{seed}.wav", seed)
        weights = motion_of(head, seed)
        path = folder / f"c{seed}.motion.npz"
        if kind == "expression":
            np.savez(path, fps=FPS, expression=weights)
        elif kind == "vertices":
            np.savez(path, fps=FPS, vertices=head.deform(weights))
        else:
            Performance(
                FPS, weights, head.expression_basis, weights, head.expression_names, head.id
            ).save(folder / f"c{seed}.performance.npz")
    return folder


def tiny_config(head, **changes):
    """A model that trains in no time."""
    return for_head(replace(TINY, **changes), head)


def write_wav2vec2(folder):
    """A wav2vec 2.0 of random weights, and the encoder with it."""
    from transformers import Wav2Vec2Config, Wav2Vec2FeatureExtractor, Wav2Vec2Model

    torch.manual_seed(0)
    Wav2Vec2Model(
        Wav2Vec2Config(
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            conv_dim=(8,) * 7,
            num_conv_pos_embeddings=8,
            num_conv_pos_embedding_groups=2,
        )
    ).save_pretrained(folder)
    Wav2Vec2FeatureExtractor().save_pretrained(folder)
    return load_wav2vec2(folder)
