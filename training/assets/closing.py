# SPDX-License-Identifier: GPL-3.0-or-later
"""Let a trained model close the lips by itself: its readout of ``mouthClose``, fitted once more.

A regression shares its error between lips that close and lips that do not, so closures end some
tenths of a millimetre short. The last layer is linear: with the rest of the network as it is, what
it reads for ``mouthClose`` is changed by as little as possible elsewhere so that lips that truly
close while speaking overlap, on clips with the sounds that are given in use.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.heads.head import Head
from engine.motion.lip_contact import lip_gap
from engine.motion.model.network import SpeechNetwork
from training.speech.sequences import SpeechSequence, whole

_CLOSED, _RESTING = 0.3, 0.03
"""Millimetres of the widest true gap of shut lips, and largest weight of a face at rest."""
_OVERLAP = 1.0
"""Millimetres by which they are to overlap."""
_CLOSING = 3.0
"""Weight of a frame that closes, beside one that does not."""
_RIDGE = 1e-3
_ROUNDS = 60


def fit_closing(
    model: SpeechNetwork, head: Head, sequences: Sequence[SpeechSequence], variants: Sequence[int]
) -> None:
    """Fit the readout of ``mouthClose`` to closures, in place.

    Args:
        model: on the expressions of the head.
        head: with ``mouthClose`` and landmarks of the inner lips.
        sequences: to fit it on.
        variants: of their features.
    """
    gap = lip_gap(head.expression_basis, head.expression_names, head.landmarks)
    assert gap is not None
    parting = torch.from_numpy(gap.parting * 1000.0).float()
    hidden, true = _hidden(model, sequences, variants)
    layer = model.mapper.weights
    with torch.no_grad():
        before = layer(hidden) @ parting
        widest = (true @ parting).amax(dim=1)
        closing = (widest < _CLOSED) & (true.abs().amax(dim=1) > _RESTING)
    row = torch.zeros(hidden.shape[1] + 1, requires_grad=True)
    search = torch.optim.LBFGS([row], max_iter=_ROUNDS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        search.zero_grad()
        change = hidden @ row[:-1] + row[-1]
        lacking = (before + change[:, None] * parting[gap.close]).amax(dim=1) + _OVERLAP
        closed = _CLOSING * lacking.clamp(min=0.0).square()
        kept = (change[:, None] * parting[gap.close]).square().mean(dim=1)
        total = torch.where(closing, closed, kept).mean() + _RIDGE * row.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    search.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight[gap.close] += row[:-1]
        layer.bias[gap.close] += row[-1]


@torch.no_grad()
def _hidden(
    model: SpeechNetwork, sequences: Sequence[SpeechSequence], variants: Sequence[int]
) -> tuple[Tensor, Tensor]:
    """(N, d) what the last layer reads in all frames, and the (N, E) true weights."""
    taken: list[Tensor] = []
    true: list[Tensor] = []
    hook = model.mapper.register_forward_pre_hook(lambda _, given: taken.append(given[0][0]))
    try:
        for sequence in sequences:
            for variant in variants:
                batch = whole(sequence, variant)
                model(batch.features, sequence.frames, batch.style)
                true.append(batch.weights[0])
    finally:
        hook.remove()
    return torch.cat(taken), torch.cat(true)
