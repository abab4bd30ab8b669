# SPDX-License-Identifier: GPL-3.0-or-later
"""What every operator has: a verb, a description, an undo step, a reason where it is grey."""

from __future__ import annotations

import ast
import inspect
import textwrap

import pytest

from tests.blender_addon.conftest import PACKAGE

CHANGES_NOTHING = {
    *("cancel", "dismiss", "check_engine", "restart_engine", "open_log", "set_up_engine"),
    *("cancel_set_up", "remove_engine", "open_set_up_log", "copy_install_command", "doctor"),
    *("copy_report", "report_problem", "open_documentation", "save_mapping", "add_mapping_preset"),
    *("remove_mapping_preset", "add_preset", "live", "live_record", "export", "write_export"),
    *("cancel_job", "end_job", "resume_job", "remove_job", "open_job", "refresh_jobs"),
    *("train_avatar", "train_person", "train_speech", "train_joint", "make_capture"),
    "person_from_video",
    "viewport_render",
}
"""Operators that leave the data of the file as they are: there is nothing to undo."""
ASKS_FOR_A_FILE = {
    *("open_head", "open_avatar", "open_folder", "open_person", "save_avatar", "import_motion"),
    "import_poses",
}
"""Operators that call another, which undoes, with the file that was chosen."""
VERBS = {
    *(
        "Add",
        "Apply",
        "Bake",
        "Bind",
        "Cancel",
        "Check",
        "Copy",
        "Dismiss",
        "Duplicate",
        "Edit",
        "End",
    ),
    *("Export", "Follow", "Forget", "Hide", "Hold", "Import", "Load", "Make", "Move", "Open"),
    *("Predict", "Propose", "Recognise", "Record", "Refine", "Refresh", "Remove", "Render"),
    *(
        "Report",
        "Restart",
        "Resume",
        "Run",
        "Save",
        "Set",
        "Show",
        "Speak",
        "Start",
        "Stop",
        "Train",
    ),
    *("Train", "Unbind", "Update", "Use", "Write"),
}


def operators(blender, addon):
    return [cls for cls in addon("registration").CLASSES if issubclass(cls, blender.types.Operator)]


def name_of(cls):
    return cls.bl_idname.removeprefix("gaussianspeech.")


@pytest.fixture
def all_operators(blender, addon):
    return operators(blender, addon)


def test_every_label_is_a_verb_and_its_object(all_operators):
    for cls in all_operators:
        verb, _, rest = cls.bl_label.partition(" ")
        assert verb in VERBS, f"{cls.bl_idname}: {cls.bl_label}"
        assert rest, f"{cls.bl_idname}: {cls.bl_label} does not say what"
        assert "…" not in cls.bl_label, cls.bl_idname
    labels = [cls.bl_label for cls in all_operators if "INTERNAL" not in options(cls)]
    assert len(set(labels)) == len(labels)


def options(cls):
    return getattr(cls, "bl_options", {"REGISTER"})


def test_every_operator_has_a_description(all_operators):
    for cls in all_operators:
        described = getattr(cls, "bl_description", "") or hasattr(cls, "description")
        assert described, cls.bl_idname
        assert not str(getattr(cls, "bl_description", "")).endswith("."), cls.bl_idname


def test_what_changes_the_file_can_be_undone(all_operators):
    for cls in all_operators:
        undone = name_of(cls) not in CHANGES_NOTHING | ASKS_FOR_A_FILE
        assert ("UNDO" in options(cls)) == undone, cls.bl_idname


def empty(_blender):
    """Nothing at all."""


def a_mesh(blender):
    blender.ops.mesh.primitive_cube_add()


def a_head_that_is_edited(blender):
    a_head(blender)
    blender.ops.object.mode_set(mode="EDIT")


def a_head(blender):
    blender.ops.mesh.primitive_cube_add()
    obj = blender.context.object
    known = obj.gaussianspeech_head
    known.id, known.source, known.vertex_count = "default", "default", len(obj.data.vertices)


def a_character(blender):
    blender.ops.mesh.primitive_cube_add()
    for key in ("Basis", "A", "I", "U", "E", "O"):
        blender.context.object.shape_key_add(name=key)
    blender.ops.gaussianspeech.use_character()


def something_under_way(blender):
    a_head(blender)
    status = blender.context.window_manager.gaussianspeech_status
    status.busy, status.task = True, "Predicting speech"


@pytest.mark.parametrize(
    "state", [empty, a_mesh, a_head, a_head_that_is_edited, a_character, something_under_way]
)
def test_a_grey_button_says_why(blender, all_operators, state):
    state(blender)
    try:
        for cls in all_operators:
            operator = getattr(blender.ops.gaussianspeech, name_of(cls))
            if operator.poll():
                continue
            with pytest.raises(RuntimeError, match=r"poll\(\)") as caught:
                operator()
            assert "context is incorrect" not in str(caught.value), cls.bl_idname
    finally:
        blender.context.window_manager.gaussianspeech_status.busy = False


def test_what_needs_a_selection_is_grey_without_one(blender, all_operators):
    needing = ("require_speaker(", "require_part(")
    for cls in all_operators:
        if any(name in inspect.getsource(cls) for name in needing):
            assert not getattr(blender.ops.gaussianspeech, name_of(cls)).poll(), cls.bl_idname


def drawn_in_menus(blender, addon):
    """The operators in the menus of the add-on, and in its entries of Blender's menus."""
    found = set()
    for cls in addon("registration").CLASSES:
        if issubclass(cls, blender.types.Menu):
            names = getattr(cls, "operators", ())
            found |= {f"gaussianspeech.{name}" for name in names}
    for name in dir(blender.types):
        if "_MT_" not in name:
            continue
        for draw in getattr(getattr(blender.types, name).draw, "_draw_funcs", ()):
            if draw.__module__.startswith(f"{PACKAGE}."):
                source = textwrap.dedent(inspect.getsource(draw))
                module = inspect.getmodule(draw)
                for node in ast.walk(ast.parse(source)):
                    if isinstance(node, ast.Attribute) and node.attr == "bl_idname":
                        found.add(eval(ast.unparse(node), vars(module)))
    return found


def test_menu_search_finds_every_operator(blender, addon, all_operators):
    found = drawn_in_menus(blender, addon)
    for cls in all_operators:
        if "INTERNAL" not in options(cls) and name_of(cls) not in ONLY_IN_LISTS:
            assert cls.bl_idname in found, cls.bl_idname
    known = {cls.bl_idname for cls in all_operators}
    assert {name for name in found if name.startswith("gaussianspeech.")} <= known


ONLY_IN_LISTS = {
    *("use_mapping_preset", "remove_mapping_preset", "add_preset", "apply_preset"),
    "lines_from_folder",
}
"""Of a preset, which its own menu lists, and of a folder, which a dialog asks for first."""


def test_an_error_is_past_when_another_object_is_active(blender, addon):
    status = addon("status")
    a_head(blender)
    first = blender.context.object
    status.set_error(blender.context, status.BadInputError("Wrong.", "Right it."))
    assert status.shows_error(blender.context)
    blender.ops.mesh.primitive_cube_add()
    assert not status.shows_error(blender.context)
    blender.context.view_layer.objects.active = first
    assert status.shows_error(blender.context)
    blender.ops.gaussianspeech.dismiss()
    assert not status.shows_error(blender.context)
    assert not blender.ops.gaussianspeech.dismiss.poll()


def test_what_was_done_is_past_once_another_object_is_active(blender, addon):
    status = addon("status")
    head, other = (blender.data.objects.new(name, None) for name in ("Head", "Other"))
    for obj in (head, other):
        blender.context.collection.objects.link(obj)
    active = blender.context.view_layer.objects
    active.active = head
    status.set_message(blender.context, "Closed the keys of 'Line'")
    assert status.shown_result(blender.context) == "Closed the keys of 'Line'"
    active.active = other
    assert status.shown_result(blender.context) == ""
    active.active = head
    status.set_error(blender.context, status.BadInputError("The strip is gone."))
    assert status.shown_result(blender.context) == ""


def test_what_was_done_is_past_once_it_is_undone_and_an_error_is_not(blender, addon):
    status, context = addon("status"), blender.context
    undo = blender.ops.ed
    undo.undo_push(message="one")
    undo.undo_push(message="two")
    for step in (undo.undo, undo.redo):
        status.set_message(context, "Added 'Line'")
        step()
        assert status.shown_result(context) == ""
    status.set_error(context, status.BadInputError("The strip is gone."))
    undo.undo()
    assert status.get_status(context).message == "The strip is gone."


def test_what_was_said_of_a_file_is_past_with_it(blender, addon):
    status = addon("status")
    status.set_error(blender.context, status.BadInputError("The strip is gone."))
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    assert status.get_status(blender.context).message == ""


def test_an_error_is_past_after_the_next_success(blender, addon):
    status = addon("status")
    status.set_error(blender.context, status.BadInputError("Wrong.", "Right it."))
    a_head(blender)
    blender.ops.gaussianspeech.add_line()
    assert not blender.context.window_manager.gaussianspeech_status.is_error


def test_no_name_that_blender_has_for_something_else_is_taken(blender, addon):
    """Of two with a name, Blender's own is what ``self.name`` gives."""
    callbacks = {
        *("poll", "execute", "invoke", "modal", "draw", "check", "cancel", "description"),
        *(
            "draw_header",
            "draw_header_preset",
            "draw_item",
            "filter_items",
            "update",
            "render",
            "view_draw",
        ),
        *("view_update", "update_render_passes", "name"),
    }
    clashes = set()
    for cls in addon("registration").CLASSES:
        base = next(
            base for base in cls.__mro__ if base.__module__.endswith(("bpy_types", "bpy.types"))
        )
        known = {each.identifier for each in (*base.bl_rna.properties, *base.bl_rna.functions)}
        own = {
            name
            for part in cls.__mro__
            if part.__module__.startswith(PACKAGE)
            for name in (*vars(part), *vars(part).get("__annotations__", ()))
        }
        taken = own & known - callbacks
        clashes |= {f"{cls.__name__}.{name}" for name in taken if not name.startswith("bl_")}
        if "check" in own & known:
            assert list(inspect.signature(cls.check).parameters)[1].endswith("context"), cls
    assert not clashes
