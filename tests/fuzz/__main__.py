# SPDX-License-Identifier: GPL-3.0-or-later
"""Fuzz the parsers: ``python -m tests.fuzz [--only NAME] [--inputs N] [--seconds S] [--out DIR]``.

Without ``--inputs`` and ``--seconds`` it runs until it is interrupted. Exit code 1 where an input
broke a rule; the inputs lie in the folder, each with its verdict, as small as they could be made.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.fuzz.campaign import Campaign
from tests.fuzz.harnesses import HARNESSES


def main() -> int:
    """Run and report; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=HARNESSES, help="a harness; again for more"
    )
    parser.add_argument("--inputs", type=int, help="of each harness; slow ones get fewer")
    parser.add_argument("--seconds", type=float, help="of the whole run")
    parser.add_argument("--seed", type=int, default=0, help="other inputs for another number")
    parser.add_argument(
        "--out", type=Path, default=Path("fuzz-out"), help="where findings are kept"
    )
    options = parser.parse_args()
    harnesses = [HARNESSES[name] for name in options.only or HARNESSES]
    campaign = Campaign(harnesses, options.seed, options.out)
    try:
        campaign.run(inputs=options.inputs, seconds=options.seconds)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
    finally:
        campaign.close()
    print(campaign.table())
    return 1 if campaign.findings else 0


if __name__ == "__main__":
    sys.exit(main())
