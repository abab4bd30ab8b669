# SPDX-License-Identifier: GPL-3.0-or-later
"""What each part of the avatar training is worth: ``avatar_training.py --data CAPTURE``.

Trains the rows of the paper's Table 2 from the same seed on the same views in the same number of
steps, measures each on the camera that the capture keeps from training, and prints the table:
image metrics, PSNR by region, number of Gaussians, seconds until the test PSNR first reaches 30 dB,
steps a second. The last row trains as many Gaussians that belong to no mesh on one timestep with
the same rasteriser: what a plain 3D Gaussian Splatting trainer pays a step.

A row whose networks have no weights here is the same run as another, and is left out with the
reason. Times hold what a step needs, not the measuring between steps; with ``--cpu`` they are the
processor's time in one thread, which other programs hardly change.

Nothing is asserted: the paper's order is a hypothesis, and what is true is printed.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numba
import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from engine.avatar import save_avatar
from engine.avatar.kernels import warm_up
from engine.core.errors import MissingDependencyError
from engine.core.files import atomic_write
from engine.splatting.backend import Backend, Splats
from engine.splatting.registry import choose_backend
from training.avatar.config import AvatarSettings
from training.avatar.start import seeded_avatar
from training.avatar.trainer import AvatarTrainer
from training.bench.learning import plain_step
from training.data.multiview import MultiViewCapture
from training.evaluation.avatar import rendered
from training.losses.avatar import AvatarLoss
from training.metrics.image import psnr
from training.metrics.image_lpips import Lpips
from training.metrics.image_scores import REGION_NAMES, Scores, score_view, together
from training.paper.avatars import BASELINE as GAUSSIAN_AVATARS
from training.paper.avatars import FULL, table_2
from training.run.processes import join_processes

GOAL = 30.0
"""Decibels."""
WATCHED = 6
"""Test views that are looked at while training."""
BARE_STEPS = 60
BASELINE = "baseline, as GaussianAvatars"


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        data: folder of the capture.
        head: its FLAME model, or its head, where it is not the default one.
        steps: of each row.
        scale: size of the pictures beside the capture's.
        rows: names of rows, in the order in which they run; all without.
        budgets: in place of Table 2, the full avatar at each of these budgets, with and without
            what keeps triangles from losing their last Gaussian.
        views: test views that the table is measured on, spread over all; 0 takes every one.
        watch_every: steps between looks at the test PSNR.
        threads: of the CPU.
        cpu: count the processor's time, in one thread.
        backend: rasteriser.
        seed: of everything that is drawn by chance.
        out: folder for the avatars and table.json, which grows row by row; without, nothing is
            written.
    """

    data: Path
    head: str | None = None
    steps: int = 1_500
    scale: float = 0.5
    rows: tuple[str, ...] = ()
    budgets: tuple[int, ...] = ()
    views: int = 40
    watch_every: int = 100
    threads: int = 2
    cpu: bool = False
    backend: str = "auto"
    seed: int = 0
    out: Path | None = None


@dataclass(frozen=True)
class Row:
    """One training.

    Attributes:
        name: of the row.
        scores: on the test camera.
        gaussians: at the end.
        most: at any time.
        goal_seconds: until the watched test views first reached GOAL on average; None if never.
        goal_step: the same in steps.
        seconds: of all steps.
        steps_a_second: by the median step of the last fifth.
        curve: (step, seconds, PSNR of the watched views).
    """

    name: str
    scores: Scores
    gaussians: int
    most: int
    goal_seconds: float | None
    goal_step: int | None
    seconds: float
    steps_a_second: float
    curve: list[tuple[int, float, float]]


def rows_of_the_paper(options: Options) -> dict[str, AvatarSettings]:
    """Table 2, by name."""
    rows = table_2(options.steps, options.seed, options.scale)
    return {BASELINE if key == GAUSSIAN_AVATARS else key: row for key, row in rows.items()}


def rows_of_budgets(options: Options) -> dict[str, AvatarSettings]:
    """Counts below the number of triangles, by name."""
    full = rows_of_the_paper(options)[FULL]
    rows = {}
    for budget in options.budgets:
        kept = replace(full, density=replace(full.density, budget=budget))
        seen = replace(kept, density=replace(kept.density, keep_hidden=False))
        free = replace(kept, density=replace(kept.density, keep_faces=False))
        rows |= {
            f"{budget:,}": kept,
            f"{budget:,} --no-keep-hidden": seen,
            f"{budget:,} --coarse-skull": replace(kept, coarse_skull=True),
            f"{budget:,} --no-keep-hidden --coarse-skull": replace(seen, coarse_skull=True),
            f"{budget:,} --no-keep-faces": free,
        }
    return rows


def train_row(
    name: str,
    settings: AvatarSettings,
    capture: MultiViewCapture,
    backend: Backend,
    options: Options,
) -> Row:
    """Train, watch, measure."""
    clock = time.process_time if options.cpu else time.perf_counter
    processes = join_processes(cuda=backend.name == "gsplat")
    avatar = seeded_avatar(capture, settings, backend)
    loss = AvatarLoss(settings.losses, processes.device)
    trainer = AvatarTrainer(capture, avatar, settings, backend, processes, loss)
    test = capture.split("test")
    watched = [test[index] for index in spread(len(test), WATCHED)]
    times, curve, most = [], [], avatar.count
    goal: tuple[int, float] | None = None
    for step in range(1, settings.steps + 1):
        start = clock()
        trainer.advance()
        times.append(clock() - start)
        most = max(most, trainer.avatar.count, *(entry[2] for entry in trainer.log[-2:]), 0)
        if step % options.watch_every and step != settings.steps:
            continue
        engine_avatar = trainer.avatar.avatar()
        seen = np.mean([psnr(rendered(engine_avatar, v, backend), v.image) for v in watched])
        curve.append((step, sum(times), float(seen)))
        if goal is None and seen >= GOAL:
            goal = (step, sum(times))
        say(f"{name}: step {step}, {trainer.avatar.count} Gaussians, {seen:.2f} dB")
    metadata = {"made by": "tests/benchmarks/avatar_training.py", "row": name}
    final = trainer.avatar.avatar(metadata)
    lpips = None
    with contextlib.suppress(MissingDependencyError):
        lpips = Lpips()
    views = [test[index] for index in spread(len(test), options.views)]
    scores = together(
        [score_view(rendered(final, v, backend), v, capture.head, lpips) for v in views]
    )
    if options.out is not None:
        file = name.replace("/", "").replace(",", "").replace(" ", "-")
        save_avatar(final, options.out / f"{file}.safetensors", half=True)
    late = times[-max(1, len(times) // 5) :]
    return Row(
        name,
        scores,
        final.count,
        most,
        None if goal is None else goal[1],
        None if goal is None else goal[0],
        sum(times),
        1 / float(np.median(late)),
        curve,
    )


def bare_steps_a_second(capture: MultiViewCapture, backend: Backend, options: Options) -> float:
    """Steps of as many free Gaussians with constant colours as the budget allows."""
    clock = time.process_time if options.cpu else time.perf_counter
    settings = rows_of_the_paper(options)[FULL]
    view = capture.split("train")[0]
    device = "cuda" if backend.name == "gsplat" else "cpu"
    avatar = seeded_avatar(capture, settings, backend, views=4)
    with torch.no_grad():
        viewpoint = torch.from_numpy(view.camera.viewpoint)
        start = avatar.splats(view.vertices, view.expression, viewpoint, view.head_matrix)
    chance = torch.Generator().manual_seed(options.seed)
    chosen = torch.randint(len(start.means), (settings.density.budget,), generator=chance)
    gaussians = (start.means, start.quats, start.scales, start.opacities, start.colors)
    step = plain_step(Splats(*(v[chosen].to(device) for v in gaussians)), view, backend.render)
    times = []
    for _ in range(BARE_STEPS):
        begin = clock()
        step()
        times.append(clock() - begin)
    return 1 / float(np.median(times[BARE_STEPS // 3 :]))


def spread(count: int, most: int) -> list[int]:
    """Indices of at most so many of all, evenly."""
    wanted = min(count, most) if most else count
    return sorted(set(np.linspace(0, count - 1, wanted).round().astype(int).tolist()))


def show(rows: list[Row], options: Options, bare: float, notes: list[str]) -> None:
    """Print the table."""
    unit = "CPU s" if options.cpu else "s"
    table = Table(title=f"{options.data.name}, scale {options.scale:g}, {options.steps} steps")
    columns = ("PSNR", "SSIM", "LPIPS", *REGION_NAMES, "Gaussians", f"{unit} to 30 dB", "steps/s")
    for column in ("", *columns):
        table.add_column(column, justify="left" if not column else "right")
    for row in rows:
        scores = row.scores
        table.add_row(
            row.name,
            f"{scores.psnr:.2f}",
            f"{scores.ssim:.4f}",
            "n/a" if scores.lpips is None else f"{scores.lpips:.4f}",
            *(
                "n/a" if value is None else f"{value:.2f}"
                for value in (scores.regions[name] for name in REGION_NAMES)
            ),
            f"{row.gaussians:,}",
            "never" if row.goal_seconds is None else f"{row.goal_seconds:.0f}",
            f"{row.steps_a_second:.1f}",
        )
    table.add_row("free Gaussians, one timestep", *[""] * (len(columns) - 1), f"{bare:.1f}")
    Console(width=150).print(table)
    for note in notes:
        print(note)


def save(rows: list[Row], options: Options, bare: float | None, notes: list[str]) -> None:
    """Write what there is so far: a long run that is broken off leaves its rows."""
    if options.out is None:
        return
    content = {
        "options": json.loads(json.dumps(asdict(options), default=str)),
        "notes": notes,
        "rows": [asdict(row) for row in rows],
        "free_steps_a_second": bare,
    }
    with atomic_write(options.out / "table.json") as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def say(line: str) -> None:
    """On stderr, at once."""
    print(line, file=sys.stderr, flush=True)


def main(options: Options) -> int:
    """Run the rows and print the table."""
    threads = 1 if options.cpu else options.threads
    torch.set_num_threads(threads)
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    capture = MultiViewCapture.open(options.data, scale=options.scale, head=options.head)
    backend = choose_backend(options.backend)
    warm_up(backend, gradients=True)
    wanted = rows_of_budgets(options) if options.budgets else rows_of_the_paper(options)
    unknown = set(options.rows) - set(wanted)
    if unknown:
        say(f"There are no rows {sorted(unknown)}; there are {list(wanted)}.")
        return 2
    view = capture.split("test")[0]
    notes = [
        (
            f"{len(capture.split('train'))} views to train on; camera '{capture.test_camera}' to "
            f"test on, {view.camera.width}×{view.camera.height}; backend {backend.name}, "
            f"{threads} thread(s), torch {torch.__version__}, seed {options.seed}."
        )
    ]
    off = AvatarLoss(rows_of_the_paper(options)[FULL].losses).off
    notes += [f"The term '{term}' is off: {message}" for term, (message, _) in off.items()]
    if {"global", "patch"} <= set(off) and "w/o perceptual" in wanted:
        del wanted["w/o perceptual"]
        notes.append("'w/o perceptual' is left out: without weights it is the same run as 'full'.")
    chosen = options.rows or tuple(wanted)
    rows: list[Row] = []
    for name in chosen:
        if name in wanted:
            rows.append(train_row(name, wanted[name], capture, backend, options))
            save(rows, options, None, notes)
    bare = bare_steps_a_second(capture, backend, options)
    save(rows, options, bare, notes)
    show(rows, options, bare, notes)
    return 0


if __name__ == "__main__":
    sys.exit(main(tyro.cli(Options, description=__doc__, config=(tyro.conf.OmitArgPrefixes,))))
