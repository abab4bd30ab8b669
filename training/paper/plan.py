# SPDX-License-Identifier: GPL-3.0-or-later
"""What is trained for the paper's tables, and at which size. Light: imports no torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal

from engine.core.errors import BadInputError
from engine.core.json_values import read_json
from training.run.options import (
    COUNT,
    COUNT_OR_NONE,
    SEED,
    THREADS,
    Range,
    check_ranges,
    differences,
)

TABLES = (2, 3, 4)
PLAN = "plan.json"
_MAY_CHANGE = ("tables", "seeds", "candidates", "truth", "threads", "backend", "device", "out")
_RANGES: dict[str, Range] = {
    "dimension": COUNT_OR_NONE,
    "views": COUNT_OR_NONE,
    "scale": (0.02, 1.0),
}
"""Of a size, where zero or fractions are allowed."""


@dataclass(frozen=True)
class Size:
    """How much is trained.

    Attributes:
        speech_steps, batch, frames: of each speech model.
        dimension: hidden size of the speech models; 0 leaves all of their presets' sizes.
        validate_every: steps between looks at the validation part.
        patience: looks without a lower LVE after which a speech model's training stops.
        avatar_steps: of each avatar.
        scale: of the pictures beside the capture's.
        views: test views that avatars are measured on, spread over all; 0 takes every one.
        rounds, round_speech, round_color: of the joint training: rounds, steps in each.
        seconds: of the videos.
    """

    speech_steps: int = 20_000
    batch: int = 16
    frames: int = 160
    dimension: int = 0
    validate_every: int = 500
    patience: int = 12
    avatar_steps: int = 30_000
    scale: float = 1.0
    views: int = 0
    rounds: int = 20
    round_speech: int = 20
    round_color: int = 60
    seconds: float = 8.0

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the setting.
        """
        check_ranges(self, dict.fromkeys((entry.name for entry in fields(self)), COUNT) | _RANGES)
        if self.dimension % 8:
            raise BadInputError(
                f"--dimension {self.dimension} is no multiple of 8.", "Choose one, or 0."
            )


FULL = Size()
"""The paper's setting as far as it is known: for a GPU."""
QUICK = Size(
    speech_steps=120,
    batch=4,
    frames=48,
    dimension=32,
    validate_every=40,
    patience=99,
    avatar_steps=150,
    views=8,
    rounds=2,
    round_speech=4,
    round_color=16,
    seconds=1.5,
)
"""To see whether a capture works: minutes on two cores."""


@dataclass(frozen=True)
class PaperPlan:
    """What to run.

    Attributes:
        data: the capture: recordings with a test part, filmed or not.
        out: folder of the report and of all trainings.
        head: its FLAME model, or its head, where it is not the default one.
        tables: which of 2, 3 and 4.
        seeds: how often everything is trained, each time from another seed.
        size: how much is trained.
        encoder: "phonetic" or "wav2vec2".
        encoder_source: hub id or folder of wav2vec 2.0; the presets' own where empty.
        candidates: videos that other systems made of the held-out camera, by name.
        truth: what that camera filmed meanwhile: video, or folder of pictures.
        backend: rasteriser.
        device: where speech models are trained.
        threads: of the CPU; 0 takes the free cores.
        weights: folder of the weight files of LPIPS.
    """

    data: Path
    out: Path
    head: str = "default"
    tables: tuple[int, ...] = TABLES
    seeds: int = 1
    size: Size = FULL
    encoder: str = "wav2vec2"
    encoder_source: str = ""
    candidates: dict[str, Path] = field(default_factory=dict)
    truth: Path | None = None
    backend: Literal["auto", "gsplat", "cpu"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0
    weights: Path | None = None

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            BadInputError: names the setting.
        """
        if unknown := sorted(set(self.tables) - set(TABLES)):
            raise BadInputError(f"There is no Table {unknown[0]} to make.", "Choose 2, 3 or 4.")
        if not self.tables:
            raise BadInputError("No table was asked for.", "Choose from 2, 3 and 4.")
        check_ranges(self, {"seeds": (1, SEED[1]), "threads": THREADS})
        if self.truth is not None and not self.candidates:
            raise BadInputError(
                f"{self.truth} was given, but nothing to compare with it.",
                "Give the videos of other systems with --candidate NAME=VIDEO.",
            )
        if self.candidates and self.truth is None:
            raise BadInputError(
                "Videos of other systems were given, but not what the camera filmed.",
                "Give the video of the held-out camera with --truth.",
            )

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return json.loads(json.dumps(asdict(self), default=str))  # type: ignore[no-any-return]

    def resolved(self) -> PaperPlan:
        """The same with whole paths."""
        return replace(self, data=self.data.resolve(), out=self.out.resolve())

    def check_folder(self) -> None:
        """See that the folder of the report has nothing that was trained otherwise.

        Raises:
            BadInputError: it has; names what differs.
        """
        path = self.out / PLAN
        if not path.is_file():
            return
        before = read_json(path, "Give another folder with --out.").values
        now = {name: v for name, v in self.to_dict().items() if name not in _MAY_CHANGE}
        if different := differences(before, now):
            raise BadInputError(
                f"The tables in {self.out} were begun with {', '.join(different)}.",
                "Continue with the same options, or give another folder with --out.",
            )
