# SPDX-License-Identifier: GPL-3.0-or-later
"""The characters of the user guide's pictures, and the pictures that the guide shows."""

from __future__ import annotations

import re
from fnmatch import fnmatch

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


@pytest.fixture
def walking(tour, blender, addon, monkeypatch):
    """What the walks share, in a window with a 3D view."""
    import walking

    for name in ("text", "panels.main"):  # In the background the scale of the interface is 0.
        monkeypatch.setattr(addon(name), "wrapped", lambda *_: [""])

    blender.ops.wm.read_homefile(use_factory_startup=True)
    if not blender.context.window_manager.windows:
        pytest.skip("this Blender has no window")
    return walking


def test_a_walk_finds_the_button_that_is_there(walking):
    walking.check_button("add_head")


def test_a_button_that_is_not_there_ends_the_walk_with_its_name(walking):
    # An engine is named, so the sidebar does not offer to set one up.
    with pytest.raises(AssertionError, match=r"no button Set Up Engine \(set_up_engine\)"):
        walking.check_button("set_up_engine")


def test_a_grey_button_ends_the_walk(walking, monkeypatch):
    # Nothing was baked.
    monkeypatch.setattr(walking, "buttons", lambda: ["gaussianspeech.rebake"])
    with pytest.raises(AssertionError, match="is grey"):
        walking.check_button("rebake")


def test_an_editor_that_is_not_in_the_window_is_named(walking):
    with pytest.raises(AssertionError, match=r"no NLA_EDITOR; it has .*VIEW_3D"):
        walking.area("NLA_EDITOR")


@pytest.mark.parametrize("given", [[], ["--"], ["--", "one"], ["--", "1", "2", "3"]])
def test_a_walk_says_what_it_is_to_be_given(walking, monkeypatch, capsys, given):
    ended = []

    def end(code):
        ended.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(walking, "_end", end)
    monkeypatch.setattr("sys.argv", ["blender", *given])
    with pytest.raises(SystemExit):
        walking.arguments("VOICE.wav", "FOLDER")
    assert ended == [2]
    assert "Give VOICE.wav and FOLDER after --" in capsys.readouterr().err


def test_every_picture_of_the_manual_has_a_command_that_makes_it():
    text = (REPOSITORY / "CONTRIBUTING.md").read_text("utf-8")
    table = text.partition("## Pictures")[2].partition("\n## ")[0]
    rows = [line.split(" | ") for line in table.splitlines() if line.startswith("| `")]
    patterns = {name: row for row in rows for name in re.findall(r"`([^`]+)`", row[0])}
    pictures = [path.name for path in sorted((REPOSITORY / "docs/images").iterdir())]
    for picture in pictures:
        assert any(fnmatch(picture, pattern) for pattern in patterns), picture
    for pattern, row in patterns.items():
        assert any(fnmatch(picture, pattern) for picture in pictures), pattern
        for script in re.findall(r"`([^`]+\.py)`", row[1]):
            assert (REPOSITORY / script).is_file(), script


def test_the_guides_pictures_are_there_and_small():
    pictures = re.findall(r"!\[[^\]]+\]\((images/[^)]+)\)", GUIDE.read_text("utf-8"))
    assert len(pictures) > 10
    for picture in pictures:
        assert 0 < (GUIDE.parent / picture).stat().st_size < 200_000, picture
