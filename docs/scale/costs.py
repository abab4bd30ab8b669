# SPDX-License-Identifier: GPL-3.0-or-later
"""The costs in docs/scale.md, from a run of ``gaussianspeech bench``.

    python docs/scale/costs.py bench/bench.json

Unit costs are those of the run; what a thousand hours of dialogue and a film take is worked out
from them, for the machine of the run and for a core of it. On a GPU run they are that GPU's.
"""

from __future__ import annotations

import sys
from pathlib import Path

from training.bench.report import machine_line, number, read

PAGE = Path(__file__).resolve().parents[1] / "scale.md"
MARKS = ("<!-- costs -->", "<!-- /costs -->")
HOURS, FRAMES, PEOPLE = 1000, 10_000, 6


def main(path: Path) -> None:
    run = read(path)
    if run["quick"]:
        sys.exit("A quick run is not for the documentation.")
    text = PAGE.read_text("utf-8")
    start, stop = text.index(MARKS[0]), text.index(MARKS[1])
    made = f"{MARKS[0]}\n{costs(run)}\n"
    PAGE.write_text(text[:start] + made + text[stop:], "utf-8")


def costs(run: dict) -> str:
    figures = {one["name"]: one for one in run["figures"]}
    curves = {one["name"]: one for one in run["curves"]}
    cores = run["machine"]["cores_used"]
    rows = ["| work | unit cost | hours of the machine | core hours |", "|---|---|--:|--:|"]

    def add(what: str, unit: str, hours: float) -> None:
        rows.append(f"| {what} | {unit} | {number(hours)} | {number(hours * cores)} |")

    for name, what in (("speech.whole", "recognised"), ("speech.text", "with texts")):
        each = figures[name]["value"]
        unit = f"{number(each)} s per second of speech"
        add(f"{HOURS:,} hours of dialogue, {what}", unit, HOURS * each)
    people = curves["splatting.people"]
    each = dict(zip(people["x"], people["y"], strict=True))[PEOPLE]
    unit = f"{number(each)} ms a frame of 1920×1080"
    add(f"{FRAMES:,} frames, {PEOPLE} people: splatting", unit, FRAMES * each / 3.6e6)
    f12 = figures.get("f12.1920x1080")
    if f12 is not None:
        above = max(0.0, f12["value"] - f12["reference_value"])
        unit = f"{number(above)} ms a frame beside the splatting"
        add(f"{FRAMES:,} frames: Blender's F12 round it", unit, FRAMES * above / 3.6e6)
    return f"{machine_line(run['machine'])}\n\n" + "\n".join(rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
