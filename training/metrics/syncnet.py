# SPDX-License-Identifier: GPL-3.0-or-later
"""SyncNet (Chung and Zisserman 2016) in plain torch, with the field's state-dict keys.

Five pictures of 224² at 25 frames per second and the 0.2 s of sound that go with them become
embeddings of 1,024 numbers each, close to each other where mouth and sound agree. The layout is
that of ``syncnet_v2.model``; widths are read from the file. No weights ship: see
:mod:`training.weights`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from engine.audio.loading import SAMPLE_RATE
from engine.core.errors import BadInputError
from training.metrics.mfcc import RATE, cepstra
from training.metrics.sync_error import SyncError, sync_error
from training.weights import fitting, load_weights, read_tensors

FPS = 25.0
SIZE = 224
"""Pixels of the square picture of a face."""
WINDOW = 5
"""Frames that are looked at together."""

_PER_FRAME = round(RATE / FPS)
_BATCH = 20
_CONVOLUTIONS = (0, 4, 8, 11, 14, 18)
"""Positions of the convolutions in both stacks."""


class SyncNet(nn.Module):
    """The two towers.

    Args:
        widths: channels of the six convolutions of the sound and of the six of the lips.
        hidden: size of the hidden layer behind them.
        embedding: size of the embeddings.
    """

    def __init__(
        self,
        widths: tuple[tuple[int, ...], tuple[int, ...]] = (
            (64, 192, 384, 256, 256, 512),
            (96, 256, 256, 256, 256, 512),
        ),
        hidden: int = 512,
        embedding: int = 1024,
    ) -> None:
        super().__init__()
        sound, lips = widths
        self.netcnnaud = nn.Sequential(
            *_block2d(1, sound[0], 3, padding=1),
            nn.MaxPool2d(1, 1),
            *_block2d(sound[0], sound[1], 3, padding=1),
            nn.MaxPool2d(3, (1, 2)),
            *_block2d(sound[1], sound[2], 3, padding=1),
            *_block2d(sound[2], sound[3], 3, padding=1),
            *_block2d(sound[3], sound[4], 3, padding=1),
            nn.MaxPool2d(3, 2),
            *_block2d(sound[4], sound[5], (5, 4)),
        )
        self.netfcaud = _head(sound[5], hidden, embedding)
        self.netfclip = _head(lips[5], hidden, embedding)
        self.netcnnlip = nn.Sequential(
            *_block3d(3, lips[0], (WINDOW, 7, 7), stride=2),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block3d(lips[0], lips[1], (1, 5, 5), stride=2, padding=1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
            *_block3d(lips[1], lips[2], (1, 3, 3), padding=1),
            *_block3d(lips[2], lips[3], (1, 3, 3), padding=1),
            *_block3d(lips[3], lips[4], (1, 3, 3), padding=1),
            nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
            *_block3d(lips[4], lips[5], (1, 6, 6)),
        )

    def sound(self, cepstra: Tensor) -> Tensor:
        """(B, 1, 13, 20) cepstra → (B, D) embeddings."""
        embedded: Tensor = self.netfcaud(self.netcnnaud(cepstra).flatten(1))
        return embedded

    def lips(self, pictures: Tensor) -> Tensor:
        """(B, 3, 5, 224, 224) pictures, blue first, 0 to 255 → (B, D) embeddings."""
        embedded: Tensor = self.netfclip(self.netcnnlip(pictures).flatten(1))
        return embedded


def load_syncnet(path: Path | None = None) -> SyncNet:
    """The network with the weights of a file, ready to measure.

    Args:
        path: ``syncnet_v2.model``, or a file of its layout; by default where
            :mod:`training.weights` looks for it.

    Raises:
        MissingDependencyError: there is no such file; says where it goes.
        BadInputError: it cannot be read, or has another layout.
    """
    if path is not None and not path.is_file():
        raise BadInputError(f"There is no file {path}.", "Give the file of SyncNet's weights.")
    tensors = load_weights("syncnet") if path is None else read_tensors(path)
    network = SyncNet(*_sizes(tensors))
    network.load_state_dict(fitting(tensors, network.state_dict(), "SyncNet"))
    return network.eval()


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
    heard = torch.from_numpy(cepstra(samples).T.copy())
    count = min(len(pictures), int(len(samples) * FPS / SAMPLE_RATE)) - WINDOW
    # A window of sound must lie within the cepstra.
    count = min(count, (heard.shape[1] - WINDOW * _PER_FRAME) // _PER_FRAME + 1)
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
        windows = [heard[:, i * _PER_FRAME :][:, :wide] for i in at]
        sound.append(network.sound(torch.stack(windows)[:, None]))
    return sync_error(torch.cat(seen).numpy(), torch.cat(sound).numpy())


def _checked(frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if frame.shape != (SIZE, SIZE, 3):
        raise BadInputError(
            f"SyncNet takes pictures of {SIZE}×{SIZE} pixels, not of shape {frame.shape}.",
            "Crop and scale the face.",
        )
    return frame


def _sizes(
    tensors: Mapping[str, Tensor],
) -> tuple[tuple[tuple[int, ...], tuple[int, ...]], int, int]:
    """Widths, hidden size and embedding size of a file."""
    try:
        sound, lips = (
            tuple(len(tensors[f"{stack}.{position}.weight"]) for position in _CONVOLUTIONS)
            for stack in ("netcnnaud", "netcnnlip")
        )
        return (sound, lips), len(tensors["netfcaud.0.weight"]), len(tensors["netfcaud.3.weight"])
    except KeyError as error:
        raise BadInputError(
            f"The weights do not fit SyncNet: {error} is missing.",
            "Use a file of the layout of syncnet_v2.model.",
        ) from error


def _block2d(
    channels: int, width: int, kernel: int | tuple[int, int], padding: int = 0
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(channels, width, kernel, padding=padding),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _block3d(
    channels: int, width: int, kernel: tuple[int, int, int], stride: int = 1, padding: int = 0
) -> tuple[nn.Module, ...]:
    return (
        nn.Conv3d(channels, width, kernel, (1, stride, stride), (0, padding, padding)),
        nn.BatchNorm3d(width),
        nn.ReLU(inplace=True),
    )


def _head(width: int, hidden: int, embedding: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, embedding)
    )
