# SPDX-License-Identifier: GPL-3.0-or-later
r"""How long each operator and callback keeps Blender's main thread, in a real window.

    blender --enable-event-simulate --window-geometry 0 0 1600 1000 \
        --python tests/blender_addon/main_thread.py -- VOICE.wav FOLDER [--strict]

The extension must be installed and its engine Python set (or GAUSSIANSPEECH_PYTHON be defined). It
works through the add-on by itself, writes FOLDER/main_thread.txt (what took how long, what was over
its limit, what was never run, what answered with an error), prints it, and ends Blender; with
``--strict`` by exit code 1 where anything was over its limit, or was neither run nor in
``unmeasured.py``.
"""

from __future__ import annotations

import os
import shutil
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parents[2] / "docs" / "tour"))
from own_character import add_character
from walking import (
    Condition,
    area,
    idle,
    inside,
    run,
    seconds,
    show_sidebar,
    window,
)

from tests.blender_addon.pressing import (
    PACKAGE,
    WATCH,
    call,
    close_file_browser,
    confirm,
    enable,
    errors,
    escape,
    menus,
    part,
    play,
    select,
    slide,
    undo_and_redo,
    was_run,
)
from tests.blender_addon.rig_faces import face_bones, make_armature
from tests.blender_addon.stopwatch import LIMITS, table
from tests.blender_addon.unmeasured import CALLBACKS, OPERATORS

ROOT = Path(__file__).resolve().parents[2]
VOICE, FOLDER = (Path(argument).resolve() for argument in sys.argv[sys.argv.index("--") + 1 :][:2])
STRICT = "--strict" in sys.argv
PRESETS = "presets/gaussianspeech/controls"
PATIENCE = 120.0
"""Seconds to wait for one step before giving up."""

failures: list[str] = []
"""Parts of the walk that failed."""


def speaking() -> Iterator[Condition]:
    """A head, its sound, its speech, its sliders; live speech; an avatar that is drawn."""
    yield from call("check_engine")
    yield from call("doctor")
    yield from call("copy_report")
    yield from call("copy_install_command")
    yield from call("add_head")
    head = bpy.context.view_layer.objects.active
    yield from call("import_sound", invoke=False, filepath=str(VOICE))
    yield from call("import_sound")
    yield from call("predict")
    yield from slide(head.gaussianspeech_speech)
    yield from call("rebake")
    yield from call("add_preset", invoke=False, name="Main Thread")
    preset = Path(bpy.utils.user_resource("SCRIPTS", path=PRESETS)) / "Main_Thread.py"
    yield from call("apply_preset", invoke=False, filepath=str(preset))
    yield from call("add_preset", invoke=False, name="Main Thread", remove_name=True)
    yield from play(3)
    yield from timeline(head)
    yield from lines(head)
    select(head)
    yield from call("live", sound=str(VOICE))
    yield is_live
    yield from undo_and_redo()  # The values before live speech are given back and taken again.
    yield from call("live_record")
    yield from seconds(1)
    yield from call("live_stop")


def is_live() -> bool:
    """Whether live speech has begun to move the head."""
    session = part("speech.live").session()
    return session is not None and session.latest is not None


def timeline(head: bpy.types.Object) -> Iterator[Condition]:
    """Words and phones on the timeline, one that is dragged, and spans."""
    group = head.gaussianspeech_lines[0].timeline
    for markers in (True, False):
        group.markers = markers
        yield from call("show_words")
        yield from call("show_phones")
        bpy.context.scene.frame_set(40)
        yield from call("hold_closed")
        yield from call("phrase_strength")
        yield from slide(group.spans[0])
        yield from call("remove_span", index=0)
        shown = bpy.context.scene.timeline_markers if markers else bpy.context.scene.sequence_editor
        marks = list(shown if markers else shown.strips)
        mark = next(mark for mark in marks[2:] if markers or mark.type == "TEXT")
        # As a drag does; the add-on's timer sees it, and the mouth follows.
        if markers:
            mark.frame += 1
        else:
            mark.content_start += 1
        yield lambda: was_run("gaussianspeech.follow_timeline")
        yield from seconds(3)
        yield idle
        yield from call("hide_timeline")
    yield from call("recognize_again")


def lines(head: bpy.types.Object) -> Iterator[Condition]:
    """The list of lines, and many at once."""
    yield from call("add_line")
    yield from call("duplicate_line")
    yield from call("move_line", up=True)
    for _ in range(2):
        head.gaussianspeech_active_line = len(head.gaussianspeech_lines) - 1
        yield from call("remove_line")
    head.gaussianspeech_active_line = 0
    yield from slide(head.gaussianspeech_lines[0])
    head.gaussianspeech_lines[0].use_own_controls = True
    yield from slide(head.gaussianspeech_lines[0].controls)
    head.gaussianspeech_lines[0].use_own_controls = False
    yield from call("edit_line")
    yield from call("edit_line")
    yield from call("update_line")
    yield from call("update_lines")
    recordings = FOLDER / "recordings"
    recordings.mkdir(exist_ok=True)
    shutil.copy(VOICE, recordings / "second.wav")
    yield from call("open_folder")
    yield from call("lines_from_folder", directory=str(recordings), predict=False)
    yield from call("lines_from_strips", predict=False)
    script = FOLDER / "script.txt"
    script.write_text("Somebody speaks.\n" * len(head.gaussianspeech_lines), "utf-8")
    yield from confirm("texts_from_script", script)
    for strip in bpy.context.scene.sequence_editor.strips:
        strip.select = strip.type == "SOUND" and strip.name.startswith("second")
    yield from call("speak_strip", editor="SEQUENCE_EDITOR")


def rendering() -> Iterator[Condition]:
    """Avatars, the viewport that draws them, the composite, and renders."""
    head = bpy.context.view_layer.objects.active
    yield from call("portrait_camera")
    yield from call("bind_avatar")
    own = FOLDER / "own.safetensors"
    shutil.copy(ROOT / "engine" / "assets" / "default_avatar.safetensors", own)
    yield from call("bind_avatar", avatar=str(own))
    yield from call("copy_avatar", filepath=str(FOLDER / "copy.safetensors"))
    yield from confirm("save_avatar", FOLDER / "saved.safetensors")
    yield from confirm("open_avatar", own)
    yield from call("set_up_composite")
    yield from slide(head.gaussianspeech_light)
    yield from slide(bpy.context.scene.gaussianspeech_composite)
    yield from renders()
    yield from call("remove_composite")
    yield from call("render_avatars")
    area("VIEW_3D").spaces.active.shading.type = "RENDERED"
    yield from seconds(10)
    yield from play(4)
    scene = bpy.context.scene
    scene.view_settings.view_transform = "Raw"
    yield from seconds(1)
    area("VIEW_3D").spaces.active.shading.type = "SOLID"
    yield from call("unbind_avatar")


def renders() -> Iterator[Condition]:
    """A picture that is rendered, and an animation that is broken off."""
    scene = bpy.context.scene
    scene.render.engine = "BLENDER_WORKBENCH"
    scene.render.resolution_x = scene.render.resolution_y = 64
    scene.render.filepath = str(FOLDER / "frames" / "frame")
    bpy.context.preferences.view.render_display_type = "NONE"
    for animation in (False, True):
        bpy.ops.render.render("INVOKE_DEFAULT", animation=animation)
        yield from seconds(2)
        if animation:
            escape()
        yield lambda: not bpy.app.is_job_running("RENDER")


def characters() -> Iterator[Condition]:
    """A character of the artist's own speaks, too."""
    with inside("VIEW_3D"):
        face, teeth = add_character(bpy.context, "Elf")
    select(face, teeth)
    yield from call("use_character")
    yield from call("propose_mapping")
    yield from call("add_mapping_row")
    yield from call("remove_mapping_row")
    yield from call("add_mapping_preset", invoke=False, name="Main Thread")
    yield from call("use_mapping_preset", name="Main Thread")
    yield from call("remove_mapping_preset", name="Main Thread")
    yield from confirm("save_mapping", FOLDER / "elf.json")
    yield from confirm("load_mapping", FOLDER / "elf.json")
    yield from call("import_sound", invoke=False, filepath=str(VOICE))
    yield from call("predict")
    yield from slide(face.gaussianspeech_speech)
    yield from play(3)
    yield from exports()
    yield from call("forget_character")
    with inside("VIEW_3D"):
        rig = make_armature(bpy, "Rig", face_bones())
    select(rig)
    yield from call("use_character")
    for row in rig.gaussianspeech_character.rows:
        yield from slide(row)
    yield from call("forget_character")
    select(face)


def exports() -> Iterator[Condition]:
    """Every format out, and a performance in."""
    yield from call("export")
    formats = part("export.formats").FORMATS
    for kind, known in formats.items():
        yield from confirm("export", FOLDER / f"made{known.suffix}", format=kind)
    yield from call("write_export", format="CSV", filepath=str(FOLDER / "again.csv"))
    yield from confirm("import_motion", FOLDER / "made.csv")
    yield from call("load_motion", filepath=str(FOLDER / "made.csv"))
    yield from call("import_poses")
    yield from call("load_poses", filepath=str(FOLDER / "nowhere.csv"))
    yield from call("dismiss", invoke=False)


def trainings() -> Iterator[Condition]:
    """The list of jobs, and one that is started, stopped and removed."""
    training = bpy.context.scene.gaussianspeech_training
    for kind in ("SPEECH", "JOINT", "CAPTURE", "VIDEO", "AVATAR"):
        training.kind = kind
        yield from seconds(0.5)
    for name in ("train_avatar", "train_speech", "train_joint", "train_person"):
        yield from call(name, data=str(FOLDER / "nowhere"))
    yield from confirm("person_from_video", FOLDER / "nowhere.mp4")
    yield from call("make_capture", title="quick", scale=0.02, cameras=2, timesteps=1)
    jobs = bpy.context.window_manager.gaussianspeech_jobs
    yield lambda: bool(jobs.entries)
    job = jobs.entries[0].name
    jobs.index, jobs.show_log = 0, True
    yield from seconds(2)
    yield from slide(jobs)
    for name in ("refresh_jobs", "cancel_job", "end_job", "resume_job", "end_job", "open_job"):
        yield from call(name, **({} if name == "refresh_jobs" else {"job": job}))
        yield from seconds(2)
        escape()  # Some ask first.
    yield from call("use_job", job=job, kind="CAPTURE")
    yield from call("remove_job", invoke=False, job=job)
    yield from seconds(2)


def set_ups() -> Iterator[Condition]:
    """A set-up of the engine that is cancelled, and removed; never one that is there."""
    environment = part("engine_link.session").environment_folder()
    if environment.exists():
        failures.append("This Blender has an engine that was set up, which is not to be removed.")
        return
    wheels = FOLDER / "wheels"
    wheels.mkdir(exist_ok=True)
    session = part("setup.session")
    yield from call("set_up_engine", invoke=False, wheels=str(wheels))
    yield lambda: environment.exists() or session.under_way() is None
    yield from call("cancel_set_up")
    yield lambda: session.under_way() is None
    for name in ("open_set_up_log", "remove_engine"):
        yield from call(name, invoke=False)
    yield from seconds(5)


def others() -> Iterator[Condition]:
    """What is left."""
    for name in ("open_log", "open_documentation", "report_problem", "restart_engine"):
        yield from call(name)
    yield from call("add_person", person=str(FOLDER / "nobody"))
    for name in ("open_person", "open_head", "set_up_engine"):  # The last stays open.
        yield from call(name)
    escape()
    yield from seconds(1)


def state() -> Iterator[Condition]:
    """Undo and redo, a file that is saved, and opened again while the engine is at work."""
    yield from undo_and_redo()
    saved = str(FOLDER / "saved.blend")
    bpy.ops.wm.save_as_mainfile(filepath=saved, copy=True)
    head = next(obj for obj in bpy.data.objects if obj.gaussianspeech_head.id)
    select(head)
    head.gaussianspeech_active_line = 0  # The one that was recorded live has no sound.
    with inside("VIEW_3D"):
        bpy.ops.gaussianspeech.predict("INVOKE_DEFAULT")
    yield from seconds(0.5)
    yield from call("cancel")
    with inside("VIEW_3D"):
        bpy.ops.gaussianspeech.predict("INVOKE_DEFAULT")
    yield from seconds(0.5)
    bpy.ops.wm.open_mainfile(filepath=saved)  # It ends the walk's timer: no more steps.


def whole(steps: Callable[[], Iterator[Condition]]) -> Iterator[Condition]:
    """A part of the walk; where it fails the others are still walked, and the report says so."""
    try:
        yield from steps()
    except Exception:  # noqa: BLE001 - whatever it is, it is in the report
        failures.append(f"{steps.__name__} failed: {traceback.format_exc()}")
        yield from close_file_browser()


def walk() -> Iterator[Condition]:
    """Everything, watched."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    jobs = FOLDER / "jobs"
    shutil.rmtree(jobs, ignore_errors=True)
    for thing in list(bpy.data.objects):
        if thing.type == "MESH":
            bpy.data.objects.remove(thing)
    bpy.context.preferences.view.filebrowser_display_type = "SCREEN"
    window().workspace = bpy.data.workspaces["Animation"]
    yield from seconds(1)
    views = [area for area in window().screen.areas if area.type == "VIEW_3D"]
    min(views, key=lambda area: area.x).type = "SEQUENCE_EDITOR"
    with ExitStack() as stack:
        stack.enter_context(WATCH.watching(PACKAGE, enable))
        bpy.context.preferences.addons[PACKAGE].preferences.jobs_folder = str(jobs)
        for editor in ("SEQUENCE_EDITOR", "VIEW_3D"):
            yield from show_sidebar(editor)
        for steps in (speaking, rendering, characters, menus, trainings, set_ups, others, state):
            yield from whole(steps)
        classes = part("registration").CLASSES
        (FOLDER / "main_thread.txt").write_text(report(classes), "utf-8")
        print(report(classes), flush=True)
        missed = failures or never_run(classes) or never_called()
        if STRICT and (missed or any(lap.too_long for lap in WATCH.laps)):
            os._exit(1)  # Blender has no other way to end with a code of its own from a timer.


def never_run(classes: tuple[type, ...]) -> set[str]:
    """Operators that were not run, and are not known not to be."""
    operators = {cls.bl_idname for cls in classes if issubclass(cls, bpy.types.Operator)}
    run_ones = {lap.name.rpartition(".")[0] for lap in WATCH.laps if lap.kind == "operator"}
    return operators - run_ones - set(OPERATORS)


def never_called() -> set[str]:
    """Callbacks that were not called, and are not known not to be."""
    missed = WATCH.watched - {lap.name for lap in WATCH.laps}
    return missed - set(CALLBACKS)


def report(classes: tuple[type, ...]) -> str:
    """The table, and what it lacks."""
    laps = WATCH.laps
    over = [lap for lap in laps if lap.too_long]
    limits = ", ".join(f"{kind} {limit:g} ms" for kind, limit in LIMITS.items())
    return "\n".join(
        [
            f"Blender {bpy.app.version_string}; limits: {limits}; ! is over.",
            table(laps),
            f"Over their limits: {len(over)} of {len(laps)}",
            f"Never run: {', '.join(sorted(never_run(classes))) or 'none'}",
            f"Never called: {', '.join(sorted(never_called())) or 'none'}",
            *(
                f"Not run: {name}: {reason}"
                for name, reason in sorted((OPERATORS | CALLBACKS).items())
            ),
            "Errors, some of them meant:",
            *errors,
            *failures,
        ]
    )


run(walk(), FOLDER, PATIENCE)
