# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m tests.benchmarks.flame_person STAGE --out DIR``: the paper's own case, measured.

Stages, each of which films the person first where that has not been done, and resumes:

* ``film``: the capture.
* ``avatar``: three trainings on it: true tracking; tracking that is out by 2 mm, 1° and noise on
  expressions, as it is; and the same, refined. PSNR, SSIM and regions on the held-out camera, on
  timesteps that were trained on and on those of the test recordings, with the parameters that
  each training has and with the true ones.
* ``speech``: a new speech model on the true tracking; LVE and lip sync on the test recordings.
* ``joint``: Table 4's colour row on the test recordings, and its control (``--tracked 1``), for
  each seed, on the true tracking too: it is the faces that are compared.
* ``person``: ``gaussianspeech train person`` on what the tracker left: all of it as a user gets it.

Results are printed and lie in ``DIR/STAGE.json``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from engine.commands.console import progress_bar
from engine.heads.flame_model import FlameModel
from engine.heads.flame_param import load_flame_param
from tests.benchmarks.flame_person.film import TRACKED, TRUE, UNION, Film, film
from tests.benchmarks.flame_person.model import FILE
from training.cli import main as gaussianspeech
from training.data.flame_tracking import TRACKING, load_tracking
from training.data.layout import read_transforms, transforms_path
from training.data.posed_flame import posed, row_of
from training.data.recordings import find_recordings
from training.evaluation.avatar import Wanted, evaluate
from training.metrics.image_scores import REGION_NAMES, Scores, together

AVATAR = "avatar.safetensors"
AVATARS = {
    "true tracking": (TRUE, ("--no-tune-tracking",)),
    "as tracked": (TRACKED, ("--no-tune-tracking",)),
    "refined": (TRACKED, ()),
}
"""Rows of the avatar's table: what it is trained on, and options."""


@dataclass(frozen=True)
class Options:
    """What to run.

    Attributes:
        stage: which.
        out: folder of everything.
        steps: of each avatar.
        speech_steps: of the speech model.
        rounds: of the joint stage.
        seeds: of the joint stage.
        threads: of the CPU.
        sentences, filmed, width, height: of the film, where it has not been made.
    """

    stage: tyro.conf.Positional[Literal["film", "avatar", "speech", "joint", "person"]]
    out: Path
    steps: int = 3_500
    speech_steps: int = 1_500
    rounds: int = 8
    seeds: tuple[int, ...] = (0, 1, 2)
    threads: int = 1
    sentences: int = 12
    filmed: int = 12
    width: int = 275
    height: int = 400


class Show:
    """The stages.

    Args:
        options: what to run.
    """

    def __init__(self, options: Options) -> None:
        self.options, self.out = options, options.out.resolve()
        self.model_file = self.out / FILE

    def run(self) -> None:
        """Film where that has not been done, then the stage."""
        options = self.options
        if not (self.out / "film.json").is_file():
            plan = Film(self.out, options.sentences, options.filmed, options.width, options.height)
            with progress_bar("film") as bar:
                film(plan, bar)
        if options.stage != "film":
            found = getattr(self, options.stage)()
            (self.out / f"{options.stage}.json").write_text(json.dumps(found, indent=1))

    def data(self, root: str) -> Path:
        """The capture of true or of tracked parameters."""
        return self.out / root / UNION

    def avatar(self) -> dict[str, Any]:
        """The avatar's table."""
        rows = {name: self._avatar(name) for name in AVATARS}
        table = Table("", "tested on", "vertices off", "PSNR", "SSIM", *REGION_NAMES, "Gaussians")
        for name, row in rows.items():
            for tested, scores in row["scores"].items():
                regions = [_text(scores["regions"][region]) for region in REGION_NAMES]
                off = "" if row["off_mm"] is None else f"{row['off_mm']:.2f} mm"
                shown = (_text(scores["psnr"]), f"{scores['ssim']:.4f}", *regions)
                table.add_row(name, tested, off, *shown, f"{row['gaussians']:,}")
        Console(width=160).print(table)
        return rows

    def _avatar(self, name: str) -> dict[str, Any]:
        root, options = AVATARS[name]
        folder = self._trained(name)
        tracking = folder / TRACKING
        wanted = Wanted(
            head=str(self.model_file),
            backend="auto",
            tracking=tracking if tracking.is_file() else None,
        )
        report = evaluate(folder / AVATAR, self.data(root), None, wanted)
        truth = evaluate(folder / AVATAR, self.data(TRUE), None, Wanted(head=str(self.model_file)))
        tested = find_recordings(self.data(root)).test_timesteps
        groups = {
            "timesteps trained on": [v for v in report.views if v.timestep not in tested],
            "test recordings": [v for v in report.views if v.timestep in tested],
            "test recordings, true tracking": [v for v in truth.views if v.timestep in tested],
        }
        return {
            "options": options,
            "gaussians": report.gaussians,
            "off_mm": self._off(root, tracking if tracking.is_file() else None),
            "scores": {group: _plain(together(views)) for group, views in groups.items()},
        }

    def _trained(self, name: str) -> Path:
        root, options = AVATARS[name]
        folder = self.out / "runs" / f"avatar-{name.replace(' ', '-')}"
        _command(
            *("train", "avatar", "--data", self.data(root), "--out", folder),
            *("--head", self.model_file, "default", "--steps", self.options.steps),
            *("--no-tune-cameras", "--threads", self.options.threads, *options),
        )
        return folder

    def _off(self, root: str, tracking: Path | None) -> float | None:
        """Mean distance of the vertices from the true ones over the trained timesteps, mm."""
        if root == TRUE:
            return None
        union = self.data(root)
        tested = find_recordings(union).test_timesteps
        refined = None if tracking is None else load_tracking(tracking)
        frames = {f.timestep: f.param for f in read_transforms(transforms_path(union, "train"))}
        model: FlameModel | None = None
        far = []
        for step, param in frames.items():
            if step in tested:
                continue
            true = load_flame_param(self.data(TRUE) / param)
            model = model or _model(self.model_file, true)
            stored = load_flame_param(union / param)
            ours = stored if refined is None else refined.at(step, stored)
            both = [posed(model, row_of(each)).vertices for each in (true, ours)]
            far.append(float((both[0] - both[1]).norm(dim=-1).mean()))
        return 1000.0 * float(np.mean(far))

    def speech(self) -> dict[str, Any]:
        """LVE and lip sync on the test recordings."""
        folder, avatar = self.out / "runs/speech", self._trained("true tracking")
        _command(
            *("train", "speech", "--data", self.data(TRUE), "--head", avatar / AVATAR),
            *("--from", "none", "--preset", "starter"),
            *("--steps", self.options.speech_steps, "--out", folder),
        )
        found = json.loads((folder / "scores.json").read_text())
        for key, value in found.items():
            print(f"{key}: {value}")
        return dict(found)

    def joint(self) -> dict[str, Any]:
        """Table 4's colour row by seed, and its control."""
        self.speech()
        avatar = self._trained("true tracking")
        runs: dict[str, Any] = {}
        for seed in self.options.seeds:
            for kind, options in (("", ()), ("-control", ("--tracked", "1"))):
                folder = self.out / f"runs/joint-{seed}{kind}"
                _command(
                    *("train", "joint", "--data", self.data(TRUE), "--out", folder),
                    *("--avatar", avatar / AVATAR, "--head", self.model_file),
                    *("--seed", seed),
                    *("--speech-model", self.out / "runs/speech/speech_model.safetensors"),
                    *("--rounds", self.options.rounds, "--speech-steps", "10"),
                    *("--threads", self.options.threads, *options),
                )
                runs[folder.name] = json.loads((folder / "scores.json").read_text())
        table = Table("", *runs)
        for what in [row["what"] for row in next(iter(runs.values()))["rows"]]:
            cells = [
                f"{row['psnr']:.2f}, {row['ssim']:.4f}"
                for run in runs.values()
                for row in run["rows"]
                if row["what"] == what
            ]
            table.add_row(what, *cells)
        Console(width=200).print(table)
        return runs

    def person(self) -> dict[str, Any]:
        """All stages by the one command for users."""
        folder = self.out / "runs/person"
        _command(
            *("train", "person", "--data", self.data(TRACKED), "--out", folder, "--name", "Ada"),
            *("--head", self.model_file, "--avatar-steps", self.options.steps),
            *("--speech-steps", self.options.speech_steps, "--joint-rounds", self.options.rounds),
            *("--threads", self.options.threads),
        )
        return dict(json.loads((folder / "person.json").read_text()))


def _command(*words: object) -> None:
    """A command of the program; done already, it says so and changes nothing."""
    given = [str(word) for word in words]
    out = Path(given[given.index("--out") + 1])
    status = out / "status.json"
    if status.is_file() and json.loads(status.read_text()).get("state") == "finished":
        return
    print("gaussianspeech", *given, flush=True)
    if code := gaussianspeech(given):
        sys.exit(code)


def _model(file: Path, param: Any) -> FlameModel:
    from engine.heads.flame import flame_person

    return flame_person(file, shape=param.shape, static_offset=param.static_offset[0]).model


def _plain(scores: Scores) -> dict[str, Any]:
    return {"psnr": scores.psnr, "ssim": scores.ssim, "regions": dict(scores.regions)}


def _text(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.2f}"


def main() -> None:
    """The command."""
    options = tyro.cli(Options, description=__doc__)
    torch.set_num_threads(options.threads)
    Show(options).run()


if __name__ == "__main__":
    main()
