# SPDX-License-Identifier: GPL-3.0-or-later
"""LSE-D and LSE-C by SyncNet (Chung and Zisserman 2016), from a TorchScript file of the user's.

Five pictures of 224² at 25 frames per second and the 0.2 s of sound that go with them become
embeddings, close to each other where mouth and sound agree. No network ships: docs/weights.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from engine.audio.loading import SAMPLE_RATE
from engine.core.errors import BadInputError
from training.metrics.mfcc import RATE, cepstra
from training.metrics.sync_error import SyncError, sync_error
from training.torchscript import ScriptedNetwork
from training.weights import find_weights, missing_error

FPS = 25.0
SIZE = 224
"""Pixels of the square picture of a face."""
WINDOW = 5
"""Frames that are looked at together."""

_PER_FRAME = round(RATE / FPS)
_BATCH = 20


class SyncNet:
    """The two towers, by the methods that the published network has for them.

    Args:
        network: TorchScript with the methods ``forward_aud`` and ``forward_lip``.
    """

    def __init__(self, network: ScriptedNetwork) -> None:
        self._network = network

    def sound(self, cepstra: Tensor) -> Tensor:
        """(B, 1, 13, 20) cepstra → (B, D) embeddings."""
        return self._embed(cepstra, "forward_aud")

    def lips(self, pictures: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) pictures, blue first, 0 to 255 → (B, D) embeddings."""
        return self._embed(pictures, "forward_lip")

    def _embed(self, inputs: Tensor, method: str) -> Tensor:
        layers: list[Tensor] = self._network(inputs, method)
        return layers[0]


def load_syncnet(path: Path | None = None) -> SyncNet:
    """The network of a file, ready to measure.

    Args:
        path: TorchScript; by default where :mod:`training.weights` looks for it.

    Raises:
        MissingDependencyError: there is no such file; says where it goes.
        BadInputError: it is not TorchScript, or its towers are not those of SyncNet.
    """
    file = path or find_weights("syncnet")
    if file is None:
        raise missing_error("syncnet")
    network = SyncNet(ScriptedNetwork(file, "SyncNet", {2: "(B, D) embeddings"}))
    with torch.inference_mode():
        sound = network.sound(torch.zeros(1, 1, 13, WINDOW * _PER_FRAME)).shape
        lips = network.lips(torch.zeros(1, 3, WINDOW, SIZE, SIZE)).shape
    if sound != lips:
        raise BadInputError(
            f"SyncNet {file} gives {tuple(sound)} for sound and {tuple(lips)} for lips.",
            "Both must be of one size (docs/weights.md).",
        )
    return network


@torch.inference_mode()
def measure(
    network: SyncNet, frames: Iterable[NDArray[np.uint8]], samples: NDArray[np.floating[Any]]
) -> SyncError:
    """LSE-D, LSE-C and offset of a clip.

    Args:
        network: in evaluation mode.
        frames: (224, 224, 3) uint8 RGB pictures of the face at 25 per second.
        samples: (n,) the sound at 16 kHz.

    Raises:
        BadInputError: a picture of another size, or less than a window of pictures and sound.
    """
    pictures = torch.from_numpy(np.stack([_checked(frame) for frame in frames]))
    coefficients = torch.from_numpy(cepstra(samples).T.copy())
    count = min(len(pictures), int(len(samples) * FPS / SAMPLE_RATE)) - WINDOW
    # A window of sound must lie within the cepstra.
    count = min(count, (coefficients.shape[1] - WINDOW * _PER_FRAME) // _PER_FRAME + 1)
    if count < 1:
        raise BadInputError(
            f"{len(pictures)} frames with {len(samples) / SAMPLE_RATE:.2f} s of sound are too "
            "few for SyncNet.",
            f"Give at least {WINDOW + 1} frames with their sound.",
        )
    # Pictures are trained on with blue first.
    clip = pictures.flip(-1).permute(3, 0, 1, 2)
    seen, sound = [], []
    for start in range(0, count, _BATCH):
        at = range(start, min(start + _BATCH, count))
        seen.append(network.lips(torch.stack([clip[:, i : i + WINDOW].float() for i in at])))
        wide = WINDOW * _PER_FRAME
        windows = [coefficients[:, i * _PER_FRAME :][:, :wide] for i in at]
        sound.append(network.sound(torch.stack(windows)[:, None]))
    return sync_error(torch.cat(seen).numpy(), torch.cat(sound).numpy())


def _checked(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if frame.shape != (SIZE, SIZE, 3):
        raise BadInputError(
            f"SyncNet takes pictures of {SIZE}×{SIZE} pixels, not of shape {frame.shape}.",
            "Crop and scale the face.",
        )
    return frame
