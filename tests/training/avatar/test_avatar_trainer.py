# SPDX-License-Identifier: GPL-3.0-or-later
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError
from tests.training.avatar.conftest import SMALL
from tests.waiting import PATIENCE
from training.avatar import schedule
from training.avatar.config import PRESETS, Density
from training.avatar.density import ScreenGradients
from training.avatar.preview import measured
from training.data.color_gathering import face_groups

REPOSITORY = Path(__file__).parents[3]


def losses(trainer, steps):
    return [trainer.advance()["total"] for _ in range(steps)]


def test_training_on_a_known_avatar_comes_near_it(trainer_of, capture):
    trainer = trainer_of(replace(SMALL, steps=80, density=Density(rounds=0)))
    views = capture.split("test")
    before = measured(trainer.avatar, views, trainer.backend, 3)
    losses(trainer, 80)
    after = measured(trainer.avatar, views, trainer.backend, 3)
    assert after.psnr > before.psnr + 3
    assert after.ssim > before.ssim


def test_the_first_colours_are_those_of_the_pictures(trainer_of, capture):
    trainer = trainer_of()
    assert measured(trainer.avatar, capture.split("test"), trainer.backend, 3).psnr > 20


def test_a_resumed_training_goes_on_to_equal_losses(trainer_of, tmp_path):
    settings = replace(SMALL, density=Density(start=0.05, stop=0.2, rounds=3, budget=20_000))
    whole = trainer_of(settings)
    expected = losses(whole, 16)
    first = trainer_of(settings)
    assert losses(first, 9) == expected[:9]
    torch.save(first.state(), tmp_path / "state.pt")
    second = trainer_of(replace(settings, seed=0))
    second.restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert losses(second, 7) == expected[9:]
    assert second.avatar.count == whole.avatar.count


def test_the_number_of_gaussians_follows_the_budget_and_is_logged(trainer_of):
    rules = Density(start=0.05, stop=0.1, rounds=2, budget=19_500, gradient=1e-7, resets=0)
    trainer = trainer_of(replace(SMALL, density=rules))
    losses(trainer, 7)
    assert [(entry[0], entry[3]) for entry in trainer.log] == [
        (3, "pruned by volume"),
        (3, "densified"),
        (6, "pruned by volume"),
        (6, "densified"),
    ]
    assert all(entry[2] == 19_500 for entry in trainer.log if "volume" in entry[3])
    assert all(entry[2] > entry[1] for entry in trainer.log if entry[3] == "densified")
    assert trainer.avatar.count == trainer.log[-1][2]


def test_what_was_densified_came_from_what_the_loss_pulled_hardest(trainer_of):
    """The pruning before it moves the rows that the gradients belong to."""
    rules = Density(start=0.05, stop=0.1, rounds=1, budget=17_000, grow=0.001, resets=0)
    trainer = trainer_of(replace(SMALL, density=replace(rules, gradient=0.0)))
    losses(trainer, 2)
    chosen = trainer.avatar.count - 5
    with torch.no_grad():
        trainer.gradients.total[chosen], trainer.gradients.seen[chosen] = 1e6, 1
        trainer.avatar.gaussians["log_scales"][chosen] += 1.0
    face = int(trainer.avatar.binding[chosen])
    before = int((trainer.avatar.binding == face).sum())
    losses(trainer, 1)
    assert trainer.avatar.count == 17_000 + 17
    assert int((trainer.avatar.binding == face).sum()) == before + 1


def test_every_triangle_keeps_a_gaussian(trainer_of, head):
    rules = Density(start=0.05, stop=0.1, rounds=1, budget=1, gradient=1e9)
    trainer = trainer_of(replace(SMALL, density=rules))
    trainer.avatar.ever_visible[:] = True
    losses(trainer, 4)
    assert sorted(trainer.avatar.binding.tolist()) == list(range(len(head.faces)))


def test_what_no_picture_showed_is_not_pruned(trainer_of, head):
    back = torch.from_numpy(head.template[head.faces].mean(1)[:, 2] < -0.09)
    for rules in (
        Density(rounds=0, budget=16_500),
        Density(rounds=0, budget=0, least_opacity=0.99),
    ):
        trainer = trainer_of(replace(SMALL, subdivide_teeth=False, density=rules))
        losses(trainer, 3)
        trainer.prune()
        kept = torch.bincount(trainer.avatar.binding, minlength=len(head.faces))
        assert (kept[back] > 0).all()


def test_what_no_picture_showed_goes_where_only_the_seen_is_wanted(trainer_of, capture, head):
    pictures = len(capture.split("train"))
    inside = torch.from_numpy(face_groups(head) > 0)
    back = torch.from_numpy(head.template[head.faces].mean(1)[:, 2] < -0.09)
    for rules in (
        Density(rounds=0, budget=16_500, keep_hidden=False),
        Density(rounds=0, budget=0, keep_hidden=False),
    ):
        trainer = trainer_of(replace(SMALL, subdivide_teeth=False, density=rules))
        losses(trainer, 1)
        trainer.prune()
        assert (torch.bincount(trainer.avatar.binding, minlength=len(head.faces)) > 0)[back].all()
        trainer.gradients = ScreenGradients.empty(trainer.avatar.count)
        losses(trainer, pictures - 1)
        seen = trainer.avatar.binding[trainer.avatar.ever_visible].long()
        trainer.prune()
        left = torch.bincount(trainer.avatar.binding, minlength=len(head.faces)) > 0
        assert not left[back].any()
        assert left[inside].all()
        assert left[seen].all()


def test_harmonics_join_degree_by_degree(trainer_of):
    settings = replace(SMALL, color="sh", degree_every=0.05, density=Density(rounds=0))
    trainer = trainer_of(replace(settings, steps=60))
    active = []
    for _ in range(10):
        losses(trainer, 1)
        active.append(trainer.avatar.color.active)
    assert active == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    changed = trainer.avatar.gaussians["harmonics"].detach().abs().amax((0, 2)) > 0
    assert changed[:8].all()


@pytest.mark.parametrize("steps", [20, 600, 30_000])
@pytest.mark.parametrize("preset", PRESETS)
def test_nothing_is_densified_after_the_last_step(preset, steps):
    rounds = schedule.rounds(replace(PRESETS[preset], steps=steps))
    assert rounds
    assert max(rounds) < steps


def test_sizes_are_parts_of_the_head_or_of_the_circle_of_cameras(capture, head):
    height = float(np.ptp(head.template[:, 1]))
    assert schedule.extent(capture, SMALL) == pytest.approx(height)
    frames = capture.split("train").frames
    places = np.unique([frame.camera.position for frame in frames], axis=0)
    farthest = np.linalg.norm(places - places.mean(0), axis=1).max()
    baseline = PRESETS["baseline"]
    assert schedule.extent(capture, baseline) == pytest.approx(1.1 * farthest, rel=1e-5)


def test_visible_gaussians_are_no_finer_than_the_pictures(trainer_of, capture):
    """Those of another size than the limit's, and those that no picture shows, are left."""
    trainer = trainer_of(replace(SMALL, finest=1.0, density=Density(rounds=0)))
    with torch.no_grad():
        trainer.avatar.log_scales[:, 1] = -9.0
    losses(trainer, 3)
    seen, template = trainer.avatar.ever_visible, torch.from_numpy(capture.head.template)
    _, _, sizes = trainer.avatar.bind(template)
    views = capture.split("train")
    pixel = min(
        float(
            view.camera.viewmat[2, :3] @ view.vertices.numpy().mean(0) + view.camera.viewmat[2, 3]
        )
        / float(view.camera.K[0, 0])
        for view in views
    )
    assert float(sizes[seen].detach().min()) == pytest.approx(pixel, rel=0.05)
    assert float(sizes[~seen].detach().max(0).values[1]) < 0.01 * pixel


def test_colours_that_no_picture_shows_stay_what_they_were(trainer_of, head):
    settings = replace(SMALL, steady=10.0, density=Density(rounds=0))
    changes = []
    for weight in (0.0, 10.0):
        trainer = trainer_of(replace(settings, steady=weight))
        given = trainer.avatar.gaussians["latents"].detach()[:, :3].sigmoid().clone()
        losses(trainer, 30)
        unseen = ~trainer.avatar.ever_visible
        assert unseen.sum() > 1000
        view = torch.tensor([0.0, 0.0, 1.0]).expand(trainer.avatar.count, 3)
        behind = trainer.avatar.colors(torch.zeros(len(head.expression_names)), view)
        changes.append(float((behind - given)[unseen].detach().abs().mean()))
    assert changes[1] < 0.02
    assert changes[1] < changes[0]


def test_the_baseline_prunes_by_opacity_and_resets(trainer_of):
    rules = Density(start=0.05, stop=0.2, rounds=2, budget=0, resets=1)
    trainer = trainer_of(replace(SMALL, color="sh", subdivide_teeth=False, density=rules))
    losses(trainer, 13)
    assert {entry[3] for entry in trainer.log} == {
        "densified",
        "pruned by opacity",
        "opacities reset",
    }
    assert set(trainer.avatar.color.per_gaussian) == {"constant", "harmonics"}


def test_opacities_are_lowered_to_what_the_settings_say(trainer_of):
    for reset_to in (0.5, 0.01):
        rules = Density(start=0.05, stop=0.2, rounds=1, budget=0, resets=1, reset_to=reset_to)
        trainer = trainer_of(replace(SMALL, density=rules))
        losses(trainer, 7)
        with torch.no_grad():
            trainer.avatar.gaussians["opacity_logits"].fill_(8.0)
        losses(trainer, 1)
        assert trainer.log[-1][3] == "opacities reset"
        logits = trainer.avatar.gaussians["opacity_logits"]
        assert torch.allclose(torch.sigmoid(logits), torch.tensor(reset_to))
        assert not trainer.optimiser.state[logits]["exp_avg_sq"].any()


RESET = Density(start=0.05, stop=0.2, rounds=1, budget=0, resets=1, gradient=1e9)
"""Opacities are reset after the eighth of :data:`SMALL`'s steps; nothing is densified."""


def test_a_reset_of_opacities_leaves_what_was_visible(trainer_of):
    trainer = trainer_of(replace(SMALL, density=replace(RESET, least_opacity=0.0)))
    losses(trainer, 7)
    before = trainer.avatar.ever_visible.clone()
    assert 1000 < before.sum() < trainer.avatar.count - 1000
    losses(trainer, 1)
    assert trainer.log[-1][3] == "opacities reset"
    assert not (before & ~trainer.avatar.ever_visible).any()


@pytest.mark.parametrize("budget", [0, 18_000])
def test_what_was_visible_is_pruned_after_a_reset_too(trainer_of, budget):
    rules = replace(RESET, budget=budget, least_opacity=0.0, keep_faces=False)
    trainer = trainer_of(replace(SMALL, density=rules))
    losses(trainer, 8)
    assert trainer.log[-1][3] == "opacities reset"
    count, visible = trainer.avatar.count, int(trainer.avatar.ever_visible.sum())
    rules = replace(rules, budget=budget and count - visible // 2, least_opacity=0.99)
    trainer.settings = replace(trainer.settings, density=rules)
    trainer.prune()
    assert trainer.avatar.count == (count - visible // 2 if budget else count - visible)


def test_a_resumed_training_knows_what_was_visible(trainer_of, tmp_path):
    settings = replace(SMALL, density=RESET)
    first = trainer_of(settings)
    losses(first, 8)
    torch.save(first.state(), tmp_path / "state.pt")
    state = torch.load(tmp_path / "state.pt", weights_only=True)
    second = trainer_of(settings)
    second.restore(state)
    assert torch.equal(second.avatar.ever_visible, first.avatar.ever_visible)


def test_a_checkpoint_of_version_0_1_0_knows_what_was_visible(trainer_of):
    """It has no buffer, and its reset emptied the opacities' part of Adam's memory alone."""
    settings = replace(SMALL, density=RESET)
    first = trainer_of(settings)
    losses(first, 8)
    state = first.state()
    del state["ever_visible"]
    second = trainer_of(settings)
    second.restore(state)
    assert torch.equal(second.avatar.ever_visible, first.avatar.ever_visible)


def test_the_presets_lower_opacities_while_they_densify(trainer_of):
    assert (PRESETS["default"].density.resets, PRESETS["default"].density.reset_to) == (3, 0.5)
    assert PRESETS["baseline"].density.reset_to == 0.01
    assert not trainer_of(replace(SMALL, density=Density(rounds=0)))._resets


@pytest.mark.parametrize("reset_to", [0.0, 1.0, -0.5])
def test_an_opacity_to_reset_to_is_between_0_and_1(trainer_of, reset_to):
    with pytest.raises(BadInputError, match="Opacities cannot be lowered to"):
        trainer_of(replace(SMALL, density=Density(reset_to=reset_to)))


def test_a_loss_that_is_no_number_ends_the_training(trainer_of):
    trainer = trainer_of()
    with torch.no_grad():
        trainer.avatar.color.second_bias.fill_(float("nan"))
    with pytest.raises(BadInputError, match="The loss is nan at step 1"):
        trainer.advance()


def test_a_checkpoint_of_several_processes_resumes_in_one(trainer_of):
    trainer = trainer_of()
    state = trainer.state()
    parts = torch.rand(3, trainer.avatar.count)
    trainer.restore(state | {"gradients": (parts, 2 * parts)})
    assert torch.equal(trainer.gradients.total, parts.sum(0))
    assert torch.equal(trainer.gradients.seen, (2 * parts).sum(0))
    # Version 0.1.0 kept the sum alone.
    trainer.restore(state | {"gradients": (parts[0], parts[1])})
    assert torch.equal(trainer.gradients.total, parts[0])
    assert torch.equal(trainer.gradients.seen, parts[1])


TWO_PROCESSES = """
import sys
import torch
from dataclasses import replace
from engine.splatting.cpu.backend import CpuBackend
from tests.training.avatar.conftest import SMALL
from training.avatar.run import processes_of, use_threads
from training.avatar.start import seeded_avatar
from training.avatar.trainer import AvatarTrainer
from training.data.multiview import MultiViewCapture
from training.losses.avatar import AvatarLoss

use_threads(1)
settings = replace(SMALL, steps=40)
capture = MultiViewCapture.open(sys.argv[1])
backend = CpuBackend()
processes = processes_of("cpu", backend)
assert processes.count == 2
assert processes.agreed(yes=processes.rank == 0)
avatar = seeded_avatar(capture, settings, backend, views=2)
trainer = AvatarTrainer(capture, avatar, settings, backend, processes, AvatarLoss(settings.losses))
for _ in range(3):
    trainer.advance()
    trainer.state()  # A checkpoint changes nothing.
state = trainer.state()
if processes.rank == 0:
    torch.save(state, sys.argv[2])
"""


def test_two_processes_take_the_steps_of_one(small_capture, tmp_path, trainer_of, capture):
    from training.avatar.start import seeded_avatar
    from training.avatar.trainer import AvatarTrainer

    settings = replace(SMALL, steps=40, views=2)
    (tmp_path / "worker.py").write_text(TWO_PROCESSES)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]
    words = [str(tmp_path / "worker.py"), str(small_capture), str(tmp_path / "two.pt")]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    together = subprocess.Popen([*command, *words], env=environment, cwd=tmp_path)
    one = trainer_of(settings)
    avatar = seeded_avatar(capture, settings, one.backend, views=2)
    one = AvatarTrainer(capture, avatar, settings, one.backend, one.processes, one.loss)
    losses(one, 3)
    assert together.wait(PATIENCE) == 0
    ours, theirs = one.state(), torch.load(tmp_path / "two.pt", weights_only=True)
    assert torch.equal(ours["binding"], theirs["binding"])
    assert torch.equal(ours["ever_visible"], theirs["ever_visible"])
    states = ours["optimiser"]["state"], theirs["optimiser"]["state"]
    for parameter, state in states[0].items():
        found = states[1][parameter]["exp_avg"]
        scale = float(state["exp_avg"].abs().max())
        assert scale > 0
        assert torch.allclose(found, state["exp_avg"], rtol=1e-3, atol=1e-4 * scale), parameter
    for mine, other in zip(ours["gradients"], theirs["gradients"], strict=True):
        assert torch.allclose(mine.sum(), other.sum(), rtol=1e-2)
