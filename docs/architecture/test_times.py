# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes how long the tests take into ``docs/architecture.md``, from what ``nox`` has printed.

nox 2>&1 | tee nox.log; python docs/architecture/test_times.py nox.log
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "architecture.md"
SESSION = re.compile(r"nox > Running session (\S+)")
SUMMARY = re.compile(r"=+ (\d+) passed.* in ([\d.]+)s")
FOLDER = re.compile(r" +(\d+) (tests/\S+|all)$")
SECTION = re.compile(r"(?<=## Test times\n).*?(?=\n## )", re.DOTALL)


def main(log: Path) -> None:
    session, tests, folders = "", {}, {}
    for line in log.read_text("utf-8").splitlines():
        if found := SESSION.match(line):
            session = found[1]
        elif found := SUMMARY.match(line):
            tests[session] = (int(found[1]), float(found[2]))
        elif found := FOLDER.match(line):
            folder = folders.setdefault(re.sub(r"/[^/]+\.py$", "", found[2]), {})
            folder[session] = folder.get(session, 0) + int(found[1])
    names = [name for name in tests if name == "tests" or name.startswith("addon-")]
    names.sort(reverse=True)
    rows = [
        ["", *(f"`{name}`" for name in names)],
        ["---", *(["---:"] * len(names))],
        ["tests", *(f"{tests[name][0]:,}" for name in names)],
        ["seconds of the clock", *(f"{tests[name][1]:.0f}" for name in names)],
    ]
    for folder, seconds in sorted(folders.items()):
        label = "processor seconds" if folder == "all" else f"… of `{folder}`"
        rows.append([label, *(str(seconds.get(name, "–")) for name in names)])
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    text = PAGE.read_text("utf-8")
    text = SECTION.sub(lambda _: f"{intro()}\n\n{table}\n", text)
    PAGE.write_text(text, "utf-8")


def intro() -> str:
    """What the table is of."""
    cpus = Path("/proc/cpuinfo")
    names = re.findall(r"model name\s*: (.*)", cpus.read_text("utf-8")) if cpus.is_file() else []
    machine = f"{os.cpu_count()} cores{f' of an {names[0]}' if names else ''}"
    return (
        f"`nox` on {machine}, from a fresh environment, sessions side by side; written by\n"
        "`python docs/architecture/test_times.py` from what `nox` prints, which has the slowest\n"
        "twenty tests of each session, too. Other programs change processor seconds little."
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
