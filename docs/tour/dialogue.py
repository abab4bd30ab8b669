# SPDX-License-Identifier: GPL-3.0-or-later
r"""Makes the user guide's pictures: a dialogue of two characters, from two meshes to its render.

    blender --enable-event-simulate --window-geometry 0 0 1400 1050 \
        --python docs/tour/dialogue.py -- VOICE.wav FOLDER

The extension must be installed and its engine Python set (or GAUSSIANSPEECH_PYTHON be defined).
VOICE is engine/assets/sample_voice.wav, which is cut into the three lines. It goes by itself, and
checks what each picture shows: where something is otherwise, it says so and Blender ends with 1.
"""

from __future__ import annotations

import sys
import wave
from collections.abc import Iterator
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from mouths import (
    check_same,
    closing,
    keys_of,
    line_of,
    open_frame,
    opening,
    own_keys,
    values,
)
from own_character import add_character
from puppet import add_puppet
from vrm_names import rename_as_vrm
from walking import (
    Condition,
    area,
    arguments,
    check,
    choose,
    done,
    inside,
    press,
    run,
    scroll_sidebar,
    seconds,
    shoot,
    show_sidebar,
    status,
    widen_sidebar,
    window,
)

VOICE, FOLDER = arguments("VOICE.wav", "FOLDER")
PATIENCE = 240.0
"""Seconds to wait for one step before giving up."""

LINES = {"voice": (0.0, 1.41), "mouth": (1.41, 3.04), "boom": (3.04, 5.84)}
"""Seconds of the sample voice in which each line is said."""
PAUSE = 12
"""Frames between two lines."""


def cut() -> dict[str, Path]:
    """The lines as files of their own."""
    made = {}
    with wave.open(str(VOICE)) as whole:
        for name, (start, end) in LINES.items():
            whole.setpos(round(start * whole.getframerate()))
            sound = whole.readframes(round((end - start) * whole.getframerate()))
            made[name] = FOLDER / f"{name}.wav"
            with wave.open(str(made[name]), "wb") as part:
                part.setparams(whole.getparams())
                part.writeframes(sound)
    return made


def select(*objects: bpy.types.Object) -> None:
    """Select objects, the first of which becomes active."""
    with inside("VIEW_3D"):
        bpy.ops.object.select_all(action="DESELECT")
    for obj in objects:
        obj.select_set(True)
    bpy.context.view_layer.objects.active = objects[0]


def frame_view(scale: float) -> None:
    space = area("VIEW_3D").spaces.active
    space.shading.type = "SOLID"
    space.shading.color_type = "MATERIAL"
    space.lens = 100.0
    space.overlay.show_floor = space.overlay.show_axis_x = space.overlay.show_axis_y = False
    space.overlay.show_cursor = space.overlay.show_relationship_lines = False
    with inside("VIEW_3D"):
        bpy.ops.view3d.view_axis(type="FRONT")
        bpy.ops.view3d.view_all()
    space.region_3d.view_perspective = "PERSP"
    space.region_3d.view_distance *= scale


def lay_out() -> Iterator[Condition]:
    """The 3D view above the sequencer, and nothing else in the window."""
    window().workspace = bpy.data.workspaces["Layout"]
    yield from seconds(1)
    for kind in ("OUTLINER", "PROPERTIES", "DOPESHEET_EDITOR"):
        with inside(kind):
            bpy.ops.screen.area_close()
        yield from seconds(0.5)
    with inside("VIEW_3D"):
        bpy.ops.screen.area_split(direction="HORIZONTAL", factor=0.3)
    yield from seconds(0.5)
    views = [found for found in window().screen.areas if found.type == "VIEW_3D"]
    min(views, key=lambda found: found.y).type = "SEQUENCE_EDITOR"
    yield from seconds(0.5)
    area("SEQUENCE_EDITOR").spaces.active.timeline_overlay.show_strip_source = False


def two_characters() -> Iterator[Condition]:
    """Pip has ARKit's shape keys, its teeth apart; the elf has those of a VRM."""
    for thing in list(bpy.data.objects):
        bpy.data.objects.remove(thing)
    bpy.ops.wm.save_as_mainfile(filepath=str(FOLDER / "dialogue.blend"))
    yield from lay_out()
    with inside("VIEW_3D"):
        elf, elf_teeth = add_character(bpy.context, "Elf")
        rename_as_vrm(elf, elf_teeth)
        pip, teeth = add_puppet(bpy.context, "Pip")
    for obj, x, z in ((pip, -0.13, 0), (teeth, -0.13, 0), (elf, 0.13, 0), (elf_teeth, 0.13, 0)):
        obj.location = (x, 0, z)
    frame_view(0.62)
    yield from show_sidebar()
    yield from widen_sidebar(90)
    shoot(FOLDER, "1-meshes")
    yield from press("use_character")
    rows = {obj: obj.gaussianspeech_character.rows for obj in (pip, teeth)}
    check(len(rows[pip]) == 52, f"Pip has {len(rows[pip])} of ARKit's shape keys")
    check(len(rows[teeth]) == 5, f"Pip's teeth have {len(rows[teeth])} rows")
    yield from seconds(1)
    shoot(FOLDER, "2-arkit")
    select(elf, elf_teeth)
    yield from press("use_character")
    shown = {row.name: row.pose for row in elf.gaussianspeech_character.rows}
    check(shown.get("Fcl_MTH_A") == "aa", f"What the elf shows: {shown}")
    source = elf.gaussianspeech_character.convention
    check(source == "VRoid", f"The elf's names are those of {source}")
    yield from seconds(1)
    shoot(FOLDER, "3-vrm")


def three_lines() -> Iterator[Condition]:
    """Each line is a strip at the frame where it is said."""
    pip, elf = bpy.data.objects["Pip"], bpy.data.objects["Elf"]
    sounds, scene = cut(), bpy.context.scene
    frame = 1
    for speaker, name in ((pip, "voice"), (elf, "mouth"), (pip, "boom")):
        select(speaker)
        scene.frame_set(frame)
        with inside("VIEW_3D"):
            bpy.ops.gaussianspeech.import_sound(filepath=str(sounds[name]))
        yield from press("predict")
        start, end = LINES[name]
        frame += round((end - start) * scene.render.fps) + PAUSE
    scene.frame_end = frame
    with inside("SEQUENCE_EDITOR"):
        bpy.ops.sequencer.view_all()
    spoken = [(obj.name, line.name) for obj in (pip, elf) for line in obj.gaussianspeech_lines]
    check(spoken == [("Pip", "voice"), ("Pip", "boom"), ("Elf", "mouth")], f"Lines: {spoken}")
    for obj, frames in ((pip, range(1, 30)), (elf, range(46, 84))):
        widest = max(np.ptp(value) for value in values(obj, frames).values())
        check(widest > 0.2, f"{obj.name}'s line moves its keys by {widest} only")
    quiet = max(np.ptp(value) for value in values(elf, range(1, 36)).values())
    check(quiet < 0.01, f"The elf moves by {quiet} while Pip speaks")
    scene.frame_set(open_frame(pip, "boom"))
    yield from scroll_sidebar(14)
    yield from seconds(1)
    shoot(FOLDER, "4-lines")


def hand_edit() -> Iterator[Condition]:
    """A smile that an artist keys stays through ten moves of a slider."""
    pip, scene = bpy.data.objects["Pip"], bpy.context.scene
    select(pip)
    frames = line_of(pip, "boom")
    found = values(pip, frames)
    looks = found["jawOpen"] - found["mouthClose"] - found["eyeBlinkLeft"]
    middle = frames[20] + int(looks[20:-20].argmax())
    for frame, value in ((frames[0], 0), (middle - 8, 0.8), (middle + 8, 0.8), (frames[-1], 0)):
        scene.frame_set(frame)
        for side in ("Left", "Right"):
            key = keys_of(pip)[f"mouthSmile{side}"]
            key.value = value
            key.keyframe_insert("value", frame=frame)
    area("SEQUENCE_EDITOR").type = "NLA_EDITOR"
    area("NLA_EDITOR").spaces.active.show_region_ui = False
    area("NLA_EDITOR").spaces.active.dopesheet.show_only_selected = True
    yield from seconds(1)
    with inside("NLA_EDITOR"):
        bpy.ops.anim.channels_expand(all=True)
        bpy.ops.nla.view_all()
    scene.frame_set(middle)
    yield from seconds(2)
    shoot(FOLDER, "5-layers")
    keyed, jaws = own_keys(pip), []
    controls = pip.gaussianspeech_speech
    for step in range(10):
        controls.articulation = 0.5 + 0.1 * step
        yield from seconds(0.3)
        found = values(pip, frames)
        jaws.append(float(found["jawOpen"].max()))
        smile = float(found["mouthSmileLeft"][middle - frames[0]])
        check(own_keys(pip) == keyed, f"Articulation {controls.articulation} changed the keys")
        check(smile > 0.6, f"At articulation {controls.articulation} the smile is {smile}")
    check(jaws[-1] > 1.5 * jaws[0], f"The slider did not bake: the jaw opens by {jaws}")
    controls.articulation = 1.2
    for name in ("voice", "boom"):
        line_of(pip, name)
        yield from press("rebake")
    scene.frame_set(middle)
    yield from scroll_sidebar(3)
    yield from seconds(1)
    shoot(FOLDER, "6-slider")
    yield from scroll_sidebar(-40)
    area("NLA_EDITOR").type = "SEQUENCE_EDITOR"
    yield from seconds(1)


def moved_phone() -> Iterator[Condition]:
    """The b of *boom* comes two frames later, and the lips close two frames later."""
    pip, scene = bpy.data.objects["Pip"], bpy.context.scene
    select(pip)
    end = line_of(pip, "boom")[-1]
    yield from press("show_words")
    yield from press("show_phones")
    for strip in scene.sequence_editor.strips_all:
        strip.select = strip.type == "TEXT" and strip.left_handle > end - 34
    bpy.ops.file.make_paths_relative()
    overlay = area("SEQUENCE_EDITOR").spaces.active.timeline_overlay
    overlay.show_strip_name, overlay.show_strip_duration = False, False
    overlay.show_strip_source = True  # Of a text strip that is its text.
    with inside("SEQUENCE_EDITOR"):
        bpy.ops.sequencer.view_selected()
    yield from seconds(1)
    texts = [strip for strip in scene.sequence_editor.strips_all if strip.type == "TEXT"]
    said = next(strip for strip in texts if strip.text == "B")
    start = said.left_handle
    near = range(start - 2, start + 8)
    before = opening(pip, near)
    scene.frame_set(start)
    yield from seconds(1)
    shoot(FOLDER, "7-phones")
    for strip in scene.sequence_editor.strips_all:
        strip.select = strip == said
    with inside("SEQUENCE_EDITOR"):
        bpy.ops.transform.seq_slide(value=(2, 0))
    yield from seconds(3)
    yield from done("The phone")
    after = opening(pip, near)
    moved = closing(after) - closing(before)
    print("opening about the b, before and after:", before.round(2), after.round(2), flush=True)
    check(moved == 2, f"The lips close {moved} frames later")
    scene.frame_set(start)
    yield from seconds(1)
    shoot(FOLDER, "8-moved-phone")
    yield from press("hide_timeline")
    check(abs(opening(pip, near) - after).max() < 1e-4, "Hiding the phones changed the mouth")
    overlay.show_strip_name, overlay.show_strip_source = True, False


def export_and_import() -> Iterator[Condition]:
    """Out as GLB and in again beside the first, the same on every frame; as a line, too."""
    pip, scene = bpy.data.objects["Pip"], bpy.context.scene
    select(pip)
    path = FOLDER / "pip.glb"
    with inside("VIEW_3D"):
        bpy.ops.gaussianspeech.write_export(
            "INVOKE_DEFAULT", format="GLB", frames="SCENE", filepath=str(path)
        )
    yield lambda: status().fraction > 0.2
    shoot(FOLDER, "9-exporting")
    yield from done("GLB")
    there = set(bpy.data.objects)
    with inside("VIEW_3D"):
        bpy.ops.import_scene.gltf(filepath=str(path))
    come = [obj for obj in bpy.data.objects if obj not in there]
    twins = {obj.name.partition(".")[0]: obj for obj in come if obj.type == "MESH"}
    frames = range(scene.frame_start, scene.frame_end + 1)
    for first in (pip, bpy.data.objects["Pip Teeth"]):
        check_same(values(first, frames), values(twins[first.name], frames), 1e-3)
    for obj in come:
        if obj.parent is None:
            obj.location.x -= 0.26
    frame_view(0.7)
    scene.frame_set(open_frame(pip, "boom"))
    yield from seconds(1)
    shoot(FOLDER, "10-imported")
    for obj in come:
        bpy.data.objects.remove(obj)
    frame_view(0.62)
    yield from motion_file(pip, frames)


def motion_file(pip: bpy.types.Object, frames: range) -> Iterator[Condition]:
    """The same performance for another face: out as Live Link Face, in as a line."""
    select(pip)
    yield from choose(
        "write_export", format="CSV", frames="SCENE", filepath=str(FOLDER / "pip.csv")
    )
    out = values(pip, frames)
    for line in pip.gaussianspeech_lines:
        line.muted = True
    animation = pip.data.shape_keys.animation_data
    own, animation.action = animation.action, None
    # Or what was exported with the slider would get it a second time.
    pip.gaussianspeech_speech.articulation = 1.0
    bpy.context.scene.frame_set(frames[0])
    yield from choose("load_motion", filepath=str(FOLDER / "pip.csv"))
    check_same(out, values(pip, frames), 0.05)
    shoot(FOLDER, "11-motion")
    yield from press("remove_line")
    animation.action, animation.action_slot = own, own.slots[0]
    pip.gaussianspeech_speech.articulation = 1.2
    for line in pip.gaussianspeech_lines:
        line.muted = False


def rendered() -> Iterator[Condition]:
    """A picture by Cycles, and the whole dialogue with its sound."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.rotation_euler = (0.0, -1.1, 0.03), (1.5708, 0.0, 0.0)
    camera.data.lens = 60
    scene.collection.objects.link(camera)
    scene.camera = camera
    for name, at, energy in (("Key", (0.5, -0.9, 0.7), 12), ("Fill", (-0.7, -0.8, 0.2), 4)):
        light = bpy.data.objects.new(name, bpy.data.lights.new(name, "AREA"))
        light.location = at
        light.rotation_euler = (-light.location).to_track_quat("-Z", "Y").to_euler()
        light.data.energy, light.data.size = energy, 0.6
        scene.collection.objects.link(light)
    render = scene.render
    render.engine, scene.cycles.samples = "CYCLES", 24
    render.resolution_x, render.resolution_y = 960, 540
    scene.frame_set(open_frame(bpy.data.objects["Pip"], "boom"))
    still = FOLDER / "12-still.png"
    render.filepath = str(still)
    bpy.ops.render.render("INVOKE_DEFAULT", write_still=True)
    yield still.is_file
    yield from seconds(2)
    shoot(FOLDER, "13-rendering")
    yield from movie()


def movie() -> Iterator[Condition]:
    """The dialogue as a film, by Workbench, which is quickest."""
    scene, path = bpy.context.scene, FOLDER / "dialogue.mp4"
    render = scene.render
    render.engine = "BLENDER_WORKBENCH"
    scene.display.shading.color_type = "MATERIAL"
    render.image_settings.media_type = "VIDEO"
    render.ffmpeg.format, render.ffmpeg.audio_codec = "MPEG4", "AAC"
    render.resolution_x, render.resolution_y = 480, 270
    render.filepath = str(path)
    ended: list[object] = []
    bpy.app.handlers.render_complete.append(lambda *_: ended.append(True))
    bpy.ops.render.render("INVOKE_DEFAULT", animation=True)
    yield lambda: bool(ended)
    yield from seconds(1)
    strips = scene.sequence_editor.strips
    film = strips.new_movie("film", str(path), channel=20, frame_start=1)
    sound = strips.new_sound("film sound", str(path), channel=21, frame_start=1)
    lasts = scene.frame_end - scene.frame_start + 1
    check(film.content_duration == lasts, f"The film has {film.content_duration} frames of {lasts}")
    check(
        abs(sound.content_duration - lasts) <= 2, f"Its sound lasts {sound.content_duration} frames"
    )


def walk() -> Iterator[Condition]:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for part in (
        two_characters,
        three_lines,
        hand_edit,
        moved_phone,
        export_and_import,
        rendered,
    ):
        yield from part()
    print("All that the guide shows is so.", flush=True)


run(walk(), FOLDER, PATIENCE)
