# SPDX-License-Identifier: GPL-3.0-or-later
"""The characters of the user guide's pictures, and the pictures that the guide shows."""

from __future__ import annotations

import re

import numpy as np
import pytest

from engine.motion.arkit import ARKIT_NAMES
from tests.blender_addon.conftest import REPOSITORY

GUIDE = REPOSITORY / "docs" / "user-guide.md"


@pytest.fixture
def tour(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs" / "tour"))


def offsets(obj, name):
    """(V, 3) metres by which a shape key moves the rest pose."""
    keys = obj.data.shape_keys.key_blocks
    points = np.empty((2, 3 * len(obj.data.vertices)), np.float32)
    for row, key in enumerate((keys[name], keys[0])):
        key.data.foreach_get("co", points[row])
    return (points[0] - points[1]).reshape(-1, 3)


def test_the_puppet_has_arkits_shape_keys_and_its_teeth_those_of_the_jaw(tour, blender, addon):
    from puppet import add_puppet

    face, teeth = add_puppet(blender.context, "Pip")
    names = {key.name for key in face.data.shape_keys.key_blocks[1:]}
    assert names == set(ARKIT_NAMES)
    assert all(key.value == 0 for key in face.data.shape_keys.key_blocks[1:])
    blender.ops.gaussianspeech.use_character()
    for obj, rows in ((face, 52), (teeth, 5)):
        assert len(obj.gaussianspeech_character.rows) == rows
        assert obj.gaussianspeech_character.convention == "ARKit"


def test_the_puppets_lips_meet_over_an_open_jaw(tour, blender):
    import puppet

    face, _teeth = puppet.add_puppet(blender.context, "Pip")
    jaw, closed = offsets(face, "jawOpen"), offsets(face, "mouthClose")
    first = puppet._INSIDE * puppet._SEGMENTS
    lips = first + np.arange(puppet._SEGMENTS)
    opposite = first + -np.arange(puppet._SEGMENTS) % puppet._SEGMENTS

    def gap(moved):
        return np.linalg.norm(moved[lips] - moved[opposite], axis=1).max()

    assert gap(jaw) > 0.02
    assert gap(jaw + closed) < 0.0005


def test_the_elf_speaks_by_the_names_of_vrm(tour, engine_ready, addon):
    from own_character import add_character
    from vrm_names import rename_as_vrm

    face, teeth = add_character(engine_ready.context, "Elf")
    rename_as_vrm(face, teeth)
    teeth.select_set(True)
    engine_ready.ops.gaussianspeech.use_character()
    shown = {row.name: row.pose for row in face.gaussianspeech_character.rows}
    assert shown["Fcl_MTH_A"] == "aa"
    assert len(shown) == 7
    assert face.gaussianspeech_character.convention == "VRoid"


def test_the_guides_pictures_are_there_and_small():
    pictures = re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", GUIDE.read_text("utf-8"))
    assert len(pictures) > 10
    for picture in pictures:
        assert 0 < (GUIDE.parent / picture).stat().st_size < 200_000, picture
