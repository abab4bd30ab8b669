# SPDX-License-Identifier: GPL-3.0-or-later
"""The tables from a capture: everything that is missing is trained and measured, one by one."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.core import platforms
from engine.core.errors import BadInputError
from engine.core.files import unwritable
from engine.core.progress import Progress, no_progress, subprogress
from engine.motion.model.loaded import LoadedModel
from training.avatar.run import use_threads
from training.evaluation import video
from training.paper import avatars, pictures, speech, videos
from training.paper.plan import PLAN, PaperPlan
from training.paper.published import (
    JOINT,
    LPIPS,
    MONOCULAR,
    PSNR,
    RULES,
    SSIM,
    UNTUNED,
    PaperRow,
)
from training.paper.report import TABLES_TEXT, Report, TableRow, write
from training.paper.rows import PICTURES, RESULT, Result, file_of, folder_of, store, stored
from training.paper.scope import Scope
from training.paper.tables import report_of
from training.run.checkpoints import write_json

_OPENED = 0.02
"""Part of the progress after which the capture is read."""
_LOCK = ".lock"


@dataclass(frozen=True)
class Task:
    """Something to train or measure whose result is kept.

    Attributes:
        what: for people.
        folder: of the result.
        name: of its file.
        work: does it.
    """

    what: str
    folder: Path
    name: str
    work: Callable[[Progress], Result]


def evaluate(plan: PaperPlan, progress: Progress = no_progress) -> Path:
    """Make the tables; what is done already is kept.

    After each training the report is written anew, so that one that breaks off has its rows.

    Args:
        plan: what to run.
        progress: called with the share done; may raise to cancel.

    Returns:
        The file of the tables.

    Raises:
        BadInputError: capture, head or settings that cannot be used, or a folder that was begun
            with others, cannot be written, or in which another run is at work.
        MissingDependencyError: weights that are not on this machine.
        CancelledError: ``progress`` raised it; the same call continues.
    """
    plan = plan.resolved()
    plan.check_folder()
    use_threads(plan.threads)
    with _alone(plan.out):
        return _evaluate(plan, progress)


@contextlib.contextmanager
def _alone(out: Path) -> Iterator[None]:
    """Hold the folder of a report against a second run; what stays empty is removed again.

    The lock is the system's own: it ends with the process, however that ends.

    Raises:
        BadInputError: it cannot be written, or another run is at work in it.
    """
    lock, missing = out / _LOCK, [f for f in (out, *out.parents) if not f.exists()]
    try:
        out.mkdir(parents=True, exist_ok=True)
        release = platforms.claim(lock)
    except OSError as error:
        raise unwritable(out, error) from error
    if release is None:
        raise BadInputError(
            f"Another evaluation is at work in {out}.", "Wait for it, or choose another --out."
        )
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            platforms.remove(lock)
        release()
        with contextlib.suppress(OSError):
            for folder in missing:
                folder.rmdir()


def _evaluate(plan: PaperPlan, progress: Progress) -> Path:
    scope = Scope.of(plan, subprogress(progress, 0.0, _OPENED))
    if learned := [preset for preset in scope.presets if preset != RULES]:
        scope.data.config(learned[0])  # Before hours of avatars: are the encoder's weights there?
    others = compared_videos(plan)
    write_json(plan.out / PLAN, plan.to_dict())
    report: Report | None = None
    todo = [task for seed in range(plan.seeds) for task in tasks(scope, seed)]
    for number, task in enumerate(todo):
        begin, end = (_OPENED + (1 - _OPENED) * (number + i) / len(todo) for i in (0, 1))
        part = subprogress(progress, begin, end)
        part(0.0, task.what)
        if stored(task.folder, task.name) is None:
            store(task.folder, task.work(part), task.name)
            before, report = report, report_of(scope, others)
            write(report, plan.out, before)
    write(report_of(scope, others), plan.out, report)
    progress(1.0, "Tables written")
    return plan.out / TABLES_TEXT


def tasks(scope: Scope, seed: int) -> Iterator[Task]:
    """All of a seed, each after what it needs."""
    plan = scope.plan
    for key in scope.avatars:
        folder = folder_of(plan.out, "avatars", key, seed)
        work = partial(_avatar, plan, key, seed)
        yield Task(f"Table 2, {key}, seed {seed}", folder, RESULT, work)
    for preset in scope.presets:
        folder = folder_of(plan.out, "speech", preset, seed)
        yield Task(f"{preset}, seed {seed}", folder, RESULT, partial(_speech, scope, preset, seed))
        if scope.spoken and preset != RULES:
            work = partial(_pictures, scope, preset, seed)
            yield Task(f"pictures of {preset}, seed {seed}", folder, PICTURES, work)
    if scope.joint:
        folder = folder_of(plan.out, "joint", "paper", seed)
        for name in (UNTUNED, JOINT):
            work = partial(_joint, scope.data, name, seed)
            yield Task(f"joint training, seed {seed}", folder, file_of(name), work)


def _avatar(plan: PaperPlan, key: str, seed: int, _progress: Progress) -> Result:
    return avatars.train_row(plan, key, seed)


def _speech(scope: Scope, preset: str, seed: int, progress: Progress) -> Result:
    result = speech.train_row(scope.data, preset, seed, progress)
    folder = folder_of(scope.plan.out, "speech", preset, seed)
    avatar = scope.avatar(preset, seed) if scope.spoken and preset != RULES else None
    videos.film_row(scope.data, preset, seed, folder, avatar)
    return result


def _pictures(scope: Scope, preset: str, seed: int, _progress: Progress) -> Result:
    model = speech.loaded(scope.data, preset, seed)
    assert isinstance(model, LoadedModel)
    return pictures.score_row(scope.data, model, scope.avatar(preset, seed))


def _joint(data: speech.SpeechData, name: str, seed: int, _progress: Progress) -> Result:
    return pictures.train_joint(data, seed)[name]


def compared_videos(plan: PaperPlan) -> list[TableRow]:
    """Rows of other systems' videos, measured each time anew: they are quick, and may change."""
    if not plan.candidates or plan.truth is None:
        return []
    plan.out.mkdir(parents=True, exist_ok=True)
    wanted = video.Wanted(weights=plan.weights)
    with contextlib.redirect_stdout(io.StringIO()):
        scores = video.evaluate(plan.truth, plan.candidates, wanted, plan.out)
    known, rows = {name.lower(): name for name in MONOCULAR}, []
    for score in scores:
        found = {PSNR: score.psnr, SSIM: score.ssim, LPIPS: score.lpips}
        figures = {name: value for name, value in found.items() if value is not None}
        name = known.get(score.name.lower(), score.name)
        row = PaperRow(name, "", in_paper=name in MONOCULAR)
        rows.append(TableRow(row, [Result(figures, notes=[f"{score.frames} frames of a video"])]))
    return rows
