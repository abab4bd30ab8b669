# SPDX-License-Identifier: GPL-3.0-or-later
"""Transformer layers that attend within a fixed window, offline and streamed.

A frame attends to ``past`` frames before it and ``ahead`` after it, with a learned bias for each
distance and head. Only distances matter, never positions, so no length is special; cost and memory
are linear in the frames; and a stream that waits for ``ahead`` frames computes what the whole clip
at once computes. Layers are pre-norm (Xiong et al. 2020).

Every layer has ``forward`` for whole clips and ``step`` for streams. ``step`` takes the frames that
arrived and returns the frames that became final; its state holds the keys and values that coming
frames still attend to.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

_BLOCK = 64
"""Queries that share one stretch of keys."""


@dataclass
class KeyValueCache:
    """Keys and values of the frames that are still attended to.

    Attributes:
        keys, values: (B, H, m, d / H).
        left: how many of them lie before the next query's own frame, at most the window's past.
    """

    keys: Tensor
    values: Tensor
    left: int = 0

    def __deepcopy__(self, _memo: dict[int, Any]) -> KeyValueCache:
        # Tensors are replaced, never written to: a copy shares them.
        return copy(self)


class WindowAttention(nn.Module):
    """Multi-head attention of frames to the frames around them.

    The bias starts as ALiBi (Press et al. 2022: −slope · distance) and is learned from there.

    Args:
        dimension: d.
        heads: H.
        past, ahead: frames before and after its own that a frame attends to.
        dropout: of the attention weights.
        distances: whether there is a bias; without, the frames of the window are all alike.
    """

    bias: Tensor

    def __init__(
        self,
        dimension: int,
        heads: int,
        past: int,
        ahead: int,
        dropout: float = 0.0,
        *,
        distances: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.past, self.ahead, self.dropout = heads, past, ahead, dropout
        self.query = nn.Linear(dimension, dimension)
        self.key = nn.Linear(dimension, dimension)
        self.value = nn.Linear(dimension, dimension)
        self.out = nn.Linear(dimension, dimension)
        if not distances:
            self.register_buffer("bias", torch.zeros(heads, past + ahead + 1), persistent=False)
            return
        # In numpy: arithmetic on the meta device, where shapes are checked, imports torch._dynamo.
        slopes = 2.0 ** (-8.0 * np.arange(1, heads + 1) / heads)
        distance = np.abs(np.arange(-past, ahead + 1))
        self.bias = nn.Parameter(torch.tensor(-slopes[:, None] * distance, dtype=torch.float32))

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """(B, T, d) frames attend to the (B, T, d) memory; their own selves, usually."""
        return self.attend(x, self.remember(memory, None))

    def remember(self, memory: Tensor, cache: KeyValueCache | None) -> KeyValueCache:
        """The cache with the (B, n, d) memory that arrived added to it."""
        keys, values = self._split(self.key(memory)), self._split(self.value(memory))
        if cache is None:
            return KeyValueCache(keys, values)
        return KeyValueCache(
            torch.cat([cache.keys, keys], dim=2),
            torch.cat([cache.values, values], dim=2),
            cache.left,
        )

    def attend(self, x: Tensor, cache: KeyValueCache) -> Tensor:
        """The next (B, n, d) frames attend to a cache; it must hold all of their windows."""
        needed = cache.left + x.shape[1] + self.ahead
        q = self._split(self.query(x))
        k, v = cache.keys[:, :, :needed], cache.values[:, :, :needed]
        mixed = (
            self._single(q, k, v, cache.left)
            if q.shape[2] == 1
            else self._banded(q, k, v, cache.left)
        )
        B, H, n, c = mixed.shape
        return cast("Tensor", self.out(mixed.transpose(1, 2).reshape(B, n, H * c)))

    def advance(self, cache: KeyValueCache, frames: int) -> None:
        """Move on by the ``frames`` that have attended; what none will attend to is dropped."""
        left = cache.left + frames
        spare = max(0, left - self.past)
        # Cloned: a slice would keep the memory of everything that ever arrived.
        cache.keys = cache.keys[:, :, spare:].clone()
        cache.values = cache.values[:, :, spare:].clone()
        cache.left = left - spare

    def _single(self, q: Tensor, k: Tensor, v: Tensor, left: int) -> Tensor:
        """:meth:`_banded` for one query, whose window the keys are."""
        bias = self.bias[:, self.past - left :][:, : k.shape[2]]
        return functional.scaled_dot_product_attention(
            q,
            k,
            v,
            attn_mask=bias[:, None].to(q.dtype),
            dropout_p=self.dropout if self.training else 0.0,
        )

    def _banded(self, q: Tensor, k: Tensor, v: Tensor, left: int) -> Tensor:
        """(B, H, n, c) queries over (B, H, m, c) keys, ``left`` of which precede the first query.

        Queries are cut into blocks; each block attends to the one stretch of keys that holds the
        windows of all its queries.
        """
        B, H, n, c = q.shape
        size = min(_BLOCK, n)
        blocks = -(-n // size)
        width = size + self.past + self.ahead
        front = self.past - left
        back = blocks * size + self.past + self.ahead - front - k.shape[2]
        exists = functional.pad(
            torch.ones(k.shape[2], dtype=torch.bool, device=k.device), (front, back)
        ).unfold(0, width, size)
        q = functional.pad(q, (0, 0, 0, blocks * size - n)).view(B, H, blocks, size, c)
        k, v = (
            functional.pad(x, (0, 0, front, back)).unfold(2, width, size).permute(0, 2, 1, 4, 3)
            for x in (k, v)
        )
        mixed = functional.scaled_dot_product_attention(
            q.transpose(1, 2),
            k,
            v,
            attn_mask=self._mask(exists, size, width).to(q.dtype),
            dropout_p=self.dropout if self.training else 0.0,
        )
        return mixed.transpose(1, 2).reshape(B, H, blocks * size, c)[:, :, :n]

    def _mask(self, exists: Tensor, size: int, width: int) -> Tensor:
        """(blocks, H, size, width): the bias inside the window, −∞ outside and where no frame is.

        Padding queries behind the last frame may find their window empty: those see their own
        place, for NaN in a row that is thrown away still spoils gradients.
        """
        device = self.bias.device
        slot = torch.arange(width, device=device) - torch.arange(size, device=device)[:, None]
        reach = self.past + self.ahead
        seen = ((slot >= 0) & (slot <= reach) & exists[:, None, None, :]) | (slot == self.past)
        return torch.where(seen, self.bias[:, slot.clamp(0, reach)], float("-inf"))

    def _split(self, x: Tensor) -> Tensor:
        B, n, d = x.shape
        return x.view(B, n, self.heads, d // self.heads).transpose(1, 2)


class AlignedAttention(nn.Module):
    """Cross-attention under the alignment mask of Eq. 11: frame i attends to audio i alone.

    A softmax over one key is 1 whatever the query, so the attention is exactly this linear map of
    the audio of the same frame; queries and keys would never receive a gradient.

    Args:
        dimension: d.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.value = nn.Linear(dimension, dimension)
        self.out = nn.Linear(dimension, dimension)

    def forward(self, memory: Tensor) -> Tensor:
        """(B, T, d) audio to what the frames take from it, (B, T, d)."""
        return cast("Tensor", self.out(self.value(memory)))


def feed_forward(dimension: int, hidden: int, dropout: float) -> nn.Sequential:
    """The position-wise part of a transformer layer."""
    return nn.Sequential(
        nn.Linear(dimension, hidden),
        nn.GELU(),
        nn.Dropout(dropout),
        nn.Linear(hidden, dimension),
        nn.Dropout(dropout),
    )


@dataclass
class LayerState:
    """What a layer of a stream remembers.

    Attributes:
        own: keys and values of the layer's own frames.
        waiting: (B, p, d) frames that wait for those after them.
        memory: keys and values of what is fused in, where the layer attends to a window of it.
        fed_back: (B, 1, n) what a network fed back to itself last, in its first layer's state.
    """

    own: KeyValueCache | None = None
    waiting: Tensor | None = None
    memory: KeyValueCache | None = None
    fed_back: Tensor | None = None

    def __deepcopy__(self, _memo: dict[int, Any]) -> LayerState:
        return LayerState(copy(self.own), self.waiting, copy(self.memory), self.fed_back)


class EncoderLayer(nn.Module):
    """Self-attention within a window, then the position-wise part.

    Args:
        dimension: d.
        heads: H.
        hidden: size of the feed-forward layer.
        past, ahead: the window.
        dropout: everywhere.
    """

    def __init__(
        self, dimension: int, heads: int, hidden: int, past: int, ahead: int, dropout: float
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dimension)
        self.attention = WindowAttention(dimension, heads, past, ahead, dropout)
        self.norm_position = nn.LayerNorm(dimension)
        self.position = feed_forward(dimension, hidden, dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, d) → (B, T, d)."""
        normal = self.norm_attention(x)
        x = x + self.attention(normal, normal)
        return cast("Tensor", x + self.position(self.norm_position(x)))

    def step(self, x: Tensor, state: LayerState, *, final: bool) -> Tensor:
        """(B, n, d) frames in, the frames that became final out, fewer or more than n."""
        state.own = self.attention.remember(self.norm_attention(x), state.own)
        waiting = x if state.waiting is None else torch.cat([state.waiting, x], dim=1)
        n = waiting.shape[1] - (0 if final else self.attention.ahead)
        state.waiting = waiting[:, max(n, 0) :]
        if n <= 0:
            return waiting[:, :0]
        ready = waiting[:, :n]
        ready = ready + self.attention.attend(self.norm_attention(ready), state.own)
        self.attention.advance(state.own, n)
        return cast("Tensor", ready + self.position(self.norm_position(ready)))


class DecoderLayer(nn.Module):
    """Self-attention to the past (Eq. 10), cross-attention to a memory, the position-wise part.

    Eq. 10 as printed blocks the past; its text, "prevent the model from peeking into future
    frames", blocks the future, and that is what is done here.

    Args:
        dimension: d.
        heads: H.
        hidden: size of the feed-forward layer.
        past: frames before its own that a frame attends to.
        ahead: frames of the memory after its own, without the alignment mask.
        dropout: everywhere.
        aligned: the alignment mask of Eq. 11.
        distances: whether the cross-attention knows how far frames of the memory are, without it.
    """

    def __init__(
        self,
        dimension: int,
        heads: int,
        hidden: int,
        past: int,
        ahead: int,
        dropout: float,
        *,
        aligned: bool,
        distances: bool = True,
    ) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(dimension)
        self.attention = WindowAttention(dimension, heads, past, 0, dropout)
        self.norm_cross = nn.LayerNorm(dimension)
        self.cross: AlignedAttention | WindowAttention = (
            AlignedAttention(dimension)
            if aligned
            else WindowAttention(dimension, heads, past, ahead, dropout, distances=distances)
        )
        self.norm_position = nn.LayerNorm(dimension)
        self.position = feed_forward(dimension, hidden, dropout)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """(B, T, d) motion and memory → (B, T, d) motion."""
        normal = self.norm_attention(x)
        x = x + self.attention(normal, normal)
        if isinstance(self.cross, AlignedAttention):
            x = x + self.cross(memory)
        else:
            x = x + self.cross(self.norm_cross(x), memory)
        return cast("Tensor", x + self.position(self.norm_position(x)))

    def step(self, x: Tensor, memory: Tensor, arrived: Tensor, state: LayerState) -> Tensor:
        """The next (B, n, d) frames of motion, all of them final.

        Args:
            x: motion.
            memory: (B, n, d) memory of the same frames.
            arrived: (B, m, d) memory not given before; audio runs ahead of the motion.
            state: changed in place.
        """
        state.own = self.attention.remember(self.norm_attention(x), state.own)
        x = x + self.attention.attend(self.norm_attention(x), state.own)
        self.attention.advance(state.own, x.shape[1])
        if isinstance(self.cross, AlignedAttention):
            x = x + self.cross(memory)
        else:
            if arrived.shape[1] or state.memory is None:
                state.memory = self.cross.remember(arrived, state.memory)
            x = x + self.cross.attend(self.norm_cross(x), state.memory)
            self.cross.advance(state.memory, x.shape[1])
        return cast("Tensor", x + self.position(self.norm_position(x)))
