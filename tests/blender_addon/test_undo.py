# SPDX-License-Identifier: GPL-3.0-or-later
"""Every operator that changes the file is undone by one step, and leaves nothing without users."""

from __future__ import annotations

import shutil
from types import SimpleNamespace

import pytest

from tests.blender_addon.control_presets import preset_paths
from tests.blender_addon.motion_recordings import recording
from tests.blender_addon.ramp_sound import add_strips, asked, strips_of
from tests.blender_addon.rig_faces import ARKIT, face_bones, make_armature, make_mesh, select
from tests.blender_addon.slicing import slices
from tests.blender_addon.speaking import action_of, line_of
from tests.blender_addon.spoken_head import head
from tests.blender_addon.undo_steps import state

__all__ = ["asked", "head", "slices"]


def objects(blender, name="Small"):
    return blender.data.objects[name]


def test_lines_from_strips(audible, head, asked, ramp, one_step):
    add_strips(audible, ramp, 1, 151)
    one_step(audible.ops.gaussianspeech.lines_from_strips)


def test_lines_whose_first_cannot_be_predicted(audible, head, asked, ramp, tmp_path):
    gone = tmp_path / "gone.wav"
    shutil.copy(ramp, gone)
    audible.context.scene.sequence_editor_create()
    strips_of(audible).new_sound("gone", str(gone), 1, 1)
    gone.unlink()
    audible.ops.ed.undo_push(message="before")
    before = state(audible)
    with pytest.raises(RuntimeError, match=r"gone\.wav"):
        audible.ops.gaussianspeech.lines_from_strips("EXEC_DEFAULT", True)
    # The line waits for its sound, and is a step of its own.
    assert len(head.gaussianspeech_lines) == 1
    after = state(audible)
    audible.ops.ed.undo()
    assert state(audible) == before
    audible.ops.ed.redo()
    assert state(audible) == after


@pytest.mark.parametrize("operator", ["lines_from_folder", "open_folder"])
def test_a_folder(audible, head, asked, ramp, tmp_path, one_step, operator):
    for name in ("a.wav", "b.wav"):
        shutil.copy(ramp, tmp_path / name)
    called = getattr(audible.ops.gaussianspeech, operator)
    if operator == "open_folder":
        # It calls the other, which has the step.
        assert "UNDO" not in audible.types.GAUSSIANSPEECH_OT_open_folder.bl_options
        called = audible.ops.gaussianspeech.lines_from_folder
    one_step(called, directory=str(tmp_path))


@pytest.mark.parametrize("name", ["scene.txt", "scene.srt"])
def test_texts_from_script(audible, head, asked, ramp, tmp_path, one_step, name):
    add_strips(audible, ramp, 1, 121)
    audible.ops.gaussianspeech.lines_from_strips(predict=False)
    text = "Who goes there?\nNobody.\n"
    if name.endswith(".srt"):
        text = "1\n00:00:00,500 --> 00:00:01,500\nWho?\n\n2\n00:00:05,500 --> 00:00:08,000\nMe.\n"
    (tmp_path / name).write_text(text)
    one_step(audible.ops.gaussianspeech.texts_from_script, filepath=str(tmp_path / name))


def test_predict_update_and_update_all(audible, head, asked, ramp, one_step):
    add_strips(audible, ramp, 1, 151)
    operators = audible.ops.gaussianspeech
    operators.lines_from_strips(predict=False)
    one_step(operators.predict)
    one_step(operators.update_lines)
    line_of(objects(audible)).text = "Something else"
    one_step(operators.update_line)


def test_import_of_a_sound(audible, head, asked, ramp, one_step):
    one_step(audible.ops.gaussianspeech.import_sound, filepath=str(ramp))


def test_lines_that_are_added_copied_moved_and_removed(audible, head, asked, ramp, one_step):
    add_strips(audible, ramp, 1, 151)
    operators = audible.ops.gaussianspeech
    operators.lines_from_strips()
    one_step(operators.add_line)
    one_step(operators.remove_line)
    one_step(operators.duplicate_line)
    one_step(operators.remove_line)
    one_step(operators.remove_line)
    obj = objects(audible)
    assert len(obj.gaussianspeech_lines) == 1
    lines = {line.id for line in obj.gaussianspeech_lines}
    kept = [action.get("gaussianspeech_line") for action in audible.data.actions]
    assert {line for line in kept if line} == lines


def test_bake_again_and_presets(audible, head, asked, ramp, one_step):
    add_strips(audible, ramp, 1)
    operators = audible.ops.gaussianspeech
    operators.lines_from_strips()
    one_step(operators.apply_preset, filepath=str(preset_paths(audible)["Cartoon"]))
    audible.ops.ed.undo_push(message="before")
    strength = objects(audible).gaussianspeech_speech.strength
    count = len(audible.data.actions)
    assert operators.rebake("EXEC_DEFAULT", True) == {"FINISHED"}
    assert len(audible.data.actions) == count
    audible.ops.ed.undo()
    assert objects(audible).gaussianspeech_speech.strength == strength
    assert action_of(objects(audible)) is not None


def test_import_of_face_motion(engine_ready, tmp_path, one_step):
    recording(tmp_path / "take.csv")
    engine_ready.ops.gaussianspeech.add_head(with_avatar=False, frame=False)
    operators = engine_ready.ops.gaussianspeech
    # Import Face Motion asks for the file, and calls this.
    assert "UNDO" not in engine_ready.types.GAUSSIANSPEECH_OT_import_motion.bl_options
    one_step(operators.load_motion, filepath=str(tmp_path / "take.csv"))


def test_characters(blender, tmp_path, one_step):
    face = make_mesh(blender, "Face", ARKIT)
    rig = make_armature(blender, "Rig", face_bones())
    select(blender, face, rig)
    operators = blender.ops.gaussianspeech
    one_step(operators.use_character)
    operators.save_mapping(filepath=str(tmp_path / "m.json"))
    one_step(operators.remove_mapping_row)
    one_step(operators.add_mapping_row)
    one_step(operators.load_mapping, filepath=str(tmp_path / "m.json"))
    one_step(operators.propose_mapping)
    one_step(operators.forget_character)


class Cancelled:
    """Runs a task as a window does, and presses Escape while it bakes."""

    def __init__(self, blender, addon):
        self.blender, self.futures = blender, addon("speech.bake_queue")
        manager = blender.context.window_manager
        self.status = manager.gaussianspeech_status
        self.context = SimpleNamespace(
            window_manager=SimpleNamespace(
                windows=[],
                gaussianspeech_status=self.status,
                event_timer_remove=lambda _timer: None,
            ),
            workspace=SimpleNamespace(status_text_set=lambda _text: None),
            scene=blender.context.scene,
            view_layer=blender.context.view_layer,
        )

    def __call__(self, task):
        task._future, task._timer = task.begin(self.blender.context), None
        task.report = lambda *_said: None
        while not isinstance(task._future, self.futures.BakeFuture):
            task._future.wait(60)
            assert task.modal(self.context, SimpleNamespace(type="TIMER")) == {"PASS_THROUGH"}
        self.status.cancel_asked = True
        return task.modal(self.context, SimpleNamespace(type="TIMER"))


@pytest.fixture
def cancelled(blender, addon):
    return Cancelled(blender, addon)


def test_a_prediction_that_is_cancelled_while_it_bakes_is_no_step(
    audible, addon, head, asked, ramp, cancelled, slices
):
    add_strips(audible, ramp, 1)
    audible.ops.gaussianspeech.lines_from_strips(predict=False)
    before = state(audible)
    ops = addon("speech.ops")

    class Task(ops.LinesTask):
        def begin(self, context):
            return self.start(context, [line_of(head)])

    assert cancelled(Task()) == {"CANCELLED"}
    assert state(audible) == before


def test_the_line_that_a_cancelled_prediction_has_added_is_a_step(
    audible, addon, head, asked, ramp, cancelled, slices
):
    head.gaussianspeech_speech.filepath = ""
    ops = addon("speech.ops")

    class Task(ops.LinesTask):
        def begin(self, context):
            line = self.ensured_line(head)
            line.source, line.filepath = "FILE", str(ramp)
            return self.start(context, [line])

    assert cancelled(Task()) == {"FINISHED"}
    assert len(head.gaussianspeech_lines) == 1


def test_an_import_of_motion_that_is_cancelled_while_it_bakes_is_no_step(
    engine_ready, addon, tmp_path, cancelled, slices
):
    recording(tmp_path / "take.csv")
    engine_ready.ops.gaussianspeech.add_head(with_avatar=False, frame=False)
    for name in ("a", "b"):
        addon("speech.line_list").add_line(engine_ready.context.object, name)
    engine_ready.context.object.gaussianspeech_active_line = 0
    before = state(engine_ready)

    class Task(addon("export.import_ops").ImportMotionTask):
        filepath, rate, sound, know_offset = str(tmp_path / "take.csv"), 0, "", False

    assert cancelled(Task()) == {"CANCELLED"}
    assert state(engine_ready) == before
    assert engine_ready.context.object.gaussianspeech_active_line == 0
