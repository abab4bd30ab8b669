# SPDX-License-Identifier: GPL-3.0-or-later
"""Small towers of random weights in the place of SyncNet's, as a TorchScript file."""

from __future__ import annotations

import torch


class Towers(torch.nn.Module):
    """The methods of joonson/syncnet_python's network."""

    def __init__(self, lips=16):
        super().__init__()
        self.aud = torch.nn.Conv2d(1, 16, (13, 20))
        self.lip = torch.nn.Conv3d(3, lips, (5, 16, 16), stride=(1, 16, 16))

    def forward_aud(self, x):
        return torch.tanh(0.01 * self.aud(x)).flatten(1)

    def forward_lip(self, x):
        return torch.tanh(0.01 * self.lip(x)).mean(dim=(3, 4)).flatten(1)


def save_towers(path, **options):
    torch.manual_seed(0)
    towers = Towers(**options).eval()
    inputs = {
        "forward_aud": torch.zeros(2, 1, 13, 20),
        "forward_lip": torch.zeros(2, 3, 5, 224, 224),
    }
    torch.jit.trace_module(towers, inputs).save(str(path))
    return towers
