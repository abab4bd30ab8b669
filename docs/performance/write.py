# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/performance.md and the README's table, from a run of ``gaussianspeech bench``.

    python docs/performance/write.py bench/bench.json

Between the README's marks ``<!-- bench -->`` the figures of :data:`README` are written; the whole
table, the curves and the machine go to docs/performance.md, and plots to docs/images. Take a run of
a machine that does nothing else: times are written as they are.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

from training.bench.report import machine_line, number, read, table

ROOT = Path(__file__).resolve().parents[2]
MARKS = ("<!-- bench -->", "<!-- /bench -->")
README = (
    *("speech.whole", "recognition.words", "splatting.32k_550", "splatting.32k_1100"),
    *("splatting.100k_1100", "splatting.default_550", "bake.first", "bake.smile"),
    *("playback.frame", "viewport.order", "f12.550x802", "training.step", "batch.core"),
)


def short_table(figures: list[dict[str, Any]]) -> str:
    """Figures and their references, without the ratios."""
    rows = ["| what | least | beside it | its least |", "|---|--:|---|--:|"]
    rows += [
        f"| {one['what']} | {number(one['value'])} {one['unit']} | {one['reference']} | "
        f"{number(one['reference_value'])} {one['unit']} |"
        for one in figures
    ]
    return "\n".join(rows)


def main(path: Path) -> None:
    run = read(path)
    if run["quick"]:
        sys.exit("A quick run is not for the documentation.")
    chosen = [one for one in run["figures"] if one["name"] in README]
    readme = ROOT / "README.md"
    text = readme.read_text("utf-8")
    start, stop = text.index(MARKS[0]), text.index(MARKS[1])
    made = f"{MARKS[0]}\n{machine_line(run['machine'])}\n\n{short_table(chosen)}\n"
    readme.write_text(text[:start] + made + text[stop:], "utf-8")
    page = ROOT / "docs" / "performance.md"
    text = page.read_text("utf-8")
    start, stop = text.index(MARKS[0]), text.index(MARKS[1])
    parts = [machine_line(run["machine"]), table(run["figures"])]
    parts += [f"Left out: {name}: {why}." for name, why in run["left_out"].items()]
    for curve in run["curves"]:
        picture = path.with_name(f"{curve['name']}.png")
        if picture.is_file():
            name = f"bench-{curve['name'].replace('.', '-')}.png"
            shutil.copy(picture, ROOT / "docs" / "images" / name)
            parts.append(f"![{curve['what']}](images/{name})")
        points = ", ".join(
            f"{number(x)}: {number(y)}" for x, y in zip(curve["x"], curve["y"], strict=True)
        )
        parts.append(f"{curve['what']} ({curve['x_label']}: {curve['y_label']}): {points}.")
    made = MARKS[0] + "\n" + "\n\n".join(parts) + "\n"
    page.write_text(text[:start] + made + text[stop:], "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
