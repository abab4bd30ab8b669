# SPDX-License-Identifier: GPL-3.0-or-later
"""From a sound to a talking head with the real engine, and what happens when something is wrong."""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.blender_addon.jobs.drawn_layout import Drawn
from tests.blender_addon.sample_voice import VOICE, speaker
from tests.blender_addon.speaking import action_of, frames_of, line_of
from tests.engine.recognition.text_grids import short_form
from tests.waiting import until


@pytest.fixture
def head(engine_ready):
    """A default head that is to speak the sample voice, from a strip where there can be one."""
    return speaker(engine_ready)


@pytest.fixture
def status(engine_ready):
    return engine_ready.context.window_manager.gaussianspeech_status


def assert_refused(blender, head, status, match):
    """Predicting fails with one clear error, and leaves no trace in the file."""
    keys = head.data.shape_keys.key_blocks.keys()
    with pytest.raises(RuntimeError, match=match) as caught:
        blender.ops.gaussianspeech.predict()
    assert str(caught.value).count("Error:") == 1
    assert status.is_error
    assert status.message
    assert status.hint
    assert not status.busy
    assert not blender.data.actions
    assert head.data.shape_keys.key_blocks.keys() == keys


def assert_next_try_works(blender, head, status):
    assert blender.ops.gaussianspeech.predict() == {"FINISHED"}
    assert action_of(head) is not None
    assert not status.is_error


def test_the_head_speaks_as_long_as_the_sound(engine_ready, addon, head, status):
    import wave

    with wave.open(str(VOICE)) as file:
        seconds = file.getnframes() / file.getframerate()
    assert engine_ready.ops.gaussianspeech.predict() == {"FINISHED"}
    first, last = frames_of(head)
    start = engine_ready.context.scene.frame_current
    assert (first, last) == (start, start + round(seconds * 24) - 1)
    assert "Baked" in status.message
    assert not status.is_error


def test_the_mouth_opens_and_closes(engine_ready, head, predict):
    predict()
    scene = engine_ready.context.scene
    jaw = []
    for frame in range(*map(int, frames_of(head))):
        scene.frame_set(frame)
        jaw.append(head.data.shape_keys.key_blocks["jawOpen"].value)
    assert max(jaw) > 0.1
    assert min(jaw) < 0.2 * max(jaw)


def test_the_mouth_follows_the_phones_of_a_text_grid(engine_ready, addon, head, tmp_path):
    phones = [("", 0, 1), ("AA1", 1, 1.5), ("M", 1.5, 1.7), ("", 1.7, 3)]
    words = [("", 0, 1), ("om", 1, 1.7), ("", 1.7, 3)]
    path = tmp_path / "line.TextGrid"
    path.write_text(short_form(("phones", phones), ("words", words), end=3), "utf-8")
    line = line_of(head)
    line.text_file = str(path)
    assert engine_ready.ops.gaussianspeech.predict() == {"FINISHED"}
    prediction = addon("speech.action").read_prediction(action_of(head))
    spoken = [phone for phone in prediction.phones if phone[0] != "SIL"]
    assert [tuple(phone) for phone in spoken] == [("AA", 1, 1.5), ("M", 1.5, 1.7)]
    assert [tuple(word) for word in prediction.words] == [("om", 1, 1.7)]
    assert not line.text
    # The file counts at the next prediction, too.
    path.write_text(short_form(("phones", [("", 0, 2), ("IY1", 2, 2.5), ("", 2.5, 3)]), end=3))
    assert engine_ready.ops.gaussianspeech.predict() == {"FINISHED"}
    prediction = addon("speech.action").read_prediction(action_of(head))
    assert [phone[0] for phone in prediction.phones if phone[0] != "SIL"] == ["IY"]
    # Words alone get the sounds of the dictionary in their times.
    path.write_text(short_form(("words", words), end=3))
    assert engine_ready.ops.gaussianspeech.predict() == {"FINISHED"}
    prediction = addon("speech.action").read_prediction(action_of(head))
    spoken = [phone for phone in prediction.phones if phone[0] != "SIL"]
    assert spoken
    assert all(1 <= start < end <= 1.7 for _, start, end in spoken)


def test_a_transcript_and_a_saved_performance(engine_ready, head, tmp_path):
    line_of(head).text = "Hello my friend"
    path = tmp_path / "voice.performance.npz"
    engine_ready.ops.gaussianspeech.predict(save=str(path))
    with np.load(path) as saved:
        assert float(saved["fps"]) == 24
        first, last = frames_of(head)
        assert len(saved["weights"]) == last - first + 1


def test_what_is_recognised_is_shown_and_a_correction_is_aligned_alone(
    engine_ready, addon, head, monkeypatch
):
    """Phones alone stand in where the engine has no recogniser of words: nothing is shown then."""
    settings = line_of(head)
    sent = []
    request = addon("engine_link.client").EngineClient.request

    def watched(self, method, params, *rest, **more):
        if method == "speech.predict":
            sent.append(params)
        return request(self, method, params, *rest, **more)

    monkeypatch.setattr(addon("engine_link.client").EngineClient, "request", watched)
    engine_ready.ops.gaussianspeech.predict()
    assert "text" not in sent[-1]
    assert sent[-1]["recognizer"] == "auto"
    prediction = addon("speech.action").read_prediction(action_of(head))
    assert settings.text == " ".join(word for word, _, _ in prediction.words)
    settings.text = "Lend me your voice, and I will move my mouth."
    engine_ready.ops.gaussianspeech.predict()
    assert sent[-1]["text"] == settings.text == "Lend me your voice, and I will move my mouth."
    prediction = addon("speech.action").read_prediction(action_of(head))
    assert [word for word, _, _ in prediction.words] == settings.text.split()
    assert prediction.language == "en"


def test_what_the_engine_said_of_a_line_stays_with_it_until_it_is_predicted_again(
    engine_ready, addon, head
):
    text = "Lend me your own voice, and I will move my mouth, from a soft whisper to a proper boom."
    line = line_of(head)
    line.text = f"{text} She sells sea shells by the sea shore."
    engine_ready.ops.gaussianspeech.predict()
    assert engine_ready.ops.gaussianspeech.rebake() == {"FINISHED"}
    (warning,) = warnings_shown(engine_ready, addon, line)
    assert "sells sea" in warning
    line.text = text
    engine_ready.ops.gaussianspeech.predict()
    assert not warnings_shown(engine_ready, addon, line)


def warnings_shown(blender, addon, line):
    """The sentences on a line's words that the sidebar shows, below its buttons."""
    drawn, wide = Drawn(), SimpleNamespace(width=400)
    context = SimpleNamespace(**blender.context.copy() | {"region": wide})
    context.preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=1.0))
    addon("speech.panel").draw_buttons(drawn, context, line)
    shown = " ".join(filter(None, drawn.shown))
    return [shown] if "does not fit" in shown else []


def test_subtitles_are_sent_with_their_times(engine_ready, addon, head, status, tmp_path):
    path = tmp_path / "line.srt"
    path.write_text("1\n00:00:00,000 --> 00:00:03,000\nLend me your voice\n")
    line_of(head).text_file = str(path)
    engine_ready.ops.gaussianspeech.predict()
    prediction = addon("speech.action").read_prediction(action_of(head))
    assert [word for word, _, _ in prediction.words] == ["Lend", "me", "your", "voice"]
    assert not line_of(head).text
    path.write_text("1\n00:00:00,000 --> soon\nLend me your voice\n")
    with pytest.raises(RuntimeError, match=r"line\.srt, line 2"):
        engine_ready.ops.gaussianspeech.predict()
    assert status.is_error


@pytest.fixture(scope="module")
def by_command(installed, addon):
    """The sample voice predicted by the engine here, then by that of an engine command.

    Both predictions, what the command's engine was asked, and the threads that read the sound.
    """
    if not os.environ.get("GAUSSIANSPEECH_PYTHON"):
        pytest.skip("GAUSSIANSPEECH_PYTHON does not name the engine's Python")
    installed.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    head = speaker(installed)
    values, sent, threads = [], [], []
    client, clip_class = addon("engine_link.client").EngineClient, addon("speech.sound").Clip
    preferences = addon("settings").get_preferences(installed.context)

    def predict():
        assert installed.ops.gaussianspeech.predict() == {"FINISHED"}
        values.append(addon("speech.action").read_prediction(action_of(head)).values)

    def seen(function, note):
        def call(self, *given):
            note(given)
            return function(self, *given)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in ("prepare", "content"):
            note = seen(
                getattr(clip_class, name), lambda _: threads.append(threading.current_thread())
            )
            patch.setattr(clip_class, name, note)
        predict()
        patch.setattr(client, "request", seen(client.request, sent.append))
        preferences.engine_command = f"{os.environ['GAUSSIANSPEECH_PYTHON']} -m engine serve"
        try:
            predict()
        finally:
            preferences.engine_command = ""
    return values, sent, threads


@pytest.mark.one_blender
def test_an_engine_command_gets_the_sound_itself(by_command):
    (by_file, by_content), sent, _ = by_command
    ((_, params, arrays),) = sent
    assert "audio" not in params
    assert arrays["audio_file"].tobytes() == VOICE.read_bytes()
    np.testing.assert_array_equal(by_content, by_file)


@pytest.mark.one_blender
def test_a_sound_is_read_and_written_beside_the_main_thread(by_command):
    _, _, threads = by_command
    assert len(threads) == 2
    assert threading.main_thread() not in threads


def test_undo_and_redo_after_each_step(engine_ready, predict):
    blender = engine_ready
    push, undo, redo = blender.ops.ed.undo_push, blender.ops.ed.undo, blender.ops.ed.redo
    push(message="empty")
    blender.ops.gaussianspeech.add_head()
    push(message="head")
    blender.ops.gaussianspeech.import_sound(filepath=str(VOICE))
    push(message="sound")
    predict()
    push(message="speech")
    undo()
    head = blender.data.objects["Head"]
    assert action_of(head) is None
    undo()
    assert not blender.data.objects["Head"].gaussianspeech_lines
    undo()
    assert "Head" not in blender.data.objects
    redo()
    redo()
    redo()
    assert action_of(blender.data.objects["Head"]).name.startswith("sample_voice")
    assert blender.ops.gaussianspeech.rebake() == {"FINISHED"}


@pytest.mark.one_blender
def test_an_engine_killed_in_mid_request(engine_ready, addon, head, status):
    # Words that were never looked for in the sound, so that it takes a second.
    line_of(head).text = "Lend me your voice and I will move my mouth from a whisper to a boom"
    engine = addon("engine_link.session").get_engine(engine_ready.context)
    pid = engine.wait_ready(60)["pid"]

    def kill_when_working():
        until(lambda: any(p.poll()[0] > 0 for p in list(engine._connection._pending.values())))
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=kill_when_working, daemon=True)
    thread.start()
    assert_refused(engine_ready, head, status, "while it worked")
    thread.join()
    assert_next_try_works(engine_ready, head, status)


@pytest.mark.one_blender
def test_an_engine_python_without_torch(engine_ready, addon, head, status):
    preferences = addon("settings").get_preferences(engine_ready.context)
    # The Python under this environment: it has no libraries of its own.
    bare = str(Path(sys._base_executable).resolve())
    preferences.engine_python = bare
    try:
        assert_refused(engine_ready, head, status, "has no")
        assert bare in status.message
        assert "Copy Install Command" in status.hint
    finally:
        preferences.engine_python = ""
    assert_next_try_works(engine_ready, head, status)


@pytest.mark.one_blender
def test_an_engine_python_that_is_not_there(engine_ready, addon, head, status):
    preferences = addon("settings").get_preferences(engine_ready.context)
    preferences.engine_python = "/no/such/python"
    try:
        assert_refused(engine_ready, head, status, "/no/such/python")
    finally:
        preferences.engine_python = ""
    assert_next_try_works(engine_ready, head, status)


def test_a_missing_sound_file(engine_ready, addon, head, status, tmp_path):
    settings = line_of(head)
    gone = str(tmp_path / "gone.wav")
    if settings.source == "FILE":
        settings.filepath = gone
    else:
        engine_ready.data.sounds[0].filepath = gone
    assert_refused(engine_ready, head, status, r"gone\.wav")
    settings.source, settings.filepath = "FILE", str(VOICE)
    assert_next_try_works(engine_ready, head, status)


@pytest.mark.parametrize(
    "content", [b"", b"this is no sound at all, whatever its name says"], ids=["empty", "text"]
)
def test_a_file_that_is_no_sound(engine_ready, head, status, tmp_path, content):
    path = tmp_path / "broken.wav"
    path.write_bytes(content)
    settings = line_of(head)
    settings.source, settings.filepath = "FILE", str(path)
    assert_refused(engine_ready, head, status, r"broken\.wav")
    settings.filepath = str(VOICE)
    assert_next_try_works(engine_ready, head, status)


def test_a_mesh_whose_vertex_count_does_not_fit(engine_ready, head, status):
    head.data.vertices.add(1)
    assert_refused(engine_ready, head, status, "vertices")


def test_a_frame_rate_out_of_range(engine_ready, head, status):
    engine_ready.context.scene.render.fps = 5
    assert_refused(engine_ready, head, status, "frames per second")
    engine_ready.context.scene.render.fps = 24
    assert_next_try_works(engine_ready, head, status)


def test_no_head_at_all(engine_ready):
    assert not engine_ready.ops.gaussianspeech.predict.poll()
    with pytest.raises(RuntimeError, match="Add Head"):
        engine_ready.ops.gaussianspeech.predict()


def test_check_engine_reports_versions_and_devices(engine_ready, status):
    assert engine_ready.ops.gaussianspeech.check_engine() == {"FINISHED"}
    assert "torch" in status.message
    assert "cpu" in status.message


def test_corrected_rules_are_the_first_choice_and_files_keep_the_models_of_0_1_0(blender):
    settings = blender.types.Object.bl_rna.properties["gaussianspeech_speech"].fixed_type
    model = settings.properties["model"]
    assert model.default == "corrected"
    assert [(item.identifier, item.value) for item in model.enum_items] == [
        ("corrected", 3),
        ("rules", 1),
        ("starter", 0),
        ("FILE", 2),
    ]
