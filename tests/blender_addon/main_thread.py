# SPDX-License-Identifier: GPL-3.0-or-later
r"""How long each operator and callback keeps Blender's main thread, in a real window.

    blender --enable-event-simulate --window-geometry 0 0 1600 1000 \
        --python tests/blender_addon/main_thread.py -- VOICE.wav FOLDER

The extension must be installed and its engine Python set (or GAUSSIANSPEECH_PYTHON be defined). It
works through the add-on by itself, writes FOLDER/main_thread.txt (what took how long, what was over
its limit, what was never run, what answered with an error), prints it, and ends Blender.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import addon_utils
import bpy

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "tour")]
from own_character import add_character  # noqa: E402
from walking import (  # noqa: E402
    Condition,
    area,
    idle,
    inside,
    run,
    seconds,
    show_sidebar,
    status,
    window,
)

from tests.blender_addon.stopwatch import LIMITS, Stopwatch, table  # noqa: E402

PACKAGE = "bl_ext.user_default.gaussianspeech"
VOICE, FOLDER = (Path(argument).resolve() for argument in sys.argv[sys.argv.index("--") + 1 :][:2])
PATIENCE = 120.0
"""Seconds to wait for one step before giving up."""

WATCH = Stopwatch()
errors: list[str] = []
"""What operators said that did not finish."""


def enable() -> tuple[type, ...]:
    """Enable the add-on anew, so that its timers and handlers are watched from the first."""
    addon_utils.disable(PACKAGE)
    addon_utils.enable(PACKAGE)
    return sys.modules[f"{PACKAGE}.blender_addon.registration"].CLASSES


def call(name: str, *, invoke: bool = True, **options: Any) -> Iterator[Condition]:
    """Run an operator as its button does, and wait until it has ended."""
    operator = getattr(bpy.ops.gaussianspeech, name)
    with inside("VIEW_3D"):
        if not operator.poll():
            errors.append(f"{name}: cannot be pressed")
            return
        try:
            operator("INVOKE_DEFAULT" if invoke else "EXEC_DEFAULT", **options)
        except RuntimeError as error:
            errors.append(f"{name}: {str(error).strip()}")
    yield idle
    if status().is_error:
        errors.append(f"{name}: {status().message}")
    close_file_browser()
    yield from seconds(0.5)


def close_file_browser() -> None:
    """Operators that ask for a file open a browser over the window."""
    for opened in bpy.context.window_manager.windows:
        for found in opened.screen.areas:
            if found.type == "FILE_BROWSER":
                region = next(region for region in found.regions if region.type == "WINDOW")
                with bpy.context.temp_override(window=opened, area=found, region=region):
                    bpy.ops.file.cancel()
                return


def select(*objects: bpy.types.Object) -> None:
    """Select objects, the first of which becomes active."""
    with inside("VIEW_3D"):
        bpy.ops.object.select_all(action="DESELECT")
        for obj in objects:
            obj.select_set(True)
        bpy.context.view_layer.objects.active = objects[0]


def slide(owner: bpy.types.PropertyGroup) -> Iterator[Condition]:
    """Drag every slider that does something at once."""
    for prop in owner.bl_rna.properties:
        if prop.type != "FLOAT" or prop.is_readonly or prop.is_array:
            continue
        before = getattr(owner, prop.identifier)
        for part in (0.25, 0.5, 0.75):
            with WATCH.lap("slider", f"{type(owner).__name__}.{prop.identifier}"):
                value = prop.soft_min + part * (min(prop.soft_max, 10.0) - prop.soft_min)
                setattr(owner, prop.identifier, value)
            yield lambda: True
        setattr(owner, prop.identifier, before)


def play(duration: float) -> Iterator[Condition]:
    """Play the animation for some seconds."""
    with inside("VIEW_3D"):
        bpy.ops.screen.animation_play()
    yield from seconds(duration)
    with inside("VIEW_3D"):
        bpy.ops.screen.animation_cancel(restore_frame=False)


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
    yield from play(3)
    yield from call("live", sound=str(VOICE))
    yield from seconds(3)
    yield from call("live_record")
    yield from seconds(3)
    yield from call("live_stop")


def rendering() -> Iterator[Condition]:
    """Avatars, the viewport that draws them, and the composite."""
    yield from call("portrait_camera")
    yield from call("bind_avatar")
    yield from call("copy_avatar", filepath=str(FOLDER / "copy.safetensors"))
    yield from call("save_avatar")
    yield from call("open_avatar")
    yield from call("set_up_composite")
    yield from call("remove_composite")
    yield from call("render_avatars")
    area("VIEW_3D").spaces.active.shading.type = "RENDERED"
    yield from seconds(15)
    yield from play(4)
    area("VIEW_3D").spaces.active.shading.type = "SOLID"
    yield from call("unbind_avatar")


def characters() -> Iterator[Condition]:
    """A character of the artist's own speaks, too."""
    with inside("VIEW_3D"):
        face, teeth = add_character(bpy.context, "Elf")
    select(face, teeth)
    yield from call("use_character")
    yield from call("add_mapping_row")
    yield from call("remove_mapping_row")
    yield from call("save_mapping")
    yield from call("save_mapping", invoke=False, filepath=str(FOLDER / "elf.json"))
    yield from call("load_mapping")
    yield from call("load_mapping", invoke=False, filepath=str(FOLDER / "elf.json"))
    yield from call("import_sound", invoke=False, filepath=str(VOICE))
    yield from call("predict")
    yield from slide(face.gaussianspeech_speech)
    yield from play(3)
    yield from exports()
    yield from call("forget_character")


def exports() -> Iterator[Condition]:
    """Every format."""
    yield from call("export")
    for kind in ("ABC", "USD", "GLB", "NPZ"):
        yield from call("export", invoke=False, format=kind, filepath=str(FOLDER / f"made{kind}"))


def trainings() -> Iterator[Condition]:
    """The list of jobs, and one that is started, stopped and removed."""
    training = bpy.context.scene.gaussianspeech_training
    for kind in ("SPEECH", "JOINT", "CAPTURE", "AVATAR"):
        training.kind = kind
        yield from seconds(0.5)
    for name in ("train_avatar", "train_speech", "train_joint"):
        yield from call(name, data=str(FOLDER / "nowhere"))
    yield from call("make_capture", title="quick", scale=0.02, cameras=2, timesteps=1)
    jobs = bpy.context.window_manager.gaussianspeech_jobs
    yield lambda: bool(jobs.entries)
    job = jobs.entries[0].name
    for name in ("refresh_jobs", "cancel_job", "end_job", "resume_job", "end_job", "open_job"):
        yield from call(name, **({} if name == "refresh_jobs" else {"job": job}))
        yield from seconds(2)
    yield from call("use_job", job=job, kind="CAPTURE")
    yield from call("remove_job", invoke=False, job=job)
    yield from seconds(2)


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
        yield from show_sidebar()
        for part in (speaking, rendering, characters, trainings):
            yield from part()
        for name in ("open_log", "open_documentation", "open_set_up_log", "restart_engine"):
            yield from call(name)
        classes = sys.modules[f"{PACKAGE}.blender_addon.registration"].CLASSES
        (FOLDER / "main_thread.txt").write_text(report(classes), "utf-8")
        print(report(classes), flush=True)


def report(classes: tuple[type, ...]) -> str:
    """The table, and what it lacks."""
    laps = WATCH.laps
    over = [lap for lap in laps if lap.too_long]
    operators = {cls.bl_idname for cls in classes if issubclass(cls, bpy.types.Operator)}
    run_ones = {lap.name.rpartition(".")[0] for lap in laps if lap.kind == "operator"}
    limits = ", ".join(f"{kind} {limit:g} ms" for kind, limit in LIMITS.items())
    return "\n".join(
        [
            f"Blender {bpy.app.version_string}; limits: {limits}; ! is over.",
            table(laps),
            f"Over their limits: {len(over)} of {len(laps)}",
            f"Never run: {', '.join(sorted(operators - run_ones)) or 'none'}",
            "Errors, some of them meant:",
            *errors,
        ]
    )


run(walk(), FOLDER, PATIENCE)
