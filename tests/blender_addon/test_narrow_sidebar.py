# SPDX-License-Identifier: GPL-3.0-or-later
"""In a narrow sidebar all texts of the tab can be read: none is longer than its place."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.blender_addon.rig_faces import ARKIT, make_mesh, select
from tests.blender_addon.spoken_head import small_head

WIDTH = 213
"""Of the region with its tabs, at a scale of 1: Blender makes it hardly narrower."""
MARGINS, CHARACTER, ICON, BUTTON = 30.0, 6.5, 20.0, 6.0
"""Units: beside the rows of a panel, of a letter, of an icon, and of a button round its text."""
BOX = 10.0
LONG = "No file of a trained speech model for this head is chosen in the section Speech."


class Layout:
    """A layout that knows how wide its texts are, and its place: rows share it among their parts.

    Args:
        labels: of operators, by name.
        kind: ``"column"`` or ``"row"``.
        frame: units that its frame takes.
    """

    def __init__(self, labels, kind="column", frame=0.0):
        self.labels, self.kind, self.frame, self.parts = labels, kind, frame, []

    def part(self, kind, frame=0.0):
        self.parts.append(Layout(self.labels, kind, frame))
        return self.parts[-1]

    def row(self, **_how):
        return self.part("row")

    def column(self, **_how):
        return self.part("column")

    def split(self, **_how):
        return self.part("row")

    def box(self):
        return self.part("column", BOX)

    def label(self, text="", icon="NONE"):
        self.parts.append((text, len(text) * CHARACTER + ICON * (icon != "NONE")))

    def operator(self, name, text=None, icon="NONE", **_how):
        if text is None:
            text = self.labels[name]
        width = len(text) * CHARACTER + BUTTON * bool(text) + ICON * (icon != "NONE")
        self.parts.append((text, width))
        return SimpleNamespace()

    def menu(self, _name, text="", icon="NONE"):
        self.operator("", text, icon)

    def template_list(self, *_what, **_how):
        self.parts.append(("", 4 * ICON))

    def cut(self, width):
        """Texts that are wider than their place, in so many units."""
        width -= self.frame
        if self.kind == "column":
            places = [width] * len(self.parts)
        else:
            fixed = [isinstance(part, tuple) and not part[0] for part in self.parts]
            taken = sum(
                part[1] for part, is_fixed in zip(self.parts, fixed, strict=True) if is_fixed
            )
            each = (width - taken) / max(1, fixed.count(False))
            places = [part[1] if f else each for part, f in zip(self.parts, fixed, strict=True)]
        for part, place in zip(self.parts, places, strict=True):
            if isinstance(part, Layout):
                yield from part.cut(place)
            elif part[1] > place:
                yield part[0]

    def __getattr__(self, _name):
        # Blender cuts the names of properties as in its own panels.
        return lambda *_what, **_how: None


@pytest.fixture
def cut(blender, addon):
    """Texts of all panels of the tab that are cut off, by panel."""

    class Over:
        """Something, with other values for some of its attributes."""

        def __init__(self, inner, **values):
            self._inner = inner
            self.__dict__ |= values

        def __getattr__(self, name):
            return getattr(self._inner, name)

    def narrow():
        # Without a window the scale is 0, and there is no region.
        preferences = Over(blender.context.preferences, system=SimpleNamespace(ui_scale=1.0))
        region = SimpleNamespace(width=WIDTH)
        return Over(blender.context, preferences=preferences, region=region)

    classes = addon("registration").CLASSES
    labels = {cls.bl_idname: cls.bl_label for cls in classes if "_OT_" in cls.__name__}

    def found():
        drawn = {}
        for cls in classes:
            if getattr(cls, "bl_category", "") != "GaussianSpeech" or "sequencer" in cls.__name__:
                continue
            if not getattr(cls, "poll", lambda _context: True)(narrow()):
                continue
            layout = Layout(labels)
            cls.draw(SimpleNamespace(layout=layout), narrow())
            drawn[cls.__name__] = list(layout.cut(WIDTH - MARGINS))
        return {name: texts for name, texts in drawn.items() if texts}

    return found


@pytest.fixture
def head(blender):
    return small_head(blender, ("jawOpen", "browInnerUp"))


def test_without_anything(cut):
    assert cut() == {}


def test_of_an_error(blender, head, addon, cut):
    status = addon("status")
    status.set_error(blender.context, status.BadInputError(LONG, "Choose it in Speech, Model."))
    assert cut() == {}


def test_of_a_line_that_is_out_of_date(head, addon, monkeypatch, cut):
    addon("speech.line_list").add_line(head, "A line with a rather long name")
    panel, action = addon("speech.panel"), SimpleNamespace(name="A line with a rather long name")
    monkeypatch.setattr(panel, "active_bake", lambda _obj: action)
    monkeypatch.setattr(panel, "out_of_date", lambda *_: "The strip plays more than was predicted")
    assert cut() == {}


def test_of_live_speech(head, addon, monkeypatch, cut):
    live = addon("speech.live")
    future = SimpleNamespace(poll=lambda: (0.0, "waiting for the engine"))
    monkeypatch.setattr(live, "_session", live.Session(head.name, (), future))
    assert cut() == {}


def test_of_a_character(blender, cut):
    face = make_mesh(blender, "A Face with a Name", ARKIT)
    select(blender, face)
    assert cut() == {}
    blender.ops.gaussianspeech.use_character()
    assert cut() == {}


def test_of_an_avatar_and_of_ways_to_render_it(blender, head, addon, cut):
    head.gaussianspeech_avatar.source = "default"
    head.gaussianspeech_avatar.gaussians = 34928
    assert cut() == {}
    blender.context.scene.render.engine = "GAUSSIANSPEECH"
    assert cut() == {}


@pytest.mark.parametrize("kind", ["PERSON", "VIDEO", "AVATAR", "SPEECH", "JOINT", "CAPTURE"])
def test_of_a_training(blender, kind, cut):
    blender.context.scene.gaussianspeech_training.kind = kind
    assert cut() == {}


@pytest.mark.parametrize("kind", ["PERSON", "VIDEO", "AVATAR", "SPEECH", "JOINT"])
def test_a_training_says_what_it_lacks(blender, addon, kind):
    column, button = Layout({}), Layout({})
    settings = blender.context.scene.gaussianspeech_training
    settings.kind = kind
    panel = addon("jobs.new_panel")
    draw = getattr(panel, f"_draw_{kind.lower()}")
    labels = {
        cls.bl_idname: cls.bl_label
        for cls in addon("registration").CLASSES
        if "_OT_" in cls.__name__
    }
    button.labels = labels
    draw(column, button, blender.context, settings)
    assert button.enabled is False
    assert any("Choose" in str(part[0]) for part in column.parts if isinstance(part, tuple))
