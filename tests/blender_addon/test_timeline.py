# SPDX-License-Identifier: GPL-3.0-or-later
"""Phones, words and spans on Blender's timeline, with a prediction that is there; no engine."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.small_head import add_small_head
from tests.blender_addon.undo_steps import one_step

__all__ = ["one_step"]

NAMES = ("jawOpen", "mouthClose", "mouthSmileLeft", "eyeBlinkLeft")
UPPER, LOWER = 1, 0
OFFSETS = {
    "jawOpen": {LOWER: (0, 0, -0.03)},
    "mouthClose": {LOWER: (0, 0, 0.03)},
    "mouthSmileLeft": {UPPER: (0.002, 0, 0.005)},
    "eyeBlinkLeft": {},
}
PHONES = (
    ("SIL", 0.0, 0.2), ("M", 0.2, 0.3), ("AA", 0.3, 0.5), ("P", 0.5, 0.6), ("HH", 0.6, 0.7),
    ("AY", 0.7, 1.0), ("SIL", 1.0, 1.2),
)  # fmt: skip
WORDS = (("map", 0.2, 0.6), ("hi", 0.6, 1.0))
START = 11


@pytest.fixture
def head(blender):
    """Two lips and two vertices more, with four expressions."""
    return add_small_head(blender, {name: OFFSETS[name] for name in NAMES})


@pytest.fixture
def line(blender, addon, head):
    """A line of 1.2 s that speaks from frame 11, the mouth open throughout."""
    values = np.zeros((30, len(NAMES)), np.float32)
    values[:, 0] = 0.4
    values[:, 2] = 0.2
    prediction = addon("speech.prediction").Prediction(
        clip="voice",
        head="small",
        model="rules",
        fps=25.0,
        start=float(START),
        strip_start=None,
        expressions=NAMES,
        correctives=(),
        ranges=((0.0, 1.0),) * len(NAMES),
        values=values,
        lip_pairs=((UPPER,), (LOWER,)),
        phones=PHONES,
        words=WORDS,
        language="en",
    )
    made = addon("speech.line_list").add_line(head, "voice")
    made.source, made.start_frame = "FILE", START
    made.text = made.recognized_text = "map hi"
    made.ease = 0
    addon("speech.bake").bake(blender.context, made, prediction, np.zeros((0, 4, 3), np.float32))
    addon("engine_link.session").stop_engine()
    return made


@pytest.fixture
def strips(blender, addon):
    """Our text strips as {name of what they show: strip}, in order."""
    compat = addon("compat")

    def read(kind):
        editor = blender.context.scene.sequence_editor
        every = compat.strips(editor) if editor else ()
        found = [s for s in every if str(s.get("gaussianspeech_mark", "")).startswith(kind)]
        return sorted(found, key=compat.strip_range)

    return read


@pytest.fixture
def lie(addon, strips):
    """(text, first frame, frame after the last) of what lies on the timeline."""
    compat = addon("compat")
    return lambda kind: [(s.text, *compat.strip_range(s)) for s in strips(kind)]


@pytest.fixture
def set_range(addon):
    """Move the edges of a strip as a drag does."""

    def put(strip, first=None, last=None):
        left, right = ("left_handle", "right_handle")
        if not hasattr(strip, left):
            left, right = ("frame_final_start", "frame_final_end")
        if last is not None and last > getattr(strip, left):
            setattr(strip, right, last)
            last = None
        if first is not None:
            setattr(strip, left, first)
        if last is not None:
            setattr(strip, right, last)

    return put


@pytest.fixture
def take_in(blender, addon, line):
    def take():
        return addon("speech.timeline.shown").take_in(blender.context, line)

    return take


@pytest.fixture
def timing(addon, line):
    def read():
        known = addon("speech.timeline.shown").line_timing(line)
        return [
            [(text, round(start, 3), round(end, 3)) for text, start, end in timed]
            for timed in known
        ]

    return read


def played(blender, head, frame):
    """Values of the keys at a frame, and the metres between the lips."""
    blender.context.scene.frame_set(frame)
    keys = head.data.shape_keys.key_blocks
    values = {name: keys[name].value for name in NAMES}
    gap = sum(
        value * (keys[name].points[UPPER].co.z - keys[name].points[LOWER].co.z)
        for name, value in values.items()
    )
    return values, gap


def test_words_and_phones_are_shown_where_they_are_spoken(blender, line, lie, strips):
    assert blender.ops.gaussianspeech.show_words() == {"FINISHED"}
    assert lie("word") == [("map", 16, 26), ("hi", 26, 36)]
    assert not lie("phone")
    blender.ops.gaussianspeech.show_phones()
    # 0.3 s are 7.5 frames: edges lie on whole frames, and half ones on the even.
    assert lie("phone") == [
        ("M", 16, 18), ("AA", 18, 24), ("P", 24, 26), ("HH", 26, 28), ("AY", 28, 36),
    ]  # fmt: skip
    assert all(strip.mute for kind in ("word", "phone") for strip in strips(kind))
    channels = [{strip.channel for strip in strips(kind)} for kind in ("word", "phone")]
    assert not channels[0] & channels[1]


def test_they_keep_clear_of_what_lies_there(blender, addon, line, strips):
    editor = blender.context.scene.sequence_editor_create()
    other = addon("compat").new_text_strip(editor, "title", "title", 3, (1, 60))
    blender.ops.gaussianspeech.show_words()
    assert strips("word")[0].channel > 3
    blender.ops.gaussianspeech.hide_timeline()
    assert list(addon("compat").strips(editor)) == [other]


def test_hiding_leaves_nothing_and_changes_nothing(blender, line, lie, timing):
    before = timing()
    blender.ops.gaussianspeech.show_words()
    blender.ops.gaussianspeech.show_phones()
    blender.ops.gaussianspeech.hide_timeline()
    assert not lie("word")
    assert not lie("phone")
    assert timing() == before
    assert not line.timeline.shown


def test_what_nobody_touched_is_no_change(blender, addon, line, take_in):
    blender.ops.gaussianspeech.show_words()
    blender.ops.gaussianspeech.show_phones()
    assert not addon("speech.timeline.shown").is_changed(blender.context, line)
    assert take_in() == (False, False)
    assert not line.timeline.timing
    assert not addon("speech.lines").out_of_date(blender.context, line)


def test_a_trimmed_phone_takes_its_neighbour_along(
    blender, addon, line, strips, lie, set_range, take_in, timing
):
    blender.ops.gaussianspeech.show_phones()
    phone = strips("phone")[1]
    channel = phone.channel
    set_range(phone, last=22)
    assert addon("speech.timeline.shown").is_changed(blender.context, line)
    assert take_in() == (True, False)
    phones, words = timing()
    assert phones[1:3] == [("AA", 0.3, 0.44), ("P", 0.44, 0.6)]
    assert words == [("map", 0.2, 0.6), ("hi", 0.6, 1.0)]
    # What was not moved keeps its exact time, and the neighbour's strip has followed.
    assert phones[0] == ("M", 0.2, 0.3)
    assert lie("phone")[1:3] == [("AA", 18, 22), ("P", 22, 26)]
    assert strips("phone")[1].channel == channel
    assert addon("speech.lines").out_of_date(blender.context, line) == (
        "Where its phones are was changed"
    )
    assert take_in() == (False, False)


def test_a_dragged_word_takes_its_phones_along(
    blender, line, strips, lie, set_range, take_in, timing
):
    blender.ops.gaussianspeech.show_words()
    blender.ops.gaussianspeech.show_phones()
    set_range(strips("word")[1], 29, 39)
    take_in()
    assert lie("phone")[3:] == [("HH", 29, 32), ("AY", 32, 39)]
    assert timing()[1] == [("map", 0.2, 0.6), ("hi", 0.72, 1.12)]


def test_a_typed_phone_and_word_change_what_is_said(blender, line, strips, take_in, timing):
    blender.ops.gaussianspeech.show_phones()
    strips("phone")[0].text = "B"
    take_in()
    assert timing()[0][0] == ("B", 0.2, 0.3)
    blender.ops.gaussianspeech.show_words()
    strips("word")[1].text = "bye"
    take_in()
    phones, words = timing()
    assert [label for label, *_ in phones] == ["B", "AA", "P"]
    assert words[1] == ("bye", 0.6, 1.0)


def test_a_deleted_phone_gives_its_time_away(blender, addon, line, strips, lie, take_in, timing):
    blender.ops.gaussianspeech.show_phones()
    editor = blender.context.scene.sequence_editor
    addon("compat").strips(editor).remove(strips("phone")[2])
    take_in()
    assert timing()[0][1:3] == [("AA", 0.3, 0.55), ("HH", 0.55, 0.7)]
    assert [text for text, *_ in lie("phone")] == ["M", "AA", "HH", "AY"]


def test_a_strip_cut_in_two_is_two_phones(blender, addon, line, strips, set_range, take_in, timing):
    blender.ops.gaussianspeech.show_phones()
    phone = strips("phone")[4]
    set_range(phone, last=32)
    editor = blender.context.scene.sequence_editor
    half = addon("compat").new_text_strip(editor, "half", phone.text, phone.channel, (32, 36))
    for name in ("gaussianspeech_line", "gaussianspeech_mark"):
        half[name] = phone[name]
    take_in()
    assert timing()[0][4:] == [("AY", 0.7, 0.84), ("AY", 0.84, 1.0)]


def test_deleting_all_strips_hides_them(blender, addon, line, strips, take_in, timing):
    before = timing()
    blender.ops.gaussianspeech.show_words()
    editor = blender.context.scene.sequence_editor
    for strip in strips("word"):
        addon("compat").strips(editor).remove(strip)
    assert take_in() == (False, False)
    assert timing() == before
    assert not line.timeline.shown


@pytest.mark.parametrize(
    ("number", "first", "last", "named"),
    [
        (0, 60, 70, "'map' lies outside"),
        (0, -20, -10, "'map' lies outside"),
        (0, 16, 40, "Nothing is left of the word 'hi'"),
    ],
)
def test_what_cannot_be_spoken_is_named_and_left_as_it_lies(
    blender, addon, line, strips, lie, set_range, take_in, timing, number, first, last, named
):
    before = timing()
    blender.ops.gaussianspeech.show_words()
    strip = strips("word")[number]
    set_range(strip, first, last)
    errors = addon("speech.timeline.shown").BadInputError
    with pytest.raises(errors, match=named) as caught:
        take_in()
    assert caught.value.hint
    assert (strip.text, first, last) in lie("word")
    assert timing() == before


def test_moving_the_sound_moves_what_is_shown(blender, line, lie, take_in, timing):
    before = timing()
    blender.ops.gaussianspeech.show_words()
    line.start_frame = START + 10
    assert take_in() == (False, False)
    assert lie("word") == [("map", 26, 36), ("hi", 36, 46)]
    blender.context.scene.render.fps = 50
    assert take_in() == (False, False)
    assert lie("word") == [("map", 31, 51), ("hi", 51, 71)]
    assert timing() == before


def test_moving_the_sound_with_what_is_shown_is_no_edit(
    blender, line, strips, lie, set_range, take_in, timing
):
    before = timing()
    blender.ops.gaussianspeech.show_words()
    line.start_frame = START + 10
    for strip, first in zip(reversed(strips("word")), (36, 26), strict=True):
        set_range(strip, first, first + 10)
    assert take_in() == (False, False)
    assert lie("word") == [("map", 26, 36), ("hi", 36, 46)]
    assert timing() == before


def test_as_markers_boundaries_are_dragged(blender, line, lie, take_in, timing):
    line.timeline.markers = True
    own = blender.context.scene.timeline_markers.new("mine", frame=3)
    blender.ops.gaussianspeech.show_words()
    blender.ops.gaussianspeech.show_phones()
    markers = blender.context.scene.timeline_markers
    named = [(marker.name, marker.frame) for marker in markers]
    assert named == [
        ("mine", 3), ("map", 16), ("hi", 26), ("…", 36),
        ("/M/", 16), ("/AA/", 18), ("/P/", 24), ("/HH/", 26), ("/AY/", 28), ("//", 36),
    ]  # fmt: skip
    assert not lie("word")
    assert take_in() == (False, False)
    markers["/P/"].frame = 22
    assert take_in() == (True, False)
    assert timing()[0][1:3] == [("AA", 0.3, 0.44), ("P", 0.44, 0.6)]
    markers["/M/"].name = "B"
    take_in()
    assert timing()[0][0] == ("B", 0.2, 0.3)
    assert markers.get("/B/") is not None
    markers.remove(markers["/HH/"])
    take_in()
    assert [label for label, *_ in timing()[0]] == ["B", "AA", "P", "AY"]
    blender.ops.gaussianspeech.hide_timeline()
    assert [(m.name, m.frame) for m in blender.context.scene.timeline_markers] == [("mine", 3)]
    assert own.name == "mine"


def test_changing_from_strips_to_markers_takes_the_strips_away(blender, line, lie):
    blender.ops.gaussianspeech.show_words()
    line.timeline.markers = True
    blender.ops.gaussianspeech.show_words()
    assert not lie("word")
    assert [m.name for m in blender.context.scene.timeline_markers] == ["map", "hi", "…"]


def test_the_lips_are_held_closed_at_the_playhead_and_nowhere_else(blender, head, line, lie):
    blender.context.scene.frame_set(20)
    assert blender.ops.gaussianspeech.hold_closed(duration=0.24) == {"FINISHED"}
    assert lie("span") == [("Hold Closed", 20, 26)]
    for frame in range(20, 27):
        values, gap = played(blender, head, frame)
        assert abs(gap) < 1e-5
        assert values["mouthSmileLeft"] == pytest.approx(0.2, abs=1e-4)
    for frame in (12, 16, 30, 38):
        assert played(blender, head, frame)[1] > 0.012


def test_the_lips_are_held_closed_over_selected_words(blender, head, line, strips, lie):
    blender.ops.gaussianspeech.show_words()
    strips("word")[1].select = True
    blender.ops.gaussianspeech.hold_closed()
    assert lie("span") == [("Hold Closed", 26, 36)]
    assert abs(played(blender, head, 30)[1]) < 1e-5


def test_a_hold_is_trimmed_and_deleted_on_the_timeline(
    blender, addon, head, line, strips, set_range, take_in
):
    blender.context.scene.frame_set(20)
    blender.ops.gaussianspeech.hold_closed(duration=0.4)
    set_range(strips("span")[0], last=24)
    assert take_in() == (False, True)
    blender.ops.gaussianspeech.rebake()
    assert abs(played(blender, head, 23)[1]) < 1e-5
    assert played(blender, head, 28)[1] > 0.012
    blender.ops.gaussianspeech.remove_span(index=0)
    assert not strips("span")
    assert played(blender, head, 22)[1] == pytest.approx(0.013, abs=1e-4)


def test_a_phrase_is_spoken_with_its_own_strength(blender, head, line, strips, lie, take_in):
    blender.context.scene.frame_set(30)
    assert blender.ops.gaussianspeech.phrase_strength(amount=0.5) == {"FINISHED"}
    assert lie("span") == [("Strength 0.50", 26, 36)]
    assert played(blender, head, 31)[0]["jawOpen"] == pytest.approx(0.2, abs=1e-3)
    assert played(blender, head, 14)[0]["jawOpen"] == pytest.approx(0.4, abs=1e-3)
    line.timeline.spans[0].amount = 1.5
    assert played(blender, head, 31)[0]["jawOpen"] == pytest.approx(0.6, abs=1e-3)
    assert lie("span") == [("Strength 1.50", 26, 36)]
    strips("span")[0].text = "Strength 0.25"
    assert take_in() == (False, True)
    blender.ops.gaussianspeech.rebake()
    assert played(blender, head, 31)[0]["jawOpen"] == pytest.approx(0.1, abs=1e-3)
    strips("span")[0].text = "Strength strong"
    with pytest.raises(Exception, match="no strength of a phrase"):
        take_in()


def test_a_strength_needs_a_word(blender, line):
    blender.context.scene.frame_set(3)
    with pytest.raises(RuntimeError, match="no word at frame 3"):
        blender.ops.gaussianspeech.phrase_strength()
    assert not line.timeline.spans


def test_a_copy_of_a_line_has_its_spans_and_shows_nothing(blender, head, line, lie):
    blender.context.scene.frame_set(20)
    blender.ops.gaussianspeech.hold_closed()
    blender.ops.gaussianspeech.duplicate_line()
    copy = head.gaussianspeech_lines[-1]
    assert [span.kind for span in copy.timeline.spans] == ["HOLD_CLOSED"]
    assert not copy.timeline.shown
    blender.ops.gaussianspeech.rebake()
    assert abs(played(blender, head, 21)[1]) < 1e-5


def test_removing_a_line_takes_its_strips_away(blender, line, lie):
    blender.ops.gaussianspeech.show_words()
    blender.ops.gaussianspeech.remove_line()
    assert not lie("word")


def test_what_is_shown_is_saved_with_the_file(blender, addon, line, lie, tmp_path):
    blender.ops.gaussianspeech.show_words()
    path = str(tmp_path / "shown.blend")
    blender.ops.wm.save_as_mainfile(filepath=path)
    blender.ops.wm.open_mainfile(filepath=path)
    assert lie("word") == [("map", 16, 26), ("hi", 26, 36)]
    (again,) = blender.data.objects["Small"].gaussianspeech_lines
    assert not addon("speech.timeline.shown").is_changed(blender.context, again)


def test_text_strips_do_not_change_what_is_rendered(blender, addon, line, tmp_path):
    blender.ops.mesh.primitive_cube_add()
    scene = blender.context.scene
    camera = blender.data.objects.new("Camera", blender.data.cameras.new("Camera"))
    scene.collection.objects.link(camera)
    camera.location, camera.rotation_euler = (0, -6, 0), (1.5708, 0, 0)
    scene.camera = camera
    scene.render.engine, scene.cycles.samples = "CYCLES", 1
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.render.film_transparent = True

    def rendered(name):
        scene.render.filepath = str(tmp_path / name)
        blender.ops.render.render(write_still=True)
        pixels = np.array(blender.data.images.load(scene.render.filepath).pixels)
        return pixels.reshape(-1, 4)

    before = rendered("before.png")
    assert before[:, 3].mean() > 0.1
    blender.context.view_layer.objects.active = blender.data.objects["Small"]
    blender.ops.gaussianspeech.show_words()
    scene.frame_set(20)
    np.testing.assert_allclose(rendered("after.png"), before, atol=0.02)
    assert scene.render.use_sequencer


def test_operators_say_what_they_need(blender, addon, head):
    operators = blender.ops.gaussianspeech
    assert not operators.show_words.poll()
    with pytest.raises(RuntimeError, match="head or character that has lines"):
        operators.show_phones()
    addon("speech.line_list").add_line(head, "empty")
    with pytest.raises(RuntimeError, match="Predict and bake the line first"):
        operators.hold_closed()


@pytest.fixture
def long_line(blender, addon, head):
    """A line of 100 s with 1000 phones and 250 words."""
    phones = tuple(("AA" if i % 2 else "M", 0.1 * i, 0.1 * i + 0.1) for i in range(1000))
    words = tuple((f"w{i}", 0.4 * i, 0.4 * i + 0.4) for i in range(250))
    prediction = addon("speech.prediction").Prediction(
        clip="long",
        head="small",
        model="rules",
        fps=25.0,
        start=1.0,
        strip_start=None,
        expressions=NAMES,
        correctives=(),
        ranges=((0.0, 1.0),) * len(NAMES),
        values=np.zeros((2500, len(NAMES)), np.float32),
        phones=phones,
        words=words,
    )
    made = addon("speech.line_list").add_line(head, "long")
    made.source, made.start_frame = "FILE", 1
    addon("speech.bake").bake(blender.context, made, prediction, np.zeros((0, 4, 3), np.float32))
    return made


def test_of_a_long_line_what_is_about_the_playhead_is_shown_and_changes_alone(
    blender, addon, long_line, strips, lie, set_range
):
    blender.context.scene.frame_set(1251)
    blender.ops.gaussianspeech.show_phones()
    shown = lie("phone")
    assert len(shown) == 300
    assert shown[0][1] < 1251 - 300
    assert shown[-1][2] > 1251 + 300
    set_range(strips("phone")[100], last=shown[100][2] + 1)
    assert addon("speech.timeline.shown").take_in(blender.context, long_line) == (True, False)
    now = addon("speech.timeline.shown").line_timing(long_line)
    assert len(now.phones) == 1000
    changed = [i for i, p in enumerate(now.phones) if abs(p.end - (0.1 * i + 0.1)) > 1e-6]
    assert len(changed) == 1
    blender.context.scene.frame_set(1)
    blender.ops.gaussianspeech.show_phones()
    assert lie("phone")[0][1] == 1
    assert len(now.phones) == 1000


def test_looking_at_what_nobody_touched_takes_no_time(blender, addon, long_line):
    import time

    blender.ops.gaussianspeech.show_phones()
    watch = addon("speech.timeline.watch")
    watch.look(blender.context)
    times = []
    for _ in range(20):
        started = time.perf_counter()
        watch.look(blender.context)
        times.append(time.perf_counter() - started)
    assert min(times) < 0.005


def test_the_sequencers_and_markers_menus_have_the_verbs(blender):
    for name in ("SEQUENCER_MT_strip", "SEQUENCER_MT_context_menu", "SEQUENCER_MT_add"):
        drawn = getattr(blender.types, name).draw._draw_funcs
        assert any("timeline.menus" in function.__module__ for function in drawn), name
    drawn = blender.types.DOPESHEET_MT_marker.draw._draw_funcs
    assert any("timeline.menus" in function.__module__ for function in drawn)


def test_what_is_held_and_shown_is_undone_by_one_step_each(blender, line, one_step):
    operators = blender.ops.gaussianspeech
    blender.context.scene.frame_set(18)
    one_step(operators.hold_closed, duration=0.2)
    one_step(operators.phrase_strength, amount=0.5)
    one_step(operators.show_words)
    one_step(operators.show_phones)
    one_step(operators.hide_timeline)
