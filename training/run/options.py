# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of trainings: checked when they are given, before a job or its folder is made.

Light: importing it does not import torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from engine.core.checks import check_range, shown
from engine.core.errors import BadInputError

MACHINE_SETTINGS = frozenset(
    {
        "threads",
        "memory",
        "backend",
        "device",
        "preview_every",
        "checkpoint_every",
        "evaluate_every",
    }
)
"""Settings that may change when a run resumes: where it runs and how it is watched, not what it
learns."""

Range = tuple[float, float]

LARGEST_SEED = 2**32 - 1
"""numpy's legacy generators take no larger one."""

COUNT: Range = (1, 1_000_000_000)
"""How often, or how many; at least once."""

COUNT_OR_NONE: Range = (0, 1_000_000_000)
SEED: Range = (0, LARGEST_SEED)
THREADS: Range = (0, 4096)
WEIGHT: Range = (0.0, 1e6)
"""Of a term of a loss; 0 takes it out."""

RATE: Range = (1e-12, 10.0)
"""A learning rate that falls exponentially, which 0 cannot."""

FRACTION: Range = (0.0, 1.0)
GIGABYTES: Range = (math.ulp(0.0), 1e5)


def differences(
    before: Mapping[str, Any],
    now: Mapping[str, Any],
    changeable: Collection[str] = (),
    folder: str | Path = ".",
) -> list[str]:
    """What differs between two configurations, in words.

    Names that only one of them has are skipped: another version has other options.

    Args:
        before: a stored one, as JSON has it.
        now: the present one; values that JSON has.
        changeable: names that may differ.
        folder: the working folder of the stored one, for its relative paths.
    """
    old, new = _flat(before), _flat(json.loads(json.dumps(now)))
    return [
        f"{name} {shown(old[name])} (now {shown(new[name])})"
        for name in sorted(old.keys() & new.keys())
        if name.rpartition(".")[2] not in changeable and not _same(old[name], new[name], folder)
    ]


def _same(before: Any, now: Any, folder: str | Path) -> bool:
    """Whether two options are equal, or name one file."""
    if isinstance(before, str) and isinstance(now, str):
        return before == now or Path(folder, before).resolve() == Path(now).resolve()
    return bool(before == now)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested configurations as one, with dotted names."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def check_ranges(settings: object, ranges: Mapping[str, Range]) -> None:
    """Check numbers of a configuration.

    Args:
        settings: has an attribute of each name.
        ranges: lowest and highest value by name.

    Raises:
        BadInputError: no number, NaN, or outside; names the option.
    """
    for name, (low, high) in ranges.items():
        check_range(f"--{name.replace('_', '-')}", getattr(settings, name), low, high)


def check_file(path: str | Path | None, option: str, *built_in: str) -> None:
    """See that a file which an option names is there.

    Args:
        path: the file; ``None`` where the option is not given.
        option: its name.
        built_in: names that stand for no file.

    Raises:
        BadInputError: it is not there.
    """
    if path is not None and str(path) not in built_in and not Path(path).is_file():
        raise BadInputError(f"There is no file {path}.", f"Check the path given with {option}.")


def check_folder(path: Path | None, option: str) -> None:
    """See that a folder which an option names is there.

    Args:
        path: the folder; ``None`` where the option is not given.
        option: its name.

    Raises:
        BadInputError: it is not there.
    """
    if path is not None and not path.is_dir():
        raise BadInputError(f"There is no folder {path}.", f"Check the path given with {option}.")


def give_uv_template(template: Path | None, head: str | None) -> None:
    """Give the UV layout of a template OBJ to the FLAME model of ``--head``.

    Args:
        template: of ``--uv-template``; ``None`` where it is not given.
        head: of ``--head``.

    Raises:
        BadInputError: there is no FLAME model to give it to, or it is no template of FLAME.
    """
    if template is None:
        return
    if head is None:
        raise BadInputError(
            f"{template} lays out FLAME's mesh, but no FLAME model is given.",
            "Name the model with --head, or leave out --uv-template.",
        )
    # Deferred: heads need scipy, options do not.
    from engine.heads.flame_uv import give_template
    from engine.heads.registry import load_head

    give_template(load_head(head), template)


def check_capture(folder: Path) -> None:
    """See that a folder can be a multi-view capture.

    Raises:
        BadInputError: it is missing, or has no file that lists views.
    """
    if not folder.is_dir():
        raise BadInputError(f"There is no folder {folder}.", "Check the path given with --data.")
    marker = "transforms_train.json"
    if not (folder / marker).is_file():
        raise BadInputError(
            f"{folder} is no multi-view capture: it has no {marker}.",
            "Choose the folder that holds it (docs/capture.md).",
        )
