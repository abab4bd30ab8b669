# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference of operators and properties is that of the registered classes."""

from __future__ import annotations

import importlib.util
import re

import pytest

from tests.blender_addon.conftest import REPOSITORY


@pytest.fixture
def write():
    """docs/reference/write.py."""
    script = REPOSITORY / "docs" / "reference" / "write.py"
    spec = importlib.util.spec_from_file_location("write_reference", script)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def written(write, blender, addon):
    """The page as it makes it of this Blender's classes."""
    return write.reference(addon("registration").CLASSES)


@pytest.mark.one_blender  # Menus differ between Blenders; the page is of the newest.
def test_the_reference_is_current(written):
    page = (REPOSITORY / "docs" / "reference.md").read_text("utf-8")
    assert page == written, "python docs/reference/write.py writes it anew"


def test_every_operator_and_settings_group_is_in_it(blender, addon, written):
    classes = addon("registration").CLASSES
    operators = {c.bl_idname for c in classes if issubclass(c, blender.types.Operator)}
    assert (
        set(re.findall(r"^\*\*.+\*\* `(gaussianspeech\.\w+)`", written, re.MULTILINE)) == operators
    )
    for group in ("Object.gaussianspeech_speech", "Scene.gaussianspeech_training"):
        assert f"### `{group}`" in written


def test_ranges_defaults_and_menus_are_the_registered_ones(written):
    row = re.search(r"^\| `smoothing` \|.*$", written, re.MULTILINE)[0]
    assert row.startswith("| `smoothing` | Smoothing | 0 to 200 | 0 | Blur in time")
    assert "In the menu *Mesh* (`VIEW3D_MT_mesh_add`)." in written


def test_a_group_that_no_listed_type_has_is_named(write, blender, addon, monkeypatch):
    monkeypatch.setattr(write, "_OWNERS", ())
    with pytest.raises(LookupError, match=r"has a GAUSSIANSPEECH_PG_\w+: add the type"):
        write.reference(addon("registration").CLASSES)
