# SPDX-License-Identifier: GPL-3.0-or-later
"""From the rate of audio features to that of the motion."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class FrequencyInterpolation(nn.Module):
    """From the rate of the audio features to that of the motion.

    Frame i, at i / motion_rate seconds, is the mean of the features around it under a triangle that
    is as wide as the coarser of the two steps: linear interpolation on the way up, without aliasing
    on the way down. The first and last features are repeated beyond the ends.

    Args:
        rate: features per second.
        start: seconds of the first feature's centre.
        motion_rate: frames per second.
    """

    def __init__(self, rate: float, start: float, motion_rate: float) -> None:
        super().__init__()
        self.rate, self.start, self.motion_rate = rate, start, motion_rate
        self.half_width = max(1.0 / self.rate, 1.0 / self.motion_rate)
        self.taps = math.floor(2.0 * self.half_width * self.rate) + 1

    def first_feature(self, frame: int) -> int:
        """The first feature that a frame takes in; negative before the first one."""
        begin = (frame / self.motion_rate - self.half_width - self.start) * self.rate
        return math.ceil(begin - 1e-9)

    def frames(self, features: int) -> int:
        """Frames that are final once so many features have arrived."""
        last = self.start + (features - 1) / self.rate
        frames = max(0, math.floor((last - self.half_width) * self.motion_rate) + 1)
        while self.first_feature(frames) + self.taps <= features:
            frames += 1
        while frames and self.first_feature(frames - 1) + self.taps > features:
            frames -= 1
        return frames

    def forward(self, features: Tensor, frames: int, first: int = 0, dropped: int = 0) -> Tensor:
        """Features at the times of the motion.

        Args:
            features: (B, N, C).
            frames: T, how many frames to make.
            first: the first of them.
            dropped: features of the clip that came before ``features`` and are no longer held.

        Returns:
            (B, T, C).
        """
        # Indices in Python: float32 would misplace features after some minutes.
        lead = [self.first_feature(first + i) for i in range(frames)]
        index = torch.tensor(lead, dtype=torch.long, device=features.device)[:, None]
        index = index + torch.arange(self.taps, device=features.device)
        centre = torch.tensor(
            [
                (first + i) / self.motion_rate - self.start - lead[i] / self.rate
                for i in range(frames)
            ],
            dtype=features.dtype,
            device=features.device,
        )
        step = torch.arange(self.taps, device=features.device) / self.rate
        weight = (1.0 - (centre[:, None] - step).abs() / self.half_width).clamp(min=0.0)
        weight = weight / weight.sum(dim=1, keepdim=True)
        held = (index - dropped).clamp(0, features.shape[1] - 1)
        return torch.einsum("btkc,tk->btc", features[:, held], weight)
