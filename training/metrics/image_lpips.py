# SPDX-License-Identifier: GPL-3.0-or-later
"""LPIPS 0.1 (Zhang et al. 2018) by the package ``lpips``, with its network from a local file.

The number depends on the network, so it goes with its name: ``vgg`` (as GaussianAvatars reports)
or ``alex``. The package brings its linear layers along and would download the network.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType
from typing import Literal

from torch import Tensor

from engine.core.errors import MissingDependencyError
from training.weights import WEIGHTS, fitting, load_weights

Net = Literal["vgg", "alex"]

_BACKBONES = {"vgg": "vgg16", "alex": "alexnet"}


class Lpips:
    """The distance of two pictures in the features of a network.

    Args:
        net: which network.
        folder: of the weight files; the user's own by default.

    Raises:
        MissingDependencyError: the network's file or the package is missing; says which.
        BadInputError: the file does not fit.
    """

    def __init__(self, net: Net = "vgg", folder: Path | None = None) -> None:
        name = _BACKBONES[net]
        tensors = load_weights(name, folder)
        package = _package()
        with warnings.catch_warnings():
            # Of torchvision, at an argument that lpips passes.
            warnings.simplefilter("ignore", UserWarning)
            self._metric = package.LPIPS(net=net, pnet_rand=True, verbose=False)
        network = self._metric.net
        # "slice2.5.weight" there is "features.5.weight" in the published file.
        published = {key: f"features.{key.partition('.')[2]}" for key in network.state_dict()}
        expected = {published[key]: value for key, value in network.state_dict().items()}
        found = fitting(tensors, expected, WEIGHTS[name].what)
        network.load_state_dict({key: found[other] for key, other in published.items()})

    def __call__(self, ours: Tensor, true: Tensor) -> float:
        """LPIPS of (H, W, 3) pictures in [0, 1]; 0 for equal ones."""
        first, second = (picture.permute(2, 0, 1)[None] for picture in (ours, true))
        return float(self._metric(first, second, normalize=True).detach())


def _package() -> ModuleType:
    try:
        import lpips
    # A torchvision that was built for another torch fails with an error of either.
    except (ImportError, OSError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:120]
        raise MissingDependencyError(
            f"The package lpips cannot be imported: {reason}.",
            "Install it, with the torchvision that belongs to your torch: "
            "pip install 'gaussianspeech[perceptual]'.",
        ) from error
    module: ModuleType = lpips
    return module
