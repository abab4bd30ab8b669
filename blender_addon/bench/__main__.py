# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m blender_addon.bench --out FIGURES.json [--quick] [--engine PYTHON]``; needs ``bpy``.

Each figure is a list: name, what, value, unit, reference, value of the reference.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from blender_addon.bench.baking import measure_baking
from blender_addon.bench.pictures import measure_f12, measure_viewport
from blender_addon.standalone import enabled_addon


def main() -> None:
    """Measure everything, and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--engine", default=sys.executable, help="Python of the engine")
    options = parser.parse_args()
    figures = measure_viewport(quick=options.quick)
    with enabled_addon(options.engine):
        figures += measure_baking(quick=options.quick)
        figures += measure_f12(quick=options.quick)
    options.out.write_text(json.dumps(figures), "utf-8")


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # As a module, 4.2 may crash and 4.5 hang in its own clean-up.
    os._exit(0)
