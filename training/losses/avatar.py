# SPDX-License-Identifier: GPL-3.0-or-later
"""The loss of an avatar (GaussianSpeech, section 4.1, Eq. 1 to 6).

    L_total = L_rgb + λ_pos L_position + λ_s L_scaling + λ_g L_global + λ_p L_patch + λ_w L_wrinkle

L_rgb = 0.8 L1 + 0.2 (1 − SSIM). L_position and L_scaling are those of GaussianAvatars (Qian et
al., CVPR 2024): they keep visible Gaussians near their triangles and small beside them. The others
are in :mod:`training.losses.perceptual`.
"""

from __future__ import annotations

import zlib
from typing import Protocol

import torch
from torch import Tensor, nn

from engine.core.errors import MissingDependencyError
from engine.heads.head import Head
from engine.motion.model.wrinkles import RidgeDetector
from engine.splatting.backend import Image
from engine.splatting.camera import Camera
from training.losses.config import TERMS, AvatarLossConfig
from training.losses.perceptual import FaceLoss, PatchLoss, WrinkleLoss, face_box, head_box
from training.losses.ssim import ssim
from training.losses.vgg import Vgg16Features
from training.torchscript import ScriptedNetwork, load_detector
from training.weights import (
    find_weights,
    load_weights,
    missing_error,
    weights_folder,
    why_missing,
)

_CPU_EVERY = 10
_NETWORKS = {"global": "arcface", "patch": "vgg16"}
"""Terms that need weights, and whose."""
_FACE_OUTPUTS = {4: "(B, C, H, W) features", 2: "(B, N) features"}
_CALLED = {"global": "ArcFace", "patch": "VGG16"}


class TrueView(Protocol):
    """What the loss needs of a view (``training.data.multiview.View``)."""

    @property
    def image(self) -> Tensor:
        """(H, W, 3) sRGB in [0, 1] on the background that the prediction has, too."""
        ...

    @property
    def alpha(self) -> Tensor:
        """(H, W) in [0, 1]."""
        ...

    @property
    def camera(self) -> Camera:
        """Of the picture."""
        ...

    @property
    def vertices(self) -> Tensor:
        """(V, 3) of the head in the camera's world."""
        ...

    @property
    def timestep(self) -> int:
        """Frame of the capture."""
        ...

    @property
    def camera_id(self) -> str:
        """Camera of the capture."""
        ...


class Bound(Protocol):
    """What the loss needs of a model: Gaussians in the frames of their triangles."""

    @property
    def head(self) -> Head:
        """What they are bound to; its region ``face`` is what L_global looks at."""
        ...

    @property
    def positions(self) -> Tensor:
        """(G, 3) in units of the triangle's size."""
        ...

    @property
    def log_scales(self) -> Tensor:
        """(G, 3) natural logarithms of standard deviations in units of the triangle's size."""
        ...


class AvatarLoss(nn.Module):
    """L_total and its terms.

    Args:
        config: weights of the terms and where the networks' weights lie.
        device: where pictures and networks lie.

    Attributes:
        off: message and remedy of each term that is wanted and cannot be had.
        every: how often the costly terms are taken.

    Raises:
        BadInputError: an unknown term is required, a weight file or detector cannot be used, or
            weights are negative.
        MissingDependencyError: a required term has no weights.
    """

    def __init__(
        self,
        config: AvatarLossConfig | None = None,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__()
        self.config = config = config or AvatarLossConfig()
        self.every = config.every or (_CPU_EVERY if torch.device(device).type == "cpu" else 1)
        self.weights = {
            "rgb": 1.0,
            "position": config.position,
            "scaling": config.scaling,
            "global": config.face,
            "patch": config.patch,
            "wrinkle": config.wrinkle,
        }
        self.off: dict[str, tuple[str, str]] = self._missing()
        self.face = _face_loss(config) if self.weights["global"] else None
        self.patch = _patch_loss(config) if self.weights["patch"] else None
        self.wrinkle = _wrinkle_loss(config) if self.weights["wrinkle"] else None
        self.to(device)

    @property
    def terms_off(self) -> dict[str, str]:
        """Why each term that is wanted does not count: message and remedy by term."""
        return {term: f"{message} {hint}" for term, (message, hint) in self.off.items()}

    @property
    def lacks(self) -> str:
        """The terms without weights, in a few words; empty where all that are wanted count."""
        return ", ".join(f"{term} ({_CALLED[term]})" for term in self.off)

    @property
    def off_note(self) -> str:
        """The same as a sentence with the remedy."""
        if not self.off:
            return ""
        where = self.config.weights or weights_folder()
        return (
            f"Perceptual losses off: {self.lacks}: weights not found. Put them into {where}, as "
            "docs/weights.md says, and train again."
        )

    def _missing(self) -> dict[str, tuple[str, str]]:
        """Take out the terms without weights."""
        off = {}
        for term, name in _NETWORKS.items():
            missing = why_missing(name, self.config.weights) if self.weights[term] else None
            if missing is None:
                continue
            if term in self.config.require:
                raise MissingDependencyError(
                    f"The term '{term}' is required. {missing[0]}", missing[1]
                )
            off[term] = missing
            self.weights[term] = 0.0
        return off

    def forward(
        self,
        prediction: Image,
        view: TrueView,
        model: Bound,
        *,
        step: int = 0,
        visible: Tensor | None = None,
    ) -> dict[str, Tensor]:
        """Compare a rendered view with the true one.

        Args:
            prediction: the rendered view, over the background of ``view.image``.
            view: the true one; tensors on the device of the prediction.
            model: the Gaussians.
            step: step of the training, from 0: the costly terms are taken where ``every`` divides
                it, and the patches' positions follow from it: a resumed training continues as if
                it had not stopped.
            visible: (G,) bool or (N,) indices of Gaussians that the two regularisers look at; all
                without.

        Returns:
            Scalars: ``total``, what is minimised; each term taken at this step by its name in
            :data:`training.losses.config.TERMS`, weighted; and ``raw/<term>`` without its weight,
            ``raw/l1`` and ``raw/dssim`` too (no gradient flows from raw ones).
        """
        ours, true, alpha = prediction.rgb, view.image, view.alpha
        l1 = (ours - true).abs().mean()
        dssim = 1 - ssim(ours, true)
        raw = {"rgb": (1 - self.config.dssim) * l1 + self.config.dssim * dssim}
        if self.weights["position"] or self.weights["scaling"]:
            positions, log_scales = model.positions, model.log_scales
            if visible is not None:
                positions, log_scales = positions[visible], log_scales[visible]
            raw["position"] = position_loss(positions, self.config.position_free)
            raw["scaling"] = scaling_loss(log_scales, self.config.scaling_free)
        factor = 1
        if step % self.every == 0:
            factor = self.every
            if self.face is not None:
                box = _face_of(view, model)
                raw["global"] = ours.new_zeros(()) if box is None else self.face(ours, true, box)
            if self.patch is not None:
                raw["patch"] = self.patch(ours, true, alpha, self._chance(view, step))
            if self.wrinkle is not None:
                raw["wrinkle"] = self.wrinkle(ours, true, alpha)
        costly = ("global", "patch", "wrinkle")
        terms = {
            term: self.weights[term] * (factor if term in costly else 1) * raw[term]
            for term in TERMS
            if term in raw
        }
        total = torch.stack(list(terms.values())).sum()
        unweighted = {**raw, "l1": l1, "dssim": dssim}
        return {
            "total": total,
            **terms,
            **{f"raw/{name}": value.detach() for name, value in unweighted.items()},
        }

    def _chance(self, view: TrueView, step: int) -> torch.Generator:
        """Chance that depends on the step and view alone, not on what was drawn before."""
        words = f"{self.config.patch_seed} {step} {view.timestep} {view.camera_id}"
        return torch.Generator().manual_seed(zlib.crc32(words.encode()))


def position_loss(positions: Tensor, free: float = 1.0) -> Tensor:
    """L_position: mean of max(0, ‖x‖ − free) of (G, 3) positions in units of the triangle."""
    if not len(positions):
        return positions.sum()
    return torch.relu(torch.linalg.vector_norm(positions, dim=1) - free).mean()


def scaling_loss(log_scales: Tensor, free: float = 0.6) -> Tensor:
    """L_scaling: mean of ‖max(0, s − free)‖ of (G, 3) log scales in units of the triangle."""
    if not len(log_scales):
        return log_scales.sum()
    excess = torch.relu(torch.exp(log_scales) - free)
    lengths: Tensor = torch.linalg.vector_norm(excess, dim=1)
    return lengths.mean()


def _face_of(view: TrueView, model: Bound) -> tuple[int, int, int, int] | None:
    """Where the face is; the whole person where the head does not name its face."""
    face = model.head.regions.get("face")
    if face is None or view.camera.orthographic:
        return head_box(view.alpha)
    index = torch.as_tensor(face, dtype=torch.long, device=view.vertices.device)
    return face_box(view.vertices[index], view.camera)


def _face_loss(config: AvatarLossConfig) -> FaceLoss:
    path = find_weights("arcface", config.weights)
    if path is None:
        raise missing_error("arcface", config.weights)
    network = ScriptedNetwork(path, "Face recognition", _FACE_OUTPUTS)
    network(torch.zeros(1, 3, config.face_size, config.face_size))  # Whether it fits, at once.
    return FaceLoss(network, config.face_size, config.face_style)


def _patch_loss(config: AvatarLossConfig) -> PatchLoss:
    features = Vgg16Features(load_weights("vgg16", config.weights))
    return PatchLoss(features, config.patches, config.patch_size)


def _wrinkle_loss(config: AvatarLossConfig) -> WrinkleLoss:
    learned = config.wrinkle_detector
    return WrinkleLoss(RidgeDetector() if learned is None else load_detector(learned))
