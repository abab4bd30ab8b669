# SPDX-License-Identifier: GPL-3.0-or-later
"""Let coverage choose the inputs of one harness: ``python -m tests.fuzz.guided NAME [FLAG…]``.

The flags are libFuzzer's. It needs atheris (https://github.com/google/atheris), which is no
dependency of the project: its wheels are for a few Pythons on Linux. It stops at the first input
that broke a rule, which libFuzzer writes into the current folder.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["engine", "training"]):
    from tests.fuzz.harnesses import HARNESSES

from tests.fuzz.watched import Judge


def main() -> None:
    """Run until something is found, or libFuzzer's limits are reached."""
    harness = HARNESSES[sys.argv[1]]
    with tempfile.TemporaryDirectory() as folder:
        work, corpus = Path(folder, "work"), Path(folder, "corpus")
        for made in (work, corpus):
            made.mkdir()
        for number, data in enumerate(harness.seeds):
            (corpus / str(number)).write_bytes(data)
        judge = Judge(work)
        judge.warm_up(harness)

        def parse(data: bytes) -> None:
            found = judge.verdict(harness, data, valid=False)
            if found is not None:
                raise AssertionError(": ".join(found))

        atheris.Setup([sys.argv[0], *sys.argv[2:], str(corpus)], parse)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
