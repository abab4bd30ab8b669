# SPDX-License-Identifier: GPL-3.0-or-later
"""The mouth follows the timeline, with the real engine, and nothing is recognised again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.blender_addon.speaking import action_of, line_of

VOICE = Path(__file__).resolve().parents[3] / "engine" / "assets" / "sample_voice.wav"
TEXT = "Lend me your voice, and I will move my mouth, from a soft whisper to a proper boom."


@pytest.fixture
def head(engine_ready, predict):
    """A default head that speaks the sample voice at 24 frames per second from frame 1."""
    bpy = engine_ready
    bpy.ops.gaussianspeech.add_head()
    bpy.context.scene.render.fps = 24
    bpy.context.scene.render.fps_base = 1.0
    bpy.context.scene.frame_set(1)
    bpy.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    obj = bpy.context.object
    line_of(obj).text = TEXT
    predict()
    return obj


@pytest.fixture
def sent(addon, monkeypatch):
    """The parameters of each prediction that is asked for."""
    seen = []
    request = addon("engine_link.client").EngineClient.request

    def watched(self, method, params, *rest, **more):
        if method == "speech.predict":
            seen.append(params)
        return request(self, method, params, *rest, **more)

    monkeypatch.setattr(addon("engine_link.client").EngineClient, "request", watched)
    return seen


@pytest.fixture
def strip_at(engine_ready, addon):
    """The strip of a phone or word by its text, the n-th of that."""
    compat = addon("compat")

    def find(kind, text, n=0):
        every = compat.strips(engine_ready.context.scene.sequence_editor)
        found = [
            strip
            for strip in every
            if strip.get("gaussianspeech_mark", "").startswith(kind) and strip.text == text
        ]
        return sorted(found, key=compat.strip_range)[n]

    return find


def set_last(strip, frame):
    setattr(strip, "right_handle" if hasattr(strip, "right_handle") else "frame_final_end", frame)


def prediction(addon, head):
    return addon("speech.action").read_prediction(action_of(head))


def test_a_moved_phone_moves_the_mouth_and_nothing_is_recognised(
    engine_ready, addon, head, sent, strip_at
):
    operators = engine_ready.ops.gaussianspeech
    before = prediction(addon, head)
    operators.show_phones()
    strip = strip_at("phone", "EH")
    last = addon("compat").strip_range(strip)[1]
    set_last(strip, last + 2)
    assert operators.update_line() == {"FINISHED"}
    assert "text" not in sent[-1]
    assert sent[-1]["phones"][0][0] == "L"
    after = prediction(addon, head)
    spoken = [phone for phone in after.phones if phone[0] != "SIL"]
    assert [label for label, *_ in spoken] == [p[0] for p in before.phones if p[0] != "SIL"]
    assert spoken[1][2] == pytest.approx((last + 2 - 1) / 24, abs=1e-4)
    assert spoken[2][1] == spoken[1][2]
    assert after.words == before.words
    assert np.abs(after.values - before.values).max() > 0.02
    line = line_of(head)
    assert not addon("speech.lines").out_of_date(engine_ready.context, line)
    assert not addon("speech.timeline.shown").is_changed(engine_ready.context, line)
    assert line.text == TEXT
    # Nothing was done since: nothing changes, and the engine is not asked.
    asked = len(sent)
    operators.update_line()
    assert len(sent) == asked


def test_the_lips_close_where_a_word_was_trimmed_to(engine_ready, addon, head, strip_at):
    before = prediction(addon, head)
    m = next(phone for phone in before.phones if phone[0] == "M")
    close = before.names.index("mouthClose")
    engine_ready.ops.gaussianspeech.show_words()
    word = strip_at("word", "me")
    set_last(word, addon("compat").strip_range(word)[1] + 2)
    engine_ready.ops.gaussianspeech.update_line()
    after = prediction(addon, head)
    moved = next(phone for phone in after.phones if phone[0] == "M")
    assert moved[1] == pytest.approx(m[1], abs=1e-6)
    assert moved[2] > m[2] + 0.01
    shut = [round((phone[1] + phone[2]) / 2 * 24) for phone in (m, moved)]
    for found, frame in zip((before, after), shut, strict=True):
        assert found.values[frame, close] > 0.5 * found.values[frame, 0]
    assert after.words[1][2] == pytest.approx(before.words[1][2] + 2 / 24, abs=0.03)


def test_a_typed_word_is_pronounced_and_becomes_the_text(engine_ready, addon, head, strip_at):
    engine_ready.ops.gaussianspeech.show_words()
    strip_at("word", "whisper").text = "banana"
    engine_ready.ops.gaussianspeech.update_line()
    found = prediction(addon, head)
    text, start, end = next(word for word in found.words if word[0] == "banana")
    inside = [p[0] for p in found.phones if start <= (p[1] + p[2]) / 2 < end]
    assert inside == ["B", "AH", "N", "AE", "N", "AH"]
    assert line_of(head).text == TEXT.replace("whisper", text)
    assert not addon("speech.lines").out_of_date(engine_ready.context, line_of(head))


def test_ipa_becomes_the_sound_that_it_is(engine_ready, addon, head, strip_at):
    engine_ready.ops.gaussianspeech.show_phones()
    strip_at("phone", "S").text = "ʃ"
    engine_ready.ops.gaussianspeech.update_line()
    assert strip_at("phone", "SH") is not None


def test_an_unknown_sound_is_named_and_the_line_stays(engine_ready, addon, head, strip_at):
    before = prediction(addon, head)
    engine_ready.ops.gaussianspeech.show_phones()
    strip = strip_at("phone", "EH")
    strip.text = "x9"
    with pytest.raises(RuntimeError, match="there is no phone 'x9'"):
        engine_ready.ops.gaussianspeech.update_line()
    assert prediction(addon, head).phones == before.phones
    strip_at("phone", "x9").text = "EH"
    assert engine_ready.ops.gaussianspeech.update_line() == {"FINISHED"}
    assert prediction(addon, head).phones == before.phones


def test_recognising_again_forgets_what_was_moved(engine_ready, addon, head, sent, strip_at):
    before = prediction(addon, head)
    engine_ready.ops.gaussianspeech.show_phones()
    strip = strip_at("phone", "EH")
    set_last(strip, addon("compat").strip_range(strip)[1] + 2)
    engine_ready.ops.gaussianspeech.update_line()
    assert prediction(addon, head).phones != before.phones
    assert engine_ready.ops.gaussianspeech.recognize_again() == {"FINISHED"}
    assert sent[-1]["text"] == TEXT
    assert prediction(addon, head).phones == before.phones
    assert not line_of(head).timeline.timing
    last = addon("compat").strip_range(strip_at("phone", "EH"))[1]
    assert last == round(1 + 24 * next(p for p in before.phones if p[0] == "EH")[2])


def test_a_new_text_outdoes_moved_phones(engine_ready, addon, head, sent, strip_at):
    engine_ready.ops.gaussianspeech.show_phones()
    strip = strip_at("phone", "EH")
    set_last(strip, addon("compat").strip_range(strip)[1] + 2)
    engine_ready.ops.gaussianspeech.update_line()
    line_of(head).text = "Lend me your voice."
    engine_ready.ops.gaussianspeech.update_line()
    assert sent[-1]["text"] == "Lend me your voice."
    assert not line_of(head).timeline.timing


def test_the_timer_follows_once_the_strips_rest(engine_ready, addon, head, strip_at):
    watch = addon("speech.timeline.watch")
    engine_ready.ops.gaussianspeech.show_phones()
    before = prediction(addon, head)
    watch.look(engine_ready.context)
    strip = strip_at("phone", "EH")
    set_last(strip, addon("compat").strip_range(strip)[1] + 2)
    watch.look(engine_ready.context)
    assert prediction(addon, head).phones == before.phones
    watch.look(engine_ready.context)
    assert prediction(addon, head).phones != before.phones
    moved = prediction(addon, head)
    watch.look(engine_ready.context)
    watch.look(engine_ready.context)
    assert prediction(addon, head).phones == moved.phones


def test_the_timer_names_what_cannot_be_once(engine_ready, addon, head, strip_at):
    watch = addon("speech.timeline.watch")
    status = engine_ready.context.window_manager.gaussianspeech_status
    engine_ready.ops.gaussianspeech.show_words()
    set_last(strip_at("word", "me"), 200)
    for _ in range(2):
        watch.look(engine_ready.context)
    assert status.is_error
    assert "Nothing is left of the word 'your'" in status.message
    status.message, status.is_error = "", False
    for _ in range(3):
        watch.look(engine_ready.context)
    assert not status.message


def test_selected_sound_strips_become_lines_that_speak(engine_ready, addon):
    if not addon("compat").has_audio():
        pytest.skip("this Blender has no sound system")
    bpy = engine_ready
    bpy.ops.gaussianspeech.add_head()
    obj = bpy.context.object
    scene = addon("compat").sequencer_scene(bpy.context)
    strips = [addon("speech.strip").add_sound_strip(scene, VOICE, frame) for frame in (1, 200)]
    strips[0].select, strips[1].select = True, False
    assert bpy.ops.gaussianspeech.speak_strip() == {"FINISHED"}
    assert [line.strip for line in obj.gaussianspeech_lines] == [strips[0].name]
    assert action_of(obj) is not None
    strips[1].select = True
    assert bpy.ops.gaussianspeech.speak_strip() == {"FINISHED"}
    assert [line.strip for line in obj.gaussianspeech_lines] == [strip.name for strip in strips]
    for strip in strips:
        strip.select = False
    assert not bpy.ops.gaussianspeech.speak_strip.poll()


def test_moved_phones_stay_when_the_strip_is_trimmed_and_shown_again(
    engine_ready, addon, head, sent, strip_at
):
    if not addon("compat").has_audio():
        pytest.skip("this Blender has no sound system")
    engine_ready.ops.gaussianspeech.show_phones()
    set_last(strip_at("phone", "EH"), addon("compat").strip_range(strip_at("phone", "EH"))[1] + 1)
    engine_ready.ops.gaussianspeech.update_line()
    moved = prediction(addon, head).phones
    scene = addon("compat").sequencer_scene(engine_ready.context)
    (sound,) = [s for s in addon("compat").strips(scene.sequence_editor) if s.type == "SOUND"]
    first, last = addon("compat").strip_range(sound)
    set_last(sound, last - 48)
    engine_ready.ops.gaussianspeech.predict()
    assert "phones" in sent[-1]
    set_last(sound, last)
    engine_ready.ops.gaussianspeech.predict()
    again = prediction(addon, head).phones
    kept = [p for p in moved if p[0] != "SIL" and p[2] < (last - 48 - first) / 24]
    np.testing.assert_allclose(
        [p[1:] for p in again if p[0] != "SIL"][: len(kept)], [p[1:] for p in kept], atol=1e-4
    )
    assert [p[0] for p in again if p[0] != "SIL"] == [p[0] for p in moved if p[0] != "SIL"]


def test_held_lips_touch_on_the_mesh_that_blender_draws(engine_ready, addon, head):
    bpy = engine_ready
    scene = bpy.context.scene
    voice = next(phone for phone in prediction(addon, head).phones if phone[0] == "OY")
    start = round(1 + 24 * voice[1])
    upper, lower = map(list, prediction(addon, head).lip_pairs)

    def gap(frame):
        """Millimetres of the widest pair of the inner lips."""
        scene.frame_set(frame)
        evaluated = head.evaluated_get(bpy.context.evaluated_depsgraph_get())
        points = np.empty(3 * len(evaluated.data.vertices), np.float32)
        evaluated.data.vertices.foreach_get("co", points)
        height = points.reshape(-1, 3)[:, 2]
        return 1000 * (height[upper] - height[lower]).max()

    assert gap(start + 3) > 2
    scene.frame_set(start)
    bpy.ops.gaussianspeech.hold_closed(duration=0.25)
    assert max(abs(gap(frame)) for frame in range(start, start + 7)) < 0.02
