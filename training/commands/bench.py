# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech bench``: how fast everything is on this machine, beside named references."""

from __future__ import annotations

import sys
from pathlib import Path

from engine.commands.console import EXIT_FAILED, existing_folder, print_result, progress_bar
from engine.core.errors import BadInputError


def bench(
    out: Path = Path("bench"),
    *,
    quick: bool = False,
    parts: tuple[str, ...] = (),
    compare: Path | None = None,
    json: bool = False,
) -> int:
    """Measure speech, recognition, splatting, Blender, training, tracking, export and batches.

    Every figure stands beside a named reference that ran in turn with it: on a busy machine times
    grow, their ratios hardly. OUT gets bench.json, bench.md and plots of how things grow.

    Args:
        out: folder for the results.
        quick: fewer runs and smaller sizes: minutes.
        parts: of the benchmark; all by default: speech, recognition, splatting, blender (viewport,
            bake, playback, F12; needs bpy), training, tracking (needs mediapipe), retarget, export,
            batch.
        compare: a bench.json of the same type of machine: ratios that fell by more than a fifth are
            listed, and the exit code is 1 where there are some.
        json: print the result as JSON.
    """
    from training.bench import PARTS, run_parts
    from training.bench.report import check_comparable, fallen, read, write
    from training.run.machine import describe

    for name in parts:
        if name not in PARTS:
            raise BadInputError(f"There is no part {name!r}.", f"Parts are {', '.join(PARTS)}.")
    before, machine = None if compare is None else read(compare), describe()
    if before is not None:
        check_comparable(before, machine, quick=quick)
    existing_folder(out)
    with progress_bar("bench") as progress:
        result = run_parts(parts or tuple(PARTS), quick=quick, progress=progress)
    written = write(out, machine, result, quick=quick)
    facts: dict[str, object] = {
        "file": written,
        "figures": len(result.figures),
        "left_out": result.left_out,
    }
    slower = [] if before is None else fallen(before, read(written))
    if before is not None:
        facts["fallen"] = slower
    print_result(facts, as_json=json)
    for line in slower:
        print(f"gaussianspeech: slower: {line}", file=sys.stderr)
    return EXIT_FAILED if slower else 0
