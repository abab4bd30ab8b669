# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes a .blend in which a head speaks: ``python -m blender_addon.talk_scene``.

Needs ``bpy`` as a Python module (the extra ``blender``). The file opens in any Blender from the
version of that module on; without the add-on it shows the animated mesh with its sound.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from blender_addon.standalone import addon_module, enabled_addon


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, or 2 with one line of why on stderr."""
    parser = argparse.ArgumentParser(prog="python -m blender_addon.talk_scene", description=__doc__)
    parser.add_argument("--performance", type=Path, required=True, help="a .performance.npz file")
    parser.add_argument("--audio", type=Path, required=True, help="the sound it was made from")
    parser.add_argument("--out", type=Path, required=True, help="the .blend file to write")
    parser.add_argument("--head", default="default", help="'default' or a FLAME file")
    parser.add_argument("--avatar", default="default", help="'default' or an avatar file")
    parser.add_argument("--gaze", type=float, default=0.0, help="amount of gaze, at the camera")
    parser.add_argument("--head-motion", type=float, default=0.0, help="amount of head motion")
    parser.add_argument("--engine-python", default=sys.executable, help="Python of the engine")
    options = parser.parse_args(arguments)
    try:
        import bpy  # noqa: F401 - only whether it is there
    except ImportError as error:
        print(f"Blender's Python module is missing: {error}. pip install bpy", file=sys.stderr)
        return 2
    demo_scene = addon_module("demo_scene")
    with enabled_addon(options.engine_python):
        try:
            demo_scene.write_demo_scene(
                performance=options.performance,
                audio=options.audio,
                out=options.out,
                head=options.head,
                avatar=options.avatar,
                gaze=options.gaze,
                head_motion=options.head_motion,
            )
        except demo_scene.GaussianSpeechError as error:
            print(demo_scene.one_line(error), file=sys.stderr)
            return 2
    print(options.out)
    return 0


if __name__ == "__main__":
    exit_code = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # As a module, 4.2 may crash and 4.5 hang in its own clean-up.
    os._exit(exit_code)
