# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the lines of Python of each package into the tables of ``docs/architecture.md``.

    python docs/architecture/lines.py

Comments and docstrings count, as in ``git ls-files 'engine/*.py' | xargs cat | wc -l``.
"""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "architecture.md"
ROW = re.compile(r"^\| (`[\w`, ]+`) \| [\d,]+ \|", re.MULTILINE)


def listed(*places: str) -> list[str]:
    """The files at some places."""
    patterns = [pattern for place in places for pattern in (f"{place}.py", f"{place}/*.py")]
    return subprocess.run(
        ["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()


def lines(*places: str) -> str:
    """Lines of the files at some places, with a comma at thousands."""
    return f"{sum(len((ROOT / name).read_bytes().splitlines()) for name in listed(*places)):,}"


def main() -> None:
    head, _, rest = PAGE.read_text("utf-8").partition("| engine |")
    engine, _, training = rest.partition("| training |")

    def counted(package: str, table: str) -> str:
        def row(found: re.Match[str]) -> str:
            names = re.findall(r"`(\w+)`", found[1])
            return f"| {found[1]} | {lines(*(f'{package}/{name}' for name in names))} |"

        return ROW.sub(row, table)

    text = f"{head}| engine |{counted('engine', engine)}| training |{counted('training', training)}"
    sums = {"engine": "engine", "training": "training", "add-on": "blender_addon", "tests": "tests"}
    for name, folder in sums.items():
        text = re.sub(rf"\b({name}) [\d,]+(?=[,;.])", rf"\1 {lines(folder)}", text)
    longest = max(len((ROOT / name).read_bytes().splitlines()) for name in listed(*sums.values()))
    text = re.sub(r"The longest file has \d+", f"The longest file has {longest}", text)
    PAGE.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
