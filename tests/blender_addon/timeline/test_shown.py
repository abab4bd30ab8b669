# SPDX-License-Identifier: GPL-3.0-or-later
"""Phones and words shown on Blender's timeline, with a prediction that is there; no engine."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.small_head import bake_line
from tests.blender_addon.timeline.shown_line import NAMES
from tests.counted_work import calls_of


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


def test_changing_from_strips_to_markers_takes_the_strips_away(blender, line, lie):
    blender.ops.gaussianspeech.show_words()
    line.timeline.markers = True
    blender.ops.gaussianspeech.show_words()
    assert not lie("word")
    assert [m.name for m in blender.context.scene.timeline_markers] == ["map", "hi", "…"]


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
    made = addon("speech.line_list").add_line(head, "long")
    made.source, made.start_frame = "FILE", 1
    still = np.zeros((2500, len(NAMES)))
    bake_line(blender, addon, head, NAMES, still, clip="long", phones=phones, words=words)
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


def test_looking_at_what_nobody_touched_is_a_few_calls(blender, addon, long_line):
    blender.ops.gaussianspeech.show_phones()
    watch = addon("speech.timeline.watch")
    for _ in range(2):
        watch.look(blender.context)
    assert calls_of(lambda: watch.look(blender.context)) < 100


def test_while_a_strip_is_dragged_no_strip_is_read(blender, addon, long_line, monkeypatch):
    blender.ops.gaussianspeech.show_phones()
    watch = addon("speech.timeline.watch")
    read, followed, lying = [], [], watch.lying
    monkeypatch.setattr(watch, "lying", lambda line: read.append(line.id) or lying(line))
    monkeypatch.setattr(watch, "_follow", lambda _context, line: followed.append(line.id))
    strips = addon("compat").strips(blender.context.scene.sequence_editor)
    strip = next(strip for strip in strips if strip.type == "TEXT")
    start = "content_start" if hasattr(strip, "content_start") else "frame_start"
    for _ in range(4):
        strip.channel += 1
        setattr(strip, start, getattr(strip, start) + 1)
        watch.look(blender.context)
    assert not read
    watch.look(blender.context)
    assert len(read) == len(followed) == 1


def test_the_sequencers_and_markers_menus_have_the_verbs(blender):
    for name in ("SEQUENCER_MT_strip", "SEQUENCER_MT_context_menu", "SEQUENCER_MT_add"):
        drawn = getattr(blender.types, name).draw._draw_funcs
        assert any("timeline.menus" in function.__module__ for function in drawn), name
    drawn = blender.types.DOPESHEET_MT_marker.draw._draw_funcs
    assert any("timeline.menus" in function.__module__ for function in drawn)
