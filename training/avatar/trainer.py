# SPDX-License-Identifier: GPL-3.0-or-later
"""The training loop of an avatar: one code path for a CPU, a GPU, and many under ``torchrun``.

Every process renders views of its own; gradients are averaged before the optimiser's step, and
what decides about Gaussians is summed over all processes, so that all hold the same avatar. All
random numbers follow from the seed and the step: a resumed run has equal losses.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from engine.core.errors import BadInputError
from engine.splatting.backend import Backend, Splats
from training.avatar import densify_ops, density, schedule
from training.avatar.color_prior import ColorPrior
from training.avatar.coloring import HarmonicColor
from training.avatar.config import AvatarSettings
from training.avatar.density import ScreenGradients
from training.avatar.model import TrainableAvatar
from training.avatar.tuning import CaptureTuning
from training.avatar.views import KeptViews, on_backdrop, own_share, shuffled
from training.avatar.visibility import hidden
from training.data.color_gathering import face_groups
from training.data.multiview import MultiViewCapture, View, Views
from training.data.multiview_prefetch import prefetched
from training.losses.avatar import AvatarLoss
from training.run.processes import Processes

_GIGABYTE = 1e9
_AHEAD = 3
"""Pictures that are decoded before their turn."""


class AvatarTrainer:
    """An avatar in training.

    Args:
        capture: the pictures.
        avatar: with what it starts from, on the CPU.
        settings: how.
        backend: rasteriser.
        processes: that train together; they say where tensors lie.
        loss: on the device of ``processes``.
        tuning: what of the capture is refined; as the settings say where ``None``.

    Attributes:
        step: steps done.
        log: what happened to the number of Gaussians: (step, before, after, why).
    """

    def __init__(
        self,
        capture: MultiViewCapture,
        avatar: TrainableAvatar,
        settings: AvatarSettings,
        backend: Backend,
        processes: Processes,
        loss: AvatarLoss,
        tuning: CaptureTuning | None = None,
    ) -> None:
        self.capture, self.settings, self.backend = capture, settings, backend
        self.processes = processes
        self.avatar = avatar.to(processes.device)
        self.loss = loss
        self.optimiser = schedule.optimiser(self.avatar, settings)
        self.tuning = tuning or CaptureTuning(capture, settings.tuning, processes.device)
        self.step = 0
        self.log: list[tuple[int, int, int, str]] = []
        self.gradients = ScreenGradients.empty(avatar.count, processes.device)
        # Where a video's head is refined, it moves and not the Gaussians on it: those would explain
        # a wrong shape just as well, and then the mesh would never learn of it.
        self._held = schedule.GEOMETRY if self.tuning.video else frozenset[str]()
        self._rounds = frozenset[int]() if self._held else schedule.rounds(settings)
        self._resets = frozenset[int]() if self._held else schedule.resets(settings)
        self._factor = 0
        self._views: Iterator[View] = iter(())
        self._template = torch.from_numpy(capture.head.template).to(processes.device)
        self._extent = schedule.extent(capture, settings)
        self._prior = None
        if settings.steady and settings.color == "mlp":
            self._prior = ColorPrior(capture.identity(), processes.device)
        self._finest = None
        if settings.finest and not self._held:
            self._finest = schedule.finest(capture, settings).to(processes.device)

    def advance(self) -> dict[str, float]:
        """One step of the optimiser.

        Returns:
            The terms of the loss as :class:`training.losses.avatar.AvatarLoss` names them, the
            mean over this process's views.

        Raises:
            BadInputError: the loss is no longer a number.
        """
        settings = self.settings
        self._prepare_views()
        for group in self.optimiser.param_groups:
            rate = schedule.rate(group["name"], self.step / settings.steps, settings)
            group["lr"] = 0.0 if group["name"] in self._held else rate
        if isinstance(self.avatar.color, HarmonicColor):
            self.avatar.color.active = schedule.degree(self.step / settings.steps, settings)
        terms: dict[str, float] = {}
        for _ in range(settings.views):
            view = next(self._views)
            for name, value in self._accumulate(view).items():
                terms[name] = terms.get(name, 0.0) + value / settings.views
        if self._prior is not None:
            term = self._prior(self.avatar, self._generator("steady"))
            torch.autograd.backward([settings.steady * term])
        self._average_gradients()
        # Of all processes' views: they prune alike.
        self.avatar.note_visible()
        self.optimiser.step()
        if self._finest is not None:
            self.avatar.no_finer(self._finest)
        self.optimiser.zero_grad(set_to_none=True)
        self.tuning.step(self.step / settings.steps)
        self.step += 1
        if not math.isfinite(terms["total"]):
            raise BadInputError(
                f"The loss is {terms['total']} at step {self.step}.",
                "Lower the learning rates, or look for wild values in the capture.",
            )
        if self.step in self._rounds:
            self._densify_and_prune()
        if self.step in self._resets:
            self._reset_opacities()
        return terms

    def _accumulate(self, view: View) -> dict[str, float]:
        """Forward and backward for one view."""
        settings = self.settings
        backdrop = self._backdrop()
        view = self.tuning.refined(on_backdrop(view, backdrop))
        splats = self.avatar.splats(
            view.vertices,
            view.expression,
            torch.from_numpy(view.camera.viewpoint).to(view.vertices.device),
            view.head_matrix,
        )
        view = replace(view, vertices=view.vertices.detach())
        # The rasteriser's gradients stop at leaves, where those of hidden Gaussians are taken out.
        leaves = Splats(*(tensor.detach().requires_grad_() for tensor in splats))
        image = self.backend.render(leaves, view.camera, backdrop)
        shot = image
        if self.tuning.cameras is not None:
            shot = self.tuning.cameras.seen_by(view.camera_id, image, backdrop)
        terms: Mapping[str, Tensor] = self.loss(
            shot, view, self.avatar, step=self.step, visible=self.avatar.ever_visible
        )
        torch.autograd.backward([terms["total"] / settings.views])
        with torch.no_grad():
            shown = ~hidden(splats, image, view.camera)
            incoming = [
                torch.zeros_like(leaf)
                if leaf.grad is None
                else leaf.grad * shown.view(-1, *[1] * (leaf.ndim - 1))
                for leaf in leaves
            ]
            if self.step < settings.density.stop * settings.steps:
                self.gradients.add(splats.means, settings.views * incoming[0], view.camera)
        torch.autograd.backward(list(splats), incoming)
        # One transfer: each number by itself would wait for the device.
        values = torch.stack([value.detach() for value in terms.values()]).tolist()
        return dict(zip(terms, values, strict=True))

    def _average_gradients(self) -> None:
        if self.processes.count == 1:
            return
        parameters = [p for group in self.optimiser.param_groups for p in group["params"]]
        parameters += [adam.rows for adam in self.tuning.adams]
        parts = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        flat = self.processes.summed(torch.cat([part.reshape(-1) for part in parts]))
        flat /= self.processes.count
        start = 0
        for parameter in parameters:
            parameter.grad = flat[start : start + parameter.numel()].view_as(parameter)
            start += parameter.numel()

    def _gathered(self) -> tuple[Tensor, Tensor]:
        """What all processes have seen of the screen's gradients: their sums, and how often."""
        summed = self.processes.summed
        return summed(self.gradients.total), summed(self.gradients.seen)

    def _densify_and_prune(self) -> None:
        """By volume first and then densify, or densify and then by opacity.

        New Gaussians are small, and a pruning by volume right after them would take just these. So
        the last densification stays: the paper, which keeps 25,000, ends at 32,379.
        """
        rules = self.settings.density
        total, seen = self._gathered()
        if rules.budget:
            kept = self.prune()
            total, seen = total[kept], seen[kept]
        before = self.avatar.count
        _, scales = self._neutral_size()
        cloned, split = density.to_densify(
            ScreenGradients(total, seen).mean(),
            scales.amax(dim=1),
            rules.gradient,
            rules.split_above * self._extent,
            int(rules.grow * before),
        )
        densify_ops.clone_and_split(
            self.avatar, self.optimiser, cloned, split, self._generator("densify")
        )
        grown = self.avatar.count
        self.log.append((self.step, before, grown, "densified"))
        if not rules.budget:
            self.prune()
        self.gradients = ScreenGradients.empty(self.avatar.count, self.processes.device)

    def prune(self) -> Tensor:
        """Take Gaussians away: by volume down to the budget, or by opacity without one.

        Those that were never visible are left, unless ``keep_hidden`` is off: no picture shows what
        is behind a head.

        Returns:
            Indices of those that are kept, among those before.
        """
        rules = self.settings.density
        before = self.avatar.count
        candidates = self._not_hidden()
        opacities, scales = (values[candidates] for values in self._neutral_size())
        visible = self.avatar.ever_visible[candidates]
        bound = self.avatar.binding[candidates] if rules.keep_faces else None
        faces = len(self.avatar.faces)
        if rules.budget:
            values = density.volumes(opacities, scales)
            values = torch.where(visible, values, math.inf)
            kept = density.kept_by_volume(values, rules.budget, bound, faces)
            why = "pruned by volume"
        else:
            largest = (
                rules.largest * self._extent if self.step >= min(self._resets, default=0) else 0
            )
            sizes = torch.where(visible, scales.amax(dim=1), 0.0)
            opacities = torch.where(visible, opacities, 1.0)
            kept = density.kept_by_opacity(
                opacities, rules.least_opacity, sizes, largest, bound, faces
            )
            why = "pruned by opacity"
        kept = candidates[kept]
        if len(kept) < before:
            densify_ops.select(self.avatar, self.optimiser, kept)
        self.log.append((self.step, before, len(kept), why))
        return kept

    def _not_hidden(self) -> Tensor:
        """Indices of the Gaussians that may stay: without ``keep_hidden``, those seen.

        None goes before every picture had its turn; the inside of the mouth stays, which few
        pictures show.
        """
        seen = self.avatar.ever_visible
        pictures = len(self.capture.split("train"))
        taken = self.step * self.settings.views * self.processes.count
        if self.settings.density.keep_hidden or taken < pictures:
            seen = torch.ones_like(seen)
        else:
            inside = torch.from_numpy(face_groups(self.avatar.head) > 0).to(seen.device)
            seen = seen | inside[self.avatar.binding.long()]
        return seen.nonzero()[:, 0]

    @torch.no_grad()
    def _neutral_size(self) -> tuple[Tensor, Tensor]:
        """Opacities (G,), and standard deviations (G, 3) in metres on the neutral head."""
        _, _, scales = self.avatar.bind(self._template)
        return torch.sigmoid(self.avatar.gaussians["opacity_logits"]), scales

    @torch.no_grad()
    def _reset_opacities(self) -> None:
        logits = self.avatar.gaussians["opacity_logits"]
        low = self.settings.density.reset_to
        logits.clamp_(max=math.log(low / (1 - low)))
        state = self.optimiser.state.get(logits, {})
        for name in ("exp_avg", "exp_avg_sq"):
            if name in state:
                state[name].zero_()
        self.log.append((self.step, len(logits), len(logits), "opacities reset"))

    def _prepare_views(self) -> None:
        """The pictures' size of this step, and where in their order it stands."""
        part = self.step / self.settings.steps
        quarter, half = self.settings.coarse
        factor = 4 if part < quarter else 2 if part < half else 1
        if factor == self._factor:
            return
        self._factor = factor
        room = self.settings.memory * _GIGABYTE
        views = KeptViews(self.capture.split("train"), factor, room, self.processes.device)
        together = self.settings.views * self.processes.count
        everyone = shuffled(len(views), self.settings.seed, self.step * together)
        order = own_share(everyone, self.settings.views, self.processes.rank, self.processes.count)
        self._views = prefetched(cast("Views", views), order, ahead=_AHEAD)

    def _backdrop(self) -> Tensor:
        kind = self.settings.backdrop
        if kind == "random":
            color = torch.rand(3, generator=self._generator("backdrop"))
        else:
            color = torch.full((3,), float(kind == "white"))
        return color.to(self.processes.device)

    def _generator(self, what: str) -> torch.Generator:
        """Random numbers that depend on seed, step and purpose alone; the same in all processes."""
        seed = np.random.SeedSequence([self.settings.seed, self.step, *what.encode()])
        return torch.Generator().manual_seed(int(seed.generate_state(1)[0]))

    def state(self) -> dict[str, Any]:
        """What :meth:`restore` continues from; all processes have to ask for it together."""
        return {
            "rows": {name: value.detach().cpu() for name, value in self.avatar.gaussians.items()},
            "binding": self.avatar.binding.cpu(),
            "ever_visible": self.avatar.ever_visible.cpu(),
            "color": self.avatar.color.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "log": self.log,
            # By process: their sum in another order is another number in the last bit.
            "gradients": tuple(
                self.processes.each(part).cpu()
                for part in (self.gradients.total, self.gradients.seen)
            ),
            "tuning": self.tuning.state(),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from a state, to the same losses as a run that was not broken off."""
        device = self.processes.device
        self.avatar = TrainableAvatar(
            self.capture.head, self.avatar.color, state["binding"], state["rows"]
        ).to(device)
        self.avatar.color.load_state_dict(state["color"])
        self.optimiser = schedule.optimiser(self.avatar, self.settings)
        self.optimiser.load_state_dict(state["optimiser"])
        visible = state.get("ever_visible")
        self.avatar.ever_visible = (
            self._visible_by_moments() if visible is None else visible.to(device)
        )
        if "tuning" in state:
            self.tuning.restore(state["tuning"])
        self.step = int(state["step"])
        self.log = [tuple(entry) for entry in state["log"]]
        self.gradients = ScreenGradients.of_process(
            state["gradients"], self.avatar.count, self.processes
        )
        self._factor = 0

    def _visible_by_moments(self) -> Tensor:
        """(G,) which Gaussians were visible, of a checkpoint of version 0.1.0.

        Adam's second moment of what had a gradient is above 0. That of the opacities is empty after
        a reset, that of the positions never.
        """
        visible = torch.zeros_like(self.avatar.ever_visible)
        for name in ("positions", "opacity_logits"):
            moments = self.optimiser.state.get(self.avatar.gaussians[name])
            if moments:
                visible |= moments["exp_avg_sq"].view(len(visible), -1).any(1)
        return visible
