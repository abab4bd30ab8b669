# SPDX-License-Identifier: GPL-3.0-or-later
"""Give a trained model the amplitude of its teacher.

A regression answers doubt with the mean: where a sound is uncertain or brief, what it predicts
varies less than the truth, so lips round less and f and v do not reach the teeth. The last layer is
linear, and rest is 0, so the loss of amplitude is undone by a factor for each expression: by how
much the prediction falls short wherever the truth is large, which is the slope of the prediction on
the truth, on clips that the model was not trained on, at the frame rate at which it is seen. The
jaw is predicted well from sound and makes most of the visible jitter: it gets back half of what
it lacks, and what closes the lips goes with it, for closures are balances of the two.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from engine.motion.model.network import SpeechNetwork
from engine.motion.model.resampling import Resampler
from training.assets.teacher import VISIBLE_FPS
from training.speech.sequences import SpeechSequence, whole

_KNOWN = 0.6
"""Correlation with the truth from which an expression counts as known; the rest stays damped."""
_MOVING = 0.01
"""Standard deviation under which an expression hardly moves."""
_MOST = 1.3
_JAW, _WITH_IT = "jawOpen", ("jaw", "mouthClose", "mouthPress")


def amplitudes(
    model: SpeechNetwork,
    names: Sequence[str],
    sequences: Sequence[SpeechSequence],
    variants: Sequence[int],
) -> NDArray[np.float64]:
    """(E,) factors from 1 on that bring each expression to its true amplitude.

    Args:
        model: in evaluation mode, on a head's own expressions.
        names: of the E expressions.
        sequences: that it was not trained on.
        variants: of their features.
    """
    ours, true = [], []
    for sequence in sequences:
        seen = round(sequence.frames * VISIBLE_FPS / model.config.motion_rate)
        for variant in variants:
            batch = whole(sequence, variant)
            with torch.inference_mode():
                made = model(batch.features, sequence.frames, batch.style).weights[0].numpy()
            resampler = Resampler(model.config.motion_rate, VISIBLE_FPS, made.shape[1])
            ours.append(resampler.push(made, seen, final=True))
            step = round(model.config.motion_rate / VISIBLE_FPS)
            true.append(sequence.weights[::step][:seen])
            ours[-1] = ours[-1][: len(true[-1])]
    predicted, taught = np.concatenate(ours).astype(np.float64), np.concatenate(true)
    spread, wanted = predicted.std(axis=0), taught.std(axis=0).astype(np.float64)
    both = (predicted - predicted.mean(axis=0)) * (taught - taught.mean(axis=0))
    alike = both.mean(axis=0) / np.maximum(spread * wanted, 1e-12)
    known = (alike > _KNOWN) & (wanted > _MOVING)
    factors = np.clip(wanted / np.maximum(spread * np.abs(alike), 1e-12), 1.0, _MOST)
    chosen: NDArray[np.float64] = np.where(known, factors, 1.0)
    if _JAW in names:
        jaw = list(names).index(_JAW)
        lacking = max(wanted[jaw] / max(spread[jaw], 1e-12), 1.0) - 1.0 if known[jaw] else 0.0
        chosen[[name.startswith(_WITH_IT) for name in names]] = 1.0 + lacking / 2
    return chosen


@torch.no_grad()
def amplify(model: SpeechNetwork, factors: NDArray[np.float64]) -> None:
    """Build (E,) factors into the last layer of a model."""
    layer = model.mapper.weights
    scale = torch.from_numpy(factors).to(layer.weight)
    layer.weight.mul_(scale[:, None])
    layer.bias.mul_(scale)
