# SPDX-License-Identifier: GPL-3.0-or-later
"""Which stretch of which file a strip plays, and on which frame it begins."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from tests.blender_addon.ramp_sound import RATE, SECONDS, seconds_played, trim
from tests.blender_addon.speaking import line_of

FPS = 25


@pytest.fixture
def strip(audible, addon, ramp):
    """The ramp from frame 11 on, at 25 frames per second."""
    audible.context.scene.render.fps = FPS
    return addon("speech.strip").add_sound_strip(audible.context.scene, ramp, 11)


@pytest.fixture
def clip(audible, addon):
    """The clip of a strip."""

    def clip(strip):
        return addon("speech.sound").clip_of_strip(audible.context.scene, strip)

    return clip


def put_into_meta(strip, left, right):
    """Put a strip into a meta strip that plays the frames [left, right) alone."""
    editor = strip.id_data.sequence_editor
    listed = editor.strips if hasattr(editor, "strips") else editor.sequences
    made = listed.new_meta("Meta", 9, 1)
    strip.move_to_meta(made)
    trim(made, 1, right)  # It was made a frame long, and no handle passes the other.
    trim(made, left, right)


def trim_content(strip, frames):
    name = (
        "content_trim_start" if hasattr(strip, "content_trim_start") else "animation_offset_start"
    )
    setattr(strip, name, frames)


def test_an_untouched_strip_is_its_whole_file(strip, clip, ramp):
    found = clip(strip)
    assert (found.path, found.start, found.duration, found.frame) == (ramp, 0, None, 11)
    assert found.name == "ramp"
    assert found.fps == FPS
    assert not found.temporary


def test_a_trim_on_the_left_starts_later_in_file_and_scene(addon, strip, clip):
    trim(strip, 36, 111)
    found = clip(strip)
    assert found.frame == 36
    assert found.start == pytest.approx(1.0)
    assert found.duration is None


def test_a_trim_on_the_right_limits_the_duration(addon, strip, clip):
    trim(strip, 11, 61)
    found = clip(strip)
    assert found.start == 0
    assert found.duration == pytest.approx(2.0)


def test_a_moved_strip_moves_the_animation_alone(audible, addon, strip, clip):
    name = "content_start" if hasattr(strip, "content_start") else "frame_start"
    setattr(strip, name, 101)
    found = clip(strip)
    assert (found.frame, found.start) == (101, 0)


def test_in_a_meta_strip_that_is_trimmed_a_strip_plays_what_that_leaves(strip, clip):
    put_into_meta(strip, 36, 61)
    found = clip(strip)
    assert (found.frame, found.start, found.duration) == (36, 1.0, 1.0)


def test_a_strip_that_a_meta_strip_hides_is_refused_with_a_remedy(addon, strip, clip):
    put_into_meta(strip, 200, 300)
    with pytest.raises(Exception, match="'ramp' plays none of its sound") as error:
        clip(strip)
    assert "meta strip" in error.value.hint


def test_a_strip_that_begins_before_its_sound_waits_for_it(strip, clip):
    strip.sound_offset = 0.5
    found = clip(strip)
    assert found.frame == 11 + 13  # 12.5 frames of silence.
    assert found.start == pytest.approx(0.5 / FPS)


@pytest.mark.parametrize(
    "change",
    [
        lambda addon, strip: None,
        lambda addon, strip: trim(strip, 36, 111),
        lambda addon, strip: trim_content(strip, 20),
        lambda addon, strip: (trim_content(strip, 10), trim(strip, 40, 90)),
        lambda addon, strip: setattr(strip, "sound_offset", -0.4),
        lambda addon, strip: put_into_meta(strip, 50, 80),
    ],
    ids=["whole", "left handle", "content", "content and handles", "sound offset", "meta strip"],
)
def test_the_clip_begins_where_blender_plays(mixing, addon, strip, clip, change, tmp_path):
    change(addon, strip)
    found = clip(strip)
    assert seconds_played(mixing, found.frame, tmp_path) == pytest.approx(found.start, abs=0.02)


def test_film_rate_is_exact(audible, strip, clip):
    audible.context.scene.render.fps = 24
    audible.context.scene.render.fps_base = 1.001
    assert clip(strip).fps == pytest.approx(24000 / 1001, abs=1e-5)


def test_a_packed_sound_is_written_to_a_temporary_file(strip, clip, ramp):
    content = ramp.read_bytes()
    strip.sound.pack()
    strip.sound.filepath = "//nowhere/ramp.wav"
    found = clip(strip)
    assert found.temporary
    found.prepare()
    assert found.path.read_bytes() == content
    assert found.content().tobytes() == content
    found.clean_up()
    assert not found.path.exists()


def test_a_missing_file_names_strip_path_and_remedy(strip, clip, tmp_path):
    strip.sound.filepath = str(tmp_path / "gone.wav")
    with pytest.raises(Exception, match=r"'ramp'.*gone\.wav") as caught:
        clip(strip)
    assert "Find Missing Files" in caught.value.hint


def test_a_mixdown_is_the_strip_alone_and_leaves_the_scene_as_it_was(
    mixing, addon, strip, ramp, tmp_path
):
    scene = mixing.context.scene
    other = addon("speech.strip").add_sound_strip(scene, ramp, 1)
    other.volume = 3.0
    scene.frame_start, scene.frame_end, scene.use_preview_range = 3, 77, True
    trim(strip, 36, 86)
    found = addon("speech.sound")._clip_of_mixdown(mixing.context, scene, strip)
    with wave.open(str(found.path)) as file:
        assert file.getnframes() / file.getframerate() >= found.duration
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert found.duration == pytest.approx(2.0)
    middle = np.median(np.abs(samples[48_000 : 48_000 + 480].astype(float)))
    assert middle / 30000 * SECONDS == pytest.approx(2.0, abs=0.05)
    assert (found.frame, found.start, found.temporary) == (36, 0, True)
    found.clean_up()
    assert (scene.frame_start, scene.frame_end, scene.use_preview_range) == (3, 77, True)
    assert not other.mute
    assert not strip.mute


def test_a_mixdown_that_blender_gives_up_is_an_error_and_leaves_no_file(addon, strip, tmp_path):
    path = tmp_path / "mix.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(2 * RATE))
    addon("speech.sound")._check_mixed(path, 1.0, "ramp")
    with pytest.raises(Exception, match=r"1\.00 of 1\.50 s") as caught:
        addon("speech.sound")._check_mixed(path, 1.5, "ramp")
    assert caught.value.hint
    assert not path.exists()


def test_a_second_strip_takes_a_free_channel(audible, addon, strip, ramp):
    add = addon("speech.strip").add_sound_strip
    beside = add(audible.context.scene, ramp, 11)
    after = add(audible.context.scene, ramp, 300)
    assert (strip.channel, beside.channel, after.channel) == (1, 2, 1)


def test_a_file_that_is_no_sound_leaves_nothing_behind(audible, addon, tmp_path):
    path = tmp_path / "text.wav"
    path.write_text("this is no sound")
    with pytest.raises(Exception, match=r"text\.wav"):
        addon("speech.strip").add_sound_strip(audible.context.scene, path, 1)
    assert not audible.data.sounds
    editor = audible.context.scene.sequence_editor
    assert editor is None or not addon("compat").all_strips(editor)


def test_import_sound_lets_the_head_speak_it(audible, ramp):
    blender = audible
    mesh = blender.data.meshes.new("Small")
    obj = blender.data.objects.new("Small", mesh)
    obj.gaussianspeech_head.id = "small"
    blender.context.collection.objects.link(obj)
    blender.context.scene.frame_end = 50
    blender.context.scene.frame_current = 7
    assert blender.ops.gaussianspeech.import_sound(filepath=str(ramp)) == {"FINISHED"}
    assert line_of(obj).strip == "ramp"
    assert blender.context.scene.frame_end == 7 + round(SECONDS * 24) - 1
    assert blender.context.scene.sync_mode == "AUDIO_SYNC"


def test_without_a_sound_system_the_file_is_used_directly(blender, addon, ramp, monkeypatch):
    monkeypatch.setattr(addon("compat"), "has_audio", lambda: False)
    mesh = blender.data.meshes.new("Small")
    obj = blender.data.objects.new("Small", mesh)
    obj.gaussianspeech_head.id = "small"
    blender.context.collection.objects.link(obj)
    assert blender.ops.gaussianspeech.import_sound(filepath=str(ramp)) == {"FINISHED"}
    found = addon("speech.sound").clip_of_line(blender.context, line_of(obj))
    assert found.path == Path(ramp)
    assert found.frame == blender.context.scene.frame_current


def test_the_list_of_strips_offers_sounds_only(audible, addon, strip):
    strips = addon("compat").strips(audible.context.scene.sequence_editor)
    strips.new_effect("colour", "COLOR", 5, 1, **length(strips))
    search = addon("speech.properties")._sound_strips
    assert list(search(None, audible.context, "")) == ["ramp"]
    assert list(search(None, audible.context, "nothing like it")) == []


def length(strips):
    parameters = strips.bl_rna.functions["new_effect"].parameters.keys()
    return {"length": 20} if "length" in parameters else {"frame_end": 20}


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"source": "STRIP", "strip": ""}, "No sound strip"),
        ({"source": "STRIP", "strip": "missing"}, "'missing'"),
        ({"source": "FILE", "filepath": ""}, "No sound file"),
        ({"source": "FILE", "filepath": "/no/where.wav"}, r"where\.wav"),
    ],
)
def test_a_sound_that_cannot_be_found_is_named(blender, addon, settings, word):
    obj = blender.data.objects.new("Small", blender.data.meshes.new("Small"))
    for name, value in settings.items():
        setattr(obj.gaussianspeech_speech, name, value)
    with pytest.raises(Exception, match=word) as caught:
        addon("speech.sound").clip_of_line(blender.context, obj.gaussianspeech_speech)
    assert caught.value.hint


def quietened(blender, strip):
    """Everything by which a strip can sound less than its file."""
    scene = blender.context.scene
    put_into_meta(strip, 20, 90)
    meta = strip.parent_meta()
    strip.volume = 0.0
    strip.keyframe_insert("volume", frame=1)
    scene.audio_volume = 0.0
    scene.keyframe_insert("audio_volume", frame=1)
    meta.mute = scene.sequence_editor.channels[meta.channel].mute = True
    meta.channels[strip.channel].mute = True
    return lambda: (
        strip.mute, strip.volume, meta.mute, scene.audio_volume, scene.frame_start, scene.frame_end,
        scene.sequence_editor.channels[meta.channel].mute, meta.channels[strip.channel].mute,
        [curve.mute for curve in scene_curves(scene)],
    )  # fmt: skip


def scene_curves(scene):
    action = scene.animation_data.action
    if not hasattr(action, "layers"):
        return list(action.fcurves)
    return [
        curve
        for layer in action.layers
        for part in layer.strips
        for bag in part.channelbags
        for curve in bag.fcurves
    ]


def test_a_mixdown_is_as_loud_as_the_file_however_quiet_the_strip_plays(mixing, addon, strip):
    scene = mixing.context.scene
    scene.frame_start, scene.frame_end = 3, 12
    state = quietened(mixing, strip)
    before = state()
    found = addon("speech.sound")._clip_of_mixdown(mixing.context, scene, strip)
    with wave.open(str(found.path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    # At frame 20 the ramp is 9 frames in.
    second = 48_000
    middle = np.median(np.abs(samples[second : second + 480].astype(float)))
    assert middle / 30000 * SECONDS == pytest.approx(1.0 + 9 / FPS, abs=0.05)
    found.clean_up()
    assert state() == before
