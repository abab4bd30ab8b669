# SPDX-License-Identifier: GPL-3.0-or-later
"""Compile the kernels that most tests run, before several processes need them at once."""

from __future__ import annotations

from engine.core import runtime


def compile_kernels() -> None:
    import torch

    from engine.commands.warm_up import warm_up
    from training.losses.ssim import ssim

    assert warm_up(training=True) == 0
    picture = torch.rand(24, 24, 3, requires_grad=True)
    ssim(picture, torch.rand(24, 24, 3)).backward()


if __name__ == "__main__":
    runtime.prepare()  # Before torch and numba are imported.
    compile_kernels()
