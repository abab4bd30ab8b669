# SPDX-License-Identifier: GPL-3.0-or-later
"""In a narrow sidebar all texts of the tab can be read: none is longer than its place."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from tests.blender_addon.rig_faces import ARKIT, make_mesh, select
from tests.blender_addon.spoken_head import small_head

WIDTH = 213
"""Of the region with its tabs, at a scale of 1: Blender makes it hardly narrower."""
MARGINS, ICON, BUTTON, BOX = 56.0, 26.0, 6.0, 12.0
"""Units, as seen in a window: beside the rows of a panel with its tabs, of an icon with its gap, of
a button round its text, and of the frame of a box."""
LONG = "No file of a trained speech model for this head is chosen in the section Speech."


def width_of(text):
    """Units that a text takes in Blender's own font at its usual size."""
    import blf

    blf.size(0, 11.0)
    return blf.dimensions(0, text)[0]


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
        self.parts.append((text, width_of(text) + ICON * (icon != "NONE")))

    def operator(self, name, text=None, icon="NONE", **_how):
        if text is None:
            text = self.labels[name]
        width = width_of(text) + BUTTON * bool(text) + ICON * (icon != "NONE")
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


class Over:
    """Something, with other values for some of its attributes."""

    def __init__(self, inner, **values):
        self._inner = inner
        self.__dict__ |= values

    def __getattr__(self, name):
        return getattr(self._inner, name)


def narrow_context(blender):
    # Without a window the scale is 0, and there is no region.
    preferences = Over(blender.context.preferences, system=SimpleNamespace(ui_scale=1.0))
    region = SimpleNamespace(width=WIDTH)
    return Over(blender.context, preferences=preferences, region=region)


@pytest.fixture
def cut(blender, addon):
    """Texts of all panels of the tab that are cut off, by panel."""

    classes = addon("registration").CLASSES
    labels = {cls.bl_idname: cls.bl_label for cls in classes if "_OT_" in cls.__name__}

    def found():
        drawn, context = {}, narrow_context(blender)
        for cls in classes:
            if getattr(cls, "bl_category", "") != "GaussianSpeech" or "sequencer" in cls.__name__:
                continue
            if not getattr(cls, "poll", lambda _context: True)(context):
                continue
            layout = Layout(labels)
            cls.draw(SimpleNamespace(layout=layout), context)
            drawn[cls.__name__] = list(layout.cut(WIDTH - MARGINS))
        return {name: texts for name, texts in drawn.items() if texts}

    return found


@pytest.fixture
def head(blender):
    return small_head(blender, ("jawOpen", "browInnerUp"))


def test_without_anything(cut):
    assert cut() == {}


def test_without_an_engine(addon, monkeypatch, cut):
    monkeypatch.setattr(addon("setup.session"), "needed", lambda _context: True)
    assert cut() == {}


def test_of_what_was_done(blender, addon, cut):
    addon("status").set_message(blender.context, "The environment was made and is in place now")
    assert cut() == {}


def test_of_an_error(blender, head, addon, cut):
    status = addon("status")
    status.set_error(blender.context, status.BadInputError(LONG, "Choose it in Speech, Model."))
    assert cut() == {}


@pytest.mark.parametrize(
    ("name", "opens"),
    [("set_up", "GAUSSIANSPEECH_OT_open_set_up_log"), ("engine", "GAUSSIANSPEECH_OT_open_log")],
)
def test_of_a_failure_with_a_log(blender, head, addon, cut, monkeypatch, tmp_path, name, opens):
    status, runner, main = addon("status"), addon("setup.runner"), addon("panels.main")
    kind = runner.SetUpError if name == "set_up" else status.GaussianSpeechError
    path = "/home/someone/.config/blender/5.2/extensions/.user/user_default/gaussianspeech/x.log"
    status.set_error(blender.context, kind("It failed.", f"The whole log is {path}."))
    assert cut() == {}
    shown = blender.context.window_manager.gaussianspeech_status
    rows = addon("text").wrapped(narrow_context(blender), shown.hint)
    assert "".join(rows).replace(" ", "") == shown.hint.replace(" ", "")
    words = {word for part in shown.hint.split() for word in re.split(r"(?<=[/_])", part)}
    assert {word for row in rows for word in re.split(r"(?<=[/_])| ", row)} <= words | {""}
    log = tmp_path / "x.log"
    for session in ("setup.session", "engine_link.session"):
        monkeypatch.setattr(addon(session), "log_path", lambda: log)
    pressed = []
    layout = Layout({})
    layout.part = lambda *_: layout
    layout.operator = lambda found, **_how: pressed.append(found)
    for there in (False, True):
        if there:
            log.touch()
        pressed.clear()
        main.GAUSSIANSPEECH_PT_main.draw(SimpleNamespace(layout=layout), narrow_context(blender))
        assert (getattr(main, opens).bl_idname in pressed) == there


def test_of_a_line_that_is_out_of_date(head, addon, monkeypatch, cut):
    addon("speech.line_list").add_line(head, "A line with a rather long name")
    panel, action = addon("speech.panel"), SimpleNamespace(name="A line with a rather long name")
    monkeypatch.setattr(panel, "active_bake", lambda _obj: action)
    monkeypatch.setattr(panel, "out_of_date", lambda *_: "The strip plays more than was predicted")
    assert cut() == {}


def test_of_live_speech(head, addon, monkeypatch, cut):
    live = addon("speech.live")
    future = SimpleNamespace(poll=lambda: (0.0, "waiting for the engine"))
    monkeypatch.setattr(live, "_session", live.Session((SimpleNamespace(name=head.name),), future))
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


def test_why_the_engine_does_not_answer_is_wrapped_in_the_preferences(blender, addon, monkeypatch):
    ops, client = addon("engine_link.ops"), addon("engine_link.client")
    error = addon("status").GaussianSpeechError(LONG, "Its whole log is /home/someone/a/b.log.")
    engine = SimpleNamespace(state=client.State.GONE, hello=None, error=error)
    monkeypatch.setattr(ops.session, "current_engine", lambda: engine)
    layout = Layout({cls.bl_idname: "" for cls in ops.CLASSES})
    ops.draw_engine(layout, narrow_context(blender))
    _buttons, *columns = layout.parts[0].parts
    texts = [text for column in columns for text, _width in column.parts]
    assert "".join(texts).replace(" ", "") == f"{error.message}{error.hint}".replace(" ", "")
    assert [list(column.cut(WIDTH - MARGINS - BOX)) for column in columns] == [[], []]
