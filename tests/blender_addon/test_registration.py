# SPDX-License-Identifier: GPL-3.0-or-later
"""The installed extension in a Blender that knows nothing of this checkout."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.blender_addon.conftest import PACKAGE, ZIP_VARIABLE, build
from tests.waiting import PATIENCE

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
        timeout=PATIENCE,
    )
    if "enabled alone" not in done.stdout:
        pytest.fail(done.stdout + done.stderr)


def test_what_came_before_a_failure_is_unregistered(blender, addon, monkeypatch):
    registration, calls = addon("registration"), []

    class GAUSSIANSPEECH_PT_passing(blender.types.Panel):  # noqa: N801 - as Blender wants it
        bl_label = "Passing"
        bl_space_type, bl_region_type = "VIEW_3D", "UI"
        draw = lambda self, context: None  # noqa: E731 - never drawn

    class Good:
        register = staticmethod(lambda: calls.append("register"))
        unregister = staticmethod(lambda: calls.append("unregister"))

    class Broken:
        @staticmethod
        def register():
            assert hasattr(blender.types, "GAUSSIANSPEECH_PT_passing")
            raise RuntimeError("oh")

        unregister = staticmethod(lambda: calls.append("broken"))

    monkeypatch.setattr(registration, "CLASSES", (GAUSSIANSPEECH_PT_passing,))
    monkeypatch.setattr(registration, "HOOKS", (Good, Broken))
    with pytest.raises(RuntimeError, match="oh"):
        registration.register()
    assert calls == ["register", "unregister"]
    assert not hasattr(blender.types, "GAUSSIANSPEECH_PT_passing")


def test_every_class_of_the_addon_is_registered(blender, addon):
    registration = addon("registration")
    assert len(set(registration.CLASSES)) == len(registration.CLASSES)
    defined = {
        cls
        for base in ("Operator", "Panel", "PropertyGroup", "UIList", "RenderEngine", "Menu")
        for cls in getattr(blender.types, base).__subclasses__()
        if cls.__module__.startswith(f"{PACKAGE}.")
    }
    assert defined <= set(registration.CLASSES)
