# SPDX-License-Identifier: GPL-3.0-or-later
"""Live speech in Blender, with a sound file for the microphone and the real engine.

The file is not spoken at the pace of a clock: the engine makes its frames as fast as it can, and a
tick takes as many of them as a test says, however long a tick is on its way.
"""

from __future__ import annotations

import time
from collections import deque

import numpy as np
import pytest

from tests import waiting
from tests.blender_addon.conftest import REPOSITORY
from tests.blender_addon.speaking import action_of, frames_of
from tests.blender_addon.undo_steps import state

CHARACTER_KEYS = ("Fcl_MTH_A", "Fcl_MTH_I", "Fcl_MTH_U", "Fcl_MTH_E", "Fcl_MTH_O")
VOICE = REPOSITORY / "engine" / "assets" / "sample_voice.wav"


class Spoken:
    """What is asked of the engine for a live session, whose frames come some at a time.

    Args:
        future: of the engine.
        at_once: frames that come between two ticks.
    """

    def __init__(self, future, at_once):
        self._future, self._at_once, self._waiting = future, at_once, deque()

    @property
    def done(self):
        """Whether the sound has ended, and its last frame was taken."""
        ended = self._future.done
        self._waiting.extend(self._future.frames())
        return ended and not self._waiting

    def frames(self):
        """The next ones."""
        self._waiting.extend(self._future.frames())
        return [self._waiting.popleft() for _ in range(min(self._at_once, len(self._waiting)))]

    def __getattr__(self, name):
        return getattr(self._future, name)


class Unpaced:
    """The engine, which speaks files as fast as it can."""

    def __init__(self, engine, at_once):
        self._engine, self._at_once = engine, at_once

    def request(self, method, params):
        return Spoken(self._engine.request(method, params | {"paced": False}), self._at_once)


@pytest.fixture
def at_once():
    """Frames that come between two ticks."""
    return 1


@pytest.fixture
def live(addon, monkeypatch, at_once):
    module = addon("speech.live")
    get_engine = module.get_engine
    monkeypatch.setattr(module, "get_engine", lambda context: Unpaced(get_engine(context), at_once))
    yield module
    if module.session() is not None:
        module.stop(__import__("bpy").context)


@pytest.fixture
def head(engine_ready):
    engine_ready.ops.gaussianspeech.add_head()
    obj = engine_ready.context.object
    obj.gaussianspeech_speech.model = "rules"
    return obj


def until(condition, live):
    """Tick, as the timer does in a window, until a condition holds."""
    waiting.until(condition, meanwhile=lambda: (live.tick(), time.sleep(0.001)))


def jaw_of(bpy, name):
    """The key of the jaw, which undo makes anew."""
    return bpy.data.objects[name].data.shape_keys.key_blocks["jawOpen"]


def jaw(head):
    return head.data.shape_keys.key_blocks["jawOpen"].value


def test_a_head_moves_while_it_is_spoken_and_rests_as_before(engine_ready, head, live):
    head.data.shape_keys.key_blocks["jawOpen"].value = 0.125
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    assert live.session().speaker == head.name
    until(lambda: live.session().latest is not None and jaw(head) > 0.15, live)
    assert not head.data.shape_keys.animation_data
    engine_ready.ops.gaussianspeech.live_stop()
    assert live.session() is None
    assert jaw(head) == 0.125


def test_without_a_recording_stop_is_no_step_of_undo(engine_ready, head, live):
    engine_ready.ops.ed.undo_push(message="before")
    name = head.name
    before = state(engine_ready)
    head["later"] = 1
    engine_ready.ops.ed.undo_push(message="later")
    engine_ready.ops.gaussianspeech.live("EXEC_DEFAULT", True, sound=str(VOICE))
    until(lambda: live.session().latest is not None, live)
    assert engine_ready.ops.gaussianspeech.live_stop("EXEC_DEFAULT", True) == {"CANCELLED"}
    status = engine_ready.context.window_manager.gaussianspeech_status
    assert (status.message, status.is_error) == ("Stopped; the head is as it was", False)
    engine_ready.ops.ed.undo()
    assert "later" not in engine_ready.data.objects[name]
    assert state(engine_ready) == before


@pytest.mark.parametrize("at_once", [40])
def test_a_tick_that_comes_late_shows_the_last_frame_and_a_recording_has_all(
    engine_ready, head, live
):
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    until(lambda: live.session().latest is not None, live)
    engine_ready.ops.gaussianspeech.live_record()
    until(lambda: len(live.session().times) > 90, live)
    session = live.session()
    assert jaw(head) == pytest.approx(session.frames[-1][17], abs=1e-4)
    np.testing.assert_allclose(np.diff(session.times), 1 / live.RATE, atol=1e-6)
    engine_ready.ops.gaussianspeech.live_stop()
    assert action_of(head) is not None


def test_a_recording_becomes_an_action_at_the_scenes_frames(engine_ready, head, live):
    scene = engine_ready.context.scene
    scene.render.fps = 30
    scene.frame_set(11)
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    until(lambda: live.session().latest is not None, live)
    engine_ready.ops.gaussianspeech.live_record()
    until(lambda: len(live.session().times) > 90, live)
    recorded = np.array([frame[17] for frame in live.session().frames])
    engine_ready.ops.gaussianspeech.live_stop()
    assert frames_of(head)[0] == 11
    shown = []
    for frame in range(11, 11 + len(recorded) // 2):
        scene.frame_set(frame)
        shown.append(jaw(head))
    # 60 frames a second were recorded, and the scene has 30.
    np.testing.assert_allclose(shown, recorded[::2][: len(shown)], atol=0.02)


def test_a_recording_can_be_baked_again(engine_ready, head, live):
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    until(lambda: live.session().latest is not None, live)
    engine_ready.ops.gaussianspeech.live_record()
    until(lambda: max((frame[17] for frame in live.session().frames), default=0) > 0.15, live)
    engine_ready.ops.gaussianspeech.live_stop()
    head.gaussianspeech_speech.articulation = 0.0
    assert action_of(head) is not None
    engine_ready.context.scene.frame_set(20)
    assert jaw(head) == 0.0


def test_what_was_recorded_is_kept_when_the_sound_ends(engine_ready, head, live, tmp_path):
    import wave

    short = tmp_path / "short.wav"
    with wave.open(str(VOICE)) as source, wave.open(str(short), "wb") as target:
        target.setparams(source.getparams())
        target.writeframes(source.readframes(source.getframerate()))
    engine_ready.ops.gaussianspeech.live(sound=str(short))
    until(lambda: live.session().latest is not None, live)
    engine_ready.ops.gaussianspeech.live_record()
    until(lambda: live.session().future.done, live)
    live.tick()
    engine_ready.ops.gaussianspeech.live_stop()
    assert action_of(head) is not None


def test_a_sound_that_cannot_be_read_is_shown(engine_ready, head, live, addon):
    engine_ready.ops.gaussianspeech.live(sound="/nowhere/voice.wav")
    until(lambda: live.session() is None, live)
    status = addon("status").get_status(engine_ready.context)
    assert status.is_error
    assert "voice.wav" in status.message


def test_a_head_without_arkit_keys_is_refused(blender, add_plain_head, live):
    obj = add_plain_head()
    obj.shape_key_add(name="Basis")
    with pytest.raises(RuntimeError, match="no shape key 'jawOpen'"):
        blender.ops.gaussianspeech.live()
    assert live.session() is None


def test_another_file_ends_the_session(engine_ready, head, live):
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    engine_ready.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert live.session() is None


def test_a_file_that_is_saved_meanwhile_has_the_keys_as_before(engine_ready, head, live, tmp_path):
    head.data.shape_keys.key_blocks["jawOpen"].value = 0.125
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    until(lambda: jaw(head) > 0.15, live)
    path = str(tmp_path / "saved.blend")
    engine_ready.ops.wm.save_as_mainfile(filepath=path, copy=True)
    with engine_ready.data.libraries.load(path) as (there, here):
        here.objects = list(there.objects)
    (saved,) = here.objects
    assert jaw(saved) == 0.125
    live.tick()
    assert jaw(head) != 0.125


def test_a_step_of_undo_from_meanwhile_has_the_keys_as_before(engine_ready, head, live):
    ed, name = engine_ready.ops.ed, head.name
    jaw_of(engine_ready, name).value = 0.125
    ed.undo_push(message="before")
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    until(lambda: jaw(head) > 0.15, live)
    head["meanwhile"] = 1
    ed.undo_push(message="meanwhile")
    engine_ready.ops.gaussianspeech.live_stop()
    engine_ready.data.objects[name]["later"] = 1
    ed.undo_push(message="later")
    ed.undo()
    assert "later" not in engine_ready.data.objects[name]
    assert engine_ready.data.objects[name]["meanwhile"]
    assert jaw_of(engine_ready, name).value == 0.125
    ed.undo()
    assert jaw_of(engine_ready, name).value == 0.125
    ed.redo()
    assert "meanwhile" in engine_ready.data.objects[name]
    assert jaw_of(engine_ready, name).value == 0.125


def test_what_is_undone_meanwhile_is_what_stop_gives_back(engine_ready, head, live):
    ed, name = engine_ready.ops.ed, head.name
    jaw_of(engine_ready, name).value = 0.125
    ed.undo_push(message="first")
    jaw_of(engine_ready, name).value = 0.0625
    ed.undo_push(message="second")
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    until(lambda: jaw_of(engine_ready, name).value > 0.15, live)
    head["meanwhile"] = 1
    ed.undo_push(message="meanwhile")
    ed.undo_push(message="again")
    ed.undo()
    live.tick()
    ed.undo()
    ed.undo()  # To the first, and the session goes on.
    until(lambda: jaw_of(engine_ready, name).value > 0.15, live)
    engine_ready.ops.gaussianspeech.live_stop()
    assert jaw_of(engine_ready, name).value == 0.125
    ed.redo()
    assert jaw_of(engine_ready, name).value == 0.0625
    ed.redo()
    assert jaw_of(engine_ready, name).value == 0.0625


def test_a_file_that_blender_saved_by_itself_meanwhile_opens_with_the_keys_as_before(
    engine_ready, head, live, tmp_path
):
    name, path = head.name, str(tmp_path / "auto.blend")
    jaw_of(engine_ready, name).value = 0.125
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    until(lambda: jaw(head) > 0.15, live)
    # Automatic saves tell nobody before.
    engine_ready.app.handlers.save_pre.remove(live._on_save)
    engine_ready.ops.wm.save_as_mainfile(filepath=path, copy=True)
    engine_ready.app.handlers.save_pre.append(live._on_save)
    engine_ready.ops.wm.open_mainfile(filepath=path)
    assert live.session() is None
    assert jaw_of(engine_ready, name).value == 0.125


def test_a_head_that_is_renamed_stays_live(engine_ready, head, live):
    head.data.shape_keys.key_blocks["jawOpen"].value = 0.125
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    until(lambda: jaw(head) > 0.15, live)
    head.name = "Anna"
    live.tick()
    assert live.session().speaker == "Anna"
    engine_ready.ops.gaussianspeech.live_stop()
    assert jaw(head) == 0.125


def test_where_one_of_its_objects_is_deleted_the_others_are_as_before(engine_ready, live):
    bpy = engine_ready
    for _ in range(2):
        bpy.ops.mesh.primitive_uv_sphere_add()
        for name in ("Basis", *CHARACTER_KEYS):
            bpy.context.object.shape_key_add(name=name, from_mix=False).value = 0
    face, teeth = bpy.context.object, bpy.data.objects["Sphere"]
    teeth.select_set(True)
    bpy.ops.gaussianspeech.use_character()
    face.gaussianspeech_speech.model = "rules"
    bpy.ops.gaussianspeech.live(sound=str(VOICE))
    key = face.data.shape_keys.key_blocks["Fcl_MTH_A"]
    until(lambda: key.value > 0.1, live)
    bpy.data.objects.remove(teeth)
    live.tick()
    assert live.session() is None
    assert key.value == 0


def test_one_head_is_live_at_a_time(engine_ready, head, live):
    engine_ready.ops.gaussianspeech.live(sound=str(VOICE))
    with pytest.raises(RuntimeError, match="is live already"):
        engine_ready.ops.gaussianspeech.live(sound=str(VOICE))


def test_a_character_moves_by_its_own_keys_and_is_recorded(engine_ready, live):
    bpy = engine_ready
    bpy.ops.mesh.primitive_uv_sphere_add()
    obj = bpy.context.object
    for name in ("Basis", *CHARACTER_KEYS):
        obj.shape_key_add(name=name, from_mix=False).value = 0
    assert bpy.ops.gaussianspeech.use_character() == {"FINISHED"}
    obj.gaussianspeech_speech.model = "rules"
    bpy.ops.gaussianspeech.live(sound=str(VOICE))
    keys = obj.data.shape_keys.key_blocks
    until(lambda: keys["Fcl_MTH_A"].value > 0.1, live)
    bpy.ops.gaussianspeech.live_record()
    until(lambda: len(live.session().times) > 30, live)
    bpy.ops.gaussianspeech.live_stop()
    assert action_of(obj) is not None
