# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the paper's tables a capture, the plan and this machine allow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.motion.encoders.registry import WAV2VEC2
from training.data.layout import transforms_path
from training.paper.avatars import (
    BASELINE,
    FULL,
    NO_PERCEPTUAL,
    avatar_file,
    perceptual_losses_missing,
)
from training.paper.pictures import lpips_of
from training.paper.plan import FULL as FULL_SIZE
from training.paper.plan import PaperPlan
from training.paper.published import JOINT, MONOCULAR, TABLE_2, TABLE_3, TABLE_4, UNTUNED
from training.paper.speech import SpeechData
from training.speech.baselines import BASELINES

_NO_TUNING = "without_audio_finetuning"
_NEEDED = {BASELINE: {3}, FULL: {3, 4}}
"""Avatars that other tables move."""
_MONOCULAR = (
    "its own program trains on the held-out camera's video; give its output with --candidate "
    "{}=VIDEO, and what the camera filmed with --truth"
)
_SYNCNET = (
    "SyncNet's weights are not shipped; where they are, 'gaussianspeech evaluate video --syncnet "
    "FILE' measures the rows' videos"
)


@dataclass(frozen=True)
class Scope:
    """What is run.

    Attributes:
        plan: what was asked for.
        recordings: what Tables 3 and 4 are of; ``None`` where neither is asked for.
        filmed: whether the capture has pictures.
        spoken: whether some of them show what is said.
    """

    plan: PaperPlan
    recordings: SpeechData | None
    filmed: bool
    spoken: bool

    @classmethod
    def of(cls, plan: PaperPlan, progress: Progress = no_progress) -> Scope:
        """Look at the capture.

        Raises:
            BadInputError: it has no recordings to train and to test on where Table 3 or 4 is asked
                for, or no pictures where Table 2 alone is.
        """
        filmed = transforms_path(plan.data, "train").is_file()
        if not {3, 4} & set(plan.tables):
            if not filmed:
                raise BadInputError(
                    f"{plan.data} has no pictures, and Table 2 is of nothing else.",
                    "Give a capture (docs/capture.md), or choose Table 3 or 4.",
                )
            return cls(plan, None, filmed, spoken=False)
        recordings = SpeechData.open(plan, progress)
        return cls(plan, recordings, filmed, filmed and bool(recordings.found.filmed))

    @property
    def data(self) -> SpeechData:
        """The recordings, where Table 3 or 4 is asked for."""
        assert self.recordings is not None
        return self.recordings

    @cached_property
    def no_perceptual(self) -> str:
        """Why the row without perceptual losses is left out; empty where it is run."""
        return perceptual_losses_missing() if self.filmed else ""

    @property
    def avatars(self) -> list[str]:
        """Rows of Table 2 that are trained, for that table or because others need them."""
        chosen = set(self.plan.tables)
        return [
            row.key
            for row in TABLE_2
            if self.filmed
            and (2 in chosen or (self.spoken and _NEEDED.get(row.key, set()) & chosen))
            and not (row.key == NO_PERCEPTUAL and self.no_perceptual)
        ]

    @property
    def presets(self) -> list[str]:
        """Speech models that are trained, and the rules."""
        tables = {3: TABLE_3, 4: TABLE_4}
        rows = [row for number in tables if number in self.plan.tables for row in tables[number]]
        keys = dict.fromkeys("paper" if row.key == JOINT else row.key for row in rows)
        if self.plan.encoder != WAV2VEC2:
            keys.pop(_NO_TUNING, None)
        return list(keys)

    @property
    def joint(self) -> bool:
        """Whether there is a joint training."""
        return 4 in self.plan.tables and self.spoken

    def avatar(self, preset: str, seed: int) -> Path:
        """The avatar that a model moves; what the paper compares with moves its baseline."""
        return avatar_file(self.plan, BASELINE if preset in BASELINES else FULL, seed)

    def not_run(self, measured: set[str]) -> list[tuple[str, str]]:
        """What is left out, and why.

        Args:
            measured: names of other systems whose videos were given.
        """
        plan, tables = self.plan, set(self.plan.tables)
        left = [(name, _MONOCULAR.format(name)) for name in MONOCULAR if name not in measured]
        left = left if 3 in tables else []
        if 2 in tables and not self.filmed:
            left.append(("Table 2", "the capture has no pictures"))
        if 2 in tables and self.no_perceptual:
            left.append((NO_PERCEPTUAL, self.no_perceptual))
        if {3, 4} & tables:
            left += self._left_of_speech()
        if (self.filmed or plan.candidates) and (missing := lpips_of(plan)[1]):
            left.append(("LPIPS", missing))
        if plan.size != FULL_SIZE:
            left.append(("the paper's size", "leave out --quick and sizes; that takes a GPU"))
        return left

    def _left_of_speech(self) -> list[tuple[str, str]]:
        left = [("LSE-D, LSE-C", _SYNCNET)]
        if self.plan.encoder != WAV2VEC2:
            left.append(
                ("wav2vec 2.0", "the phonetic encoder is used instead: it needs no weights")
            )
            if 4 in self.plan.tables:
                left.append(("w/o audio fine-tuning", "the phonetic encoder has nothing to tune"))
        if not self.spoken:
            why = "nothing that is said in the capture was filmed"
            left.append(("pictures of Tables 3 and 4", why))
            if 4 in self.plan.tables:
                left.append((UNTUNED, why))
        return left
