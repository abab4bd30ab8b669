# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed extension in a Blender that knows nothing of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.blender_addon.conftest import PACKAGE, ZIP_VARIABLE, build

ALONE = f"""
import sys

class Nobody:
    # Tests find the checkout's packages by their own names; an installed extension must not.
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("engine", "training", "blender_addon"):
            raise ModuleNotFoundError(f"{{name}} is not for an installed extension", name=name)

sys.meta_path.insert(0, Nobody())
import addon_utils
import bpy

addon_utils.enable("bl_pkg")
bpy.ops.extensions.package_install_files(
    filepath=sys.argv[-1], repo="user_default", enable_on_install=True
)
assert "{PACKAGE}" in bpy.context.preferences.addons
assert bpy.ops.gaussianspeech.add_head.poll()
heavy = {{"torch", "numba", "scipy", "tyro"}} & set(sys.modules)
assert not heavy, heavy
addon_utils.disable("{PACKAGE}")
print("enabled alone", flush=True)
import os
os._exit(0)
"""


def test_the_extension_needs_nothing_but_itself(installed, tmp_path):
    source = os.environ[ZIP_VARIABLE]
    package = build(installed, tmp_path) if source == "build" else source
    environment = os.environ | {"BLENDER_USER_RESOURCES": str(tmp_path / "user")}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [sys.executable, "-c", "import bpy\n" + ALONE, str(package)],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=120,
    )
    if "enabled alone" not in done.stdout:
        pytest.fail(done.stdout + done.stderr)
