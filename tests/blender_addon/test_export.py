# SPDX-License-Identifier: GPL-3.0-or-later
"""What leaves Blender comes back the same."""

from __future__ import annotations

import contextlib
import json
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.blender_addon.speaking import action_of

FRAMES = 24
PHONES = (("HH", 0.0, 0.125), ("AY", 0.125, 0.5), ("SIL", 0.5, 1.0))
"""Of the baked speech, in seconds from its first frame."""
CHECKED = (5, 12, 28)
"""Scene frames whose vertices are compared."""
WORDS = (("Hi", 0.0, 0.25),)


@pytest.fixture
def head(blender, addon):
    return add_head(blender, addon)


def add_head(blender, addon):
    """A small head with two expressions, a corrective and a baked speech from frame 5 to 28."""
    blender.ops.mesh.primitive_uv_sphere_add(segments=12, ring_count=8, radius=0.1)
    obj = blender.context.object
    obj.name, obj.location, obj.rotation_euler = "Anna", (0.1, 0.2, 1.5), (0, 0, 0.3)
    known = obj.gaussianspeech_head
    known.id, known.source, known.vertex_count = "default", "default", len(obj.data.vertices)
    obj.shape_key_add(name="Basis")
    rest = np.empty(3 * len(obj.data.vertices), np.float32)
    obj.data.vertices.foreach_get("co", rest)
    rng = np.random.default_rng(3)
    for name in ("jawOpen", "mouthClose"):
        key = obj.shape_key_add(name=name)
        shape = rest + rng.normal(0, 0.02, rest.shape).astype(np.float32)
        key.points.foreach_set("co", shape)
    time = np.linspace(0, 2 * np.pi, FRAMES)
    values = np.stack([0.5 + 0.5 * np.sin(time), 0.5 - 0.5 * np.cos(time), np.sin(time)], 1)
    Prediction = addon("speech.prediction").Prediction
    prediction = Prediction(
        clip="line",
        head="default",
        model="rules",
        fps=24.0,
        start=5.0,
        strip_start=None,
        expressions=("jawOpen", "mouthClose"),
        correctives=("line corrective 01",),
        ranges=((0.0, 1.0), (0.0, 1.0), (-1.0, 1.0)),
        values=values.astype(np.float32),
        source_sha256="ab" * 32,
        phones=PHONES,
        words=WORDS,
        language="en",
    )
    deltas = rng.normal(0, 0.005, (1, len(obj.data.vertices), 3)).astype(np.float32)
    line = addon("speech.line_list").add_line(obj, "line")
    addon("speech.bake").bake(blender.context, line, prediction, deltas)
    blender.context.scene.frame_set(2)
    return obj


@pytest.fixture(scope="module")
def performance(installed, addon, tmp_path_factory):
    """The head's performance with its dense offsets; each export starts another Blender."""
    installed.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    add_head(installed, addon)
    path = tmp_path_factory.mktemp("exported") / "anna.performance.npz"
    installed.ops.gaussianspeech.export(filepath=str(path), format="NPZ", dense=True)
    return path


@pytest.fixture(scope="module")
def turning_performance(installed, addon, tmp_path_factory):
    """The performance of the head as it turns, in a scene that the export leaves as it was."""
    installed.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    path = tmp_path_factory.mktemp("exported") / "turning"
    with left_as_it_was(installed, turning(add_head(installed, addon))):
        installed.ops.gaussianspeech.export(filepath=str(path), format="NPZ")
    return path.with_name("turning.performance.npz")


def turning(head):
    head.gaussianspeech_speech.head_motion = 2.0
    return head


@contextlib.contextmanager
def left_as_it_was(blender, head):
    """What an export is not to change: frames, selection and the active object."""
    blender.ops.mesh.primitive_cube_add()  # Something else that must not go out.
    cube, scene = blender.context.object, blender.context.scene
    scene.frame_start, scene.frame_end, scene.frame_step = 3, 90, 2
    scene.frame_set(2)
    blender.context.view_layer.objects.active = head
    head.select_set(False)
    yield
    frames = scene.frame_current, scene.frame_start, scene.frame_end, scene.frame_step
    assert frames == (2, 3, 90, 2)
    assert blender.context.selected_objects == [cube]
    assert blender.context.view_layer.objects.active == head


def world_vertices(obj, frame) -> np.ndarray:
    import bpy

    bpy.context.scene.frame_set(frame)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    evaluated = obj.evaluated_get(depsgraph)
    mesh = evaluated.to_mesh()
    flat = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", flat)
    matrix = np.array(evaluated.matrix_world)
    points = flat.reshape(-1, 3) @ matrix[:3, :3].T + matrix[:3, 3]
    evaluated.to_mesh_clear()
    return points


def imported_back(kind, path, uvs=1):
    """The one mesh of a file, in an empty scene."""
    import bpy

    bpy.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    bpy.context.scene.render.fps = 24
    if kind == "ABC":
        bpy.ops.wm.alembic_import(filepath=str(path), as_background_job=False)
    elif kind == "USD":
        bpy.ops.wm.usd_import(filepath=str(path))
    elif kind == "GLB":
        bpy.ops.import_scene.gltf(filepath=str(path))
    elif "fbx_import" in dir(bpy.ops.wm):
        bpy.ops.wm.fbx_import(filepath=str(path), anim_offset=0.0)
    else:
        bpy.ops.import_scene.fbx(filepath=str(path), anim_offset=0.0)
    kinds = {obj.type for obj in bpy.data.objects}
    assert not kinds & {"CAMERA", "LIGHT"}
    # Importers of rigs add a mesh for the look of bones.
    meshes = [obj for obj in bpy.context.scene.objects if obj.type == "MESH"]
    (mesh,) = [obj for obj in meshes if not obj.name.startswith("Icosphere")]
    assert uvs is None or len(mesh.data.uv_layers) == uvs
    return mesh


KINDS = [("ABC", "abc"), ("USD", "usdc"), ("GLB", "glb"), ("FBX", "fbx")]


@pytest.mark.parametrize("head_motion", [0.0, 2.0])
@pytest.mark.parametrize(("kind", "suffix"), KINDS)
def test_the_animated_mesh_comes_back_the_same(blender, head, tmp_path, kind, suffix, head_motion):
    head.gaussianspeech_speech.head_motion = head_motion
    before = {frame: world_vertices(head, frame) for frame in CHECKED}
    path = tmp_path / f"anna.{suffix}"
    with left_as_it_was(blender, head):
        blender.ops.gaussianspeech.export(filepath=str(path), format=kind)
    mesh = imported_back(kind, path)
    for frame, expected in before.items():
        assert_same(world_vertices(mesh, frame), expected, kind)


def test_a_glb_begins_at_zero_on_demand(blender, head, tmp_path):
    first = world_vertices(head, 5)
    path = tmp_path / "anna.glb"
    blender.ops.gaussianspeech.export(filepath=str(path), format="GLB", from_zero=True)
    assert_same(world_vertices(imported_back("GLB", path), 0), first, "GLB")


def assert_same(found, expected, kind):
    if kind in ("GLB", "FBX"):  # Vertices are split where UVs are, so their order is another.
        distance = np.linalg.norm(expected[:, None] - found[None], axis=2).min(axis=1)
        assert distance.max() < 1e-5
    else:
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_performance_holds_the_heads_rotation(blender, turning_performance, head):
    with np.load(turning_performance) as data:
        rotation = data["head_rotation"]
    empty = turning(head).constraints[0].target
    for index in (0, 7, 23):
        blender.context.scene.frame_set(5 + index)
        axis, angle = empty.matrix_world.to_quaternion().to_axis_angle()
        x, y, z = np.array(axis) * angle
        np.testing.assert_allclose(rotation[index], (x, z, -y), atol=1e-5)
    assert np.abs(rotation).max() > 0.01


@pytest.mark.parametrize("kind", ["ABC", "USD", "GLB", "FBX", "NPZ", "CSV", "JSON"])
def test_only_a_whole_file_takes_the_name(blender, head, addon, tmp_path, kind, monkeypatch):
    old = addon("export.formats").with_suffix(tmp_path / "anna", kind)
    old.write_bytes(b"an older file")
    child = tmp_path / "child.py"
    child.write_text(
        "import sys, json, pathlib\n"
        "request = json.loads(pathlib.Path(sys.argv[-1]).read_text())\n"
        "pathlib.Path(request['out']).write_bytes(b'half')\n"
        "print('GAUSSIANSPEECH', json.dumps({'error': 'disk full'}))\n"
    )
    monkeypatch.setattr(addon("export.background_blender"), "_SCRIPT", child)
    with pytest.raises(RuntimeError, match="Blender's exporter failed: disk full"):
        blender.ops.gaussianspeech.export(filepath=str(old), format=kind)
    assert old.read_bytes() == b"an older file"
    assert set(tmp_path.iterdir()) == {old, child}
    assert not list(Path(blender.app.tempdir).glob("gaussianspeech-export-*"))


def test_a_blender_that_crashes_is_one_message(blender, head, addon, tmp_path, monkeypatch):
    child = tmp_path / "child.py"
    child.write_text("import os\nprint('Segmentation fault')\nos.abort()\n")
    monkeypatch.setattr(addon("export.background_blender"), "_SCRIPT", child)
    with pytest.raises(RuntimeError, match="ended early"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.abc"), format="ABC")
    assert list(tmp_path.iterdir()) == [child]


def test_an_export_can_be_cancelled(blender, head, addon, tmp_path):
    files = addon("export.mesh_files")
    future = files.export_mesh(blender.context, [head], tmp_path / "a.glb", "GLB", range(1, 100000))
    assert not future.wait(0.5)
    future.cancel()
    with pytest.raises(addon("export.background_blender").CancelledError):
        future.result(10.0)
    assert list(tmp_path.iterdir()) == []


def test_an_export_says_how_far_it_is(blender, head, addon, tmp_path):
    files = addon("export.mesh_files")
    future = files.export_mesh(blender.context, [head], tmp_path / "a.abc", "ABC", range(1, 2000))
    seen = set()
    while not future.wait(0.01):
        seen.add(future.poll())
    fractions = [fraction for fraction, message in seen if "of 1999" in message]
    assert len(fractions) > 3
    assert 0.0 <= min(fractions) < max(fractions) <= 1.0


def test_beginning_an_export_does_not_hold_blender_up(blender, head, addon, tmp_path):
    files = addon("export.mesh_files")
    future = files.export_mesh(blender.context, [head], tmp_path / "a.glb", "GLB", range(5, 29))
    # Another Blender writes it, which takes seconds: nobody waited for that.
    assert not future.done
    assert not (tmp_path / "a.glb").exists()
    assert future.result(60.0) > 1000


def test_a_performance_holds_what_plays(performance):
    with np.load(performance, allow_pickle=False) as data:
        arrays = {name: data[name] for name in data.files}
    assert arrays["weights"].shape == (FRAMES, 3)
    assert (str(arrays["head"]), str(arrays["model"])) == ("default", "rules")
    assert arrays["expression_names"].tolist() == ["jawOpen", "mouthClose"]
    assert str(arrays["source_sha256"]) == "ab" * 32
    factored = np.einsum("tk,kvc->tvc", arrays["weights"], arrays["basis"])
    np.testing.assert_allclose(factored, arrays["offsets"], atol=1e-6)


def test_a_performance_is_in_head_space(blender, performance, head):
    with np.load(performance) as data:
        offset = data["offsets"][7, 11]
    blender.context.scene.frame_set(5 + 7)
    keys = head.data.shape_keys
    evaluated = head.evaluated_get(blender.context.evaluated_depsgraph_get()).data
    moved = np.array(evaluated.vertices[11].co - keys.reference_key.data[11].co)
    # Blender's (x, y, z) is (x, z, -y) in head space.
    np.testing.assert_allclose(offset, moved[[0, 2, 1]] * [1, 1, -1], atol=1e-6)


def test_a_performance_is_read_by_the_engine(performance, turning_performance):
    module = pytest.importorskip("engine.motion.performance")
    for path in (performance, turning_performance):
        loaded = module.Performance.load(path)
        assert (loaded.frames, loaded.fps, loaded.head) == (FRAMES, 24.0, "default")


def test_an_artists_edit_is_exported(blender, head, addon, tmp_path):
    curves = addon("compat").fcurves(action_of(head))
    curve = next(curve for curve in curves if "jawOpen" in curve.data_path)
    for point in curve.keyframe_points:
        point.co.y = point.handle_left.y = point.handle_right.y = 0.25
    path = tmp_path / "anna.performance.npz"
    blender.ops.gaussianspeech.export(filepath=str(path), format="NPZ")
    with np.load(path) as data:
        np.testing.assert_allclose(data["expression"][:, 0], 0.25, atol=1e-6)


def exported(path, name) -> list:
    with np.load(path) as data:
        return [tuple(timed) for timed in json.loads(str(data[name]))]


def test_the_sounds_of_the_speech_are_exported(turning_performance):
    assert exported(turning_performance, "phones") == list(PHONES)
    assert exported(turning_performance, "words") == list(WORDS)
    with np.load(turning_performance) as data:
        assert str(data["language"]) == "en"


def test_the_scenes_range_can_be_exported_and_its_sounds_are_timed_from_its_first_frame(
    blender, head, tmp_path
):
    scene = blender.context.scene
    # The speech begins at frame 5; six frames later is the middle of its second sound.
    scene.frame_start, scene.frame_end = 11, 19
    path = tmp_path / "anna.performance.npz"
    blender.ops.gaussianspeech.export(filepath=str(path), format="NPZ", frames="SCENE")
    with np.load(path) as data:
        assert data["weights"].shape[0] == 9
    assert exported(path, "phones") == [("AY", 0.0, 0.25), ("SIL", 0.25, 0.375)]


def test_a_head_without_speech_is_refused(blender, head, tmp_path):
    blender.ops.gaussianspeech.remove_line()
    with pytest.raises(RuntimeError, match="'Anna' has no baked speech"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.abc"), format="ABC")
    assert not list(tmp_path.iterdir())


def test_a_hidden_head_is_refused(blender, head, tmp_path):
    head.hide_set(True)
    blender.context.view_layer.objects.active = head
    with pytest.raises(RuntimeError, match="'Anna' is hidden"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.abc"), format="ABC")


def test_a_folder_that_cannot_be_made_is_named(blender, head, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(RuntimeError, match="cannot be written"):
        blender.ops.gaussianspeech.export(filepath=str(blocked / "a.abc"), format="ABC")


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("anna.abc", "GLB", "anna.glb"),
        ("anna", "USD", "anna.usdc"),
        ("anna.v2", "ABC", "anna.v2.abc"),
        ("anna.performance.npz", "ABC", "anna.abc"),
        ("anna.npz", "NPZ", "anna.performance.npz"),
    ],
)
def test_the_suffix_follows_the_format(blender, addon, tmp_path, name, kind, expected):
    assert addon("export.formats").with_suffix(tmp_path / name, kind).name == expected


def test_a_build_without_an_exporter_says_so(blender, addon, head, monkeypatch, tmp_path):
    files = addon("export.mesh_files")
    assert files.missing_exporter("GLB") == ""
    monkeypatch.setattr(files, "missing_exporter", lambda _kind: "This Blender was built so.")
    with pytest.raises(RuntimeError, match="built so"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.abc"), format="ABC")
    assert list(tmp_path.iterdir()) == []


MOUTH_KEYS = [
    "Basis",
    "jawOpen",
    "mouthClose",
    "mouthFunnel",
    "mouthPucker",
    "jawLeft",
    "jawRight",
    "cheekPuff",
]


def test_all_objects_of_a_character_go_out_together(blender, tmp_path):
    objects = []
    for name in ("Teeth", "Face"):
        blender.ops.mesh.primitive_cube_add()
        obj = blender.context.object
        obj.name = name
        for key in MOUTH_KEYS:
            obj.shape_key_add(name=key)
        objects.append(obj)
    for obj in objects:
        obj.select_set(True)
    blender.ops.gaussianspeech.use_character()
    path = tmp_path / "character.glb"
    blender.ops.gaussianspeech.export(filepath=str(path), format="GLB", frames="SCENE")
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    blender.ops.import_scene.gltf(filepath=str(path))
    assert {"Teeth", "Face"} <= set(blender.data.objects.keys())


@pytest.mark.parametrize(("kind", "suffix"), [("GLB", "glb"), ("FBX", "fbx")])
def test_all_objects_of_a_file_move_when_it_is_imported(blender, tmp_path, kind, suffix):
    for name in ("Teeth", "Face"):
        blender.ops.mesh.primitive_cube_add()
        obj = blender.context.object
        obj.name = name
        for key in MOUTH_KEYS:
            obj.shape_key_add(name=key, from_mix=False)
        jaw = obj.data.shape_keys.key_blocks["jawOpen"]
        jaw.data[0].co.z -= 1
        for frame, value in ((1, 0.0), (9, 1.0)):
            jaw.value = value
            jaw.keyframe_insert("value", frame=frame)
    blender.data.objects["Teeth"].select_set(True)
    blender.ops.gaussianspeech.use_character()
    blender.context.scene.frame_end = 9
    path = tmp_path / f"character.{suffix}"
    blender.ops.gaussianspeech.export(filepath=str(path), format=kind, frames="SCENE")
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    blender.context.scene.render.fps = 24
    if kind == "GLB":
        blender.ops.import_scene.gltf(filepath=str(path))
    else:
        blender.ops.import_scene.fbx(filepath=str(path), anim_offset=0.0)
    for frame, expected in ((1, 0.0), (9, 1.0)):
        blender.context.scene.frame_set(frame)
        for name in ("Teeth", "Face"):
            keys = blender.data.objects[name].data.shape_keys.key_blocks
            assert keys["jawOpen"].value == pytest.approx(expected, abs=1e-4), (name, frame)


def test_a_character_is_no_performance_of_a_head(blender, tmp_path):
    blender.ops.mesh.primitive_cube_add()
    for key in ("Basis", "A", "I", "U", "E", "O"):
        blender.context.object.shape_key_add(name=key)
    blender.ops.gaussianspeech.use_character()
    with pytest.raises(RuntimeError, match="performances are of heads"):
        blender.ops.gaussianspeech.export(
            filepath=str(tmp_path / "a.npz"), format="NPZ", frames="SCENE"
        )
    assert list(tmp_path.iterdir()) == []


def arkit_of(path) -> dict:
    content = json.loads(path.read_text("utf-8"))
    values = np.array(content["weightMat"])
    return {name: values[:, column] for column, name in enumerate(content["facsNames"])}


@pytest.mark.parametrize("kind", ["CSV", "JSON"])
def test_arkit_weights_are_what_plays(blender, turning_performance, head, tmp_path, kind):
    turning(head)
    path = tmp_path / "anna"
    blender.ops.gaussianspeech.export(filepath=str(path), format=kind)
    curves = pytest.importorskip("engine.motion.interchange.curve_files")
    found = curves.read_curves(tmp_path / f"anna.{kind.lower()}", rate=24.0)
    assert (found.fps, found.frames) == (24.0, FRAMES)
    with np.load(turning_performance) as data:
        expression, rotation = data["expression"], data["head_rotation"]
    arkit = pytest.importorskip("engine.motion.arkit")
    for column, name in enumerate(("jawOpen", "mouthClose")):
        shown = found.weights[:, arkit.COLUMN[name]]
        np.testing.assert_allclose(shown, expression[:, column], atol=1e-5)
    np.testing.assert_allclose(found.head_rotation, rotation, atol=1e-5)


def test_a_characters_shapes_go_out_as_the_arkit_weights_they_stand_for(blender, tmp_path):
    blender.ops.mesh.primitive_cube_add()
    obj = blender.context.object
    for key in ("Basis", "A", "I", "U", "E", "O"):
        obj.shape_key_add(name=key)
    blender.ops.gaussianspeech.use_character()
    for key in obj.data.shape_keys.key_blocks:
        key.value = 0.5 if key.name == "A" else 0.0
    path = tmp_path / "a.json"
    blender.ops.gaussianspeech.export(filepath=str(path), format="JSON", frames="SCENE")
    poses = pytest.importorskip("engine.motion.characters.poses")
    shown = arkit_of(path)
    assert shown["jawOpen"][0] == pytest.approx(0.5 * poses.VISEMES["aa"]["jawOpen"], abs=1e-5)


def test_a_head_without_arkit_names_has_no_arkit_weights(blender, head, tmp_path):
    for key in head.data.shape_keys.key_blocks[1:]:
        key.name = f"expr_{key.name}"
    with pytest.raises(RuntimeError, match="'Anna' has no ARKit expressions"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a.csv"), format="CSV")


def test_flame_parameters_are_of_flame_heads(blender, head, tmp_path):
    with pytest.raises(RuntimeError, match="'Anna' is no FLAME head"):
        blender.ops.gaussianspeech.export(filepath=str(tmp_path / "a"), format="FLAME")


def test_drivers_and_modifiers_of_other_objects_play_in_the_export(blender, head, tmp_path):
    blender.ops.object.empty_add()
    empty = blender.context.object
    for frame, height in ((5, 0.0), (28, 1.0)):
        empty.location.z = height
        empty.keyframe_insert("location", frame=frame)
    driver = head.data.shape_keys.key_blocks["line corrective 01"].driver_add("value").driver
    variable = driver.variables.new()
    variable.type = "TRANSFORMS"
    variable.targets[0].id, variable.targets[0].transform_type = empty, "LOC_Z"
    driver.expression = f"min({variable.name}, 0.75) * 1.0"
    head.parent = empty
    blender.context.view_layer.objects.active = head
    expected = world_vertices(head, 28)
    path = tmp_path / "a.abc"
    blender.ops.gaussianspeech.export(filepath=str(path), format="ABC")
    assert_same(world_vertices(imported_back("ABC", path), 28), expected, "ABC")


def tone(path, frames, frequency=440.0, rate=48000, fps=24):
    samples = np.sin(2 * np.pi * frequency * np.arange(round(frames / fps * rate)) / rate)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((samples * 20000).astype("<i2").tobytes())


@pytest.mark.parametrize("strip", [True, False])
def test_the_sound_goes_along_cut_to_the_frames(blender, head, addon, tmp_path, strip):
    if not addon("compat").has_audio():
        with pytest.raises(RuntimeError, match="no sound system"):
            blender.ops.gaussianspeech.export(
                filepath=str(tmp_path / "a.json"), format="JSON", sound=True
            )
        return
    scene = blender.context.scene
    tone(tmp_path / "tone.wav", 12)
    if strip:
        addon("speech.strip").add_sound_strip(scene, tmp_path / "tone.wav", 17)
    else:
        (line,) = head.gaussianspeech_lines
        line.source, line.filepath = "FILE", str(tmp_path / "tone.wav")
        line.start_frame = 17
    scene.frame_start, scene.frame_end = 5, 28
    blender.ops.gaussianspeech.export(
        filepath=str(tmp_path / "a.json"), format="JSON", frames="SCENE", sound=True
    )
    with wave.open(str(tmp_path / "a_sound.wav")) as file:
        rate = file.getframerate()
        channels = file.getnchannels()
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    loud = np.abs(samples.reshape(-1, channels)[:, 0]) > 1000
    # The strip begins twelve frames after the first of the export and lasts twelve.
    assert np.flatnonzero(loud)[0] / rate == pytest.approx(0.5, abs=0.01)
    assert np.flatnonzero(loud)[-1] / rate == pytest.approx(1.0, abs=0.05)
    assert [known.name for known in blender.data.scenes] == [scene.name]


def test_no_sound_in_the_sequencer_is_said(blender, head, addon, tmp_path):
    if not addon("compat").has_audio():
        pytest.skip("This Blender has no sound system.")
    with pytest.raises(RuntimeError, match="There is no sound in the sequencer"):
        blender.ops.gaussianspeech.export(
            filepath=str(tmp_path / "a.json"), format="JSON", sound=True
        )
    assert list(tmp_path.iterdir()) == []


def test_several_lines_go_out_together_with_the_artists_layer(blender, head, addon, tmp_path):
    read = addon("speech.action").read_prediction
    later = replace(read(action_of(head)), clip="later", start=41.0)
    line = addon("speech.line_list").add_line(head, "later")
    vertices = len(head.data.vertices)
    addon("speech.bake").bake(blender.context, line, later, np.zeros((1, vertices, 3), np.float32))
    key = head.data.shape_keys.key_blocks["mouthClose"]
    key.value = 0.75
    key.keyframe_insert("value", frame=1)
    path = tmp_path / "a"
    blender.ops.gaussianspeech.export(filepath=str(path), format="NPZ")
    with np.load(tmp_path / "a.performance.npz") as data:
        names, values = data["expression_names"].tolist(), data["expression"]
    assert len(values) == 41 - 5 + FRAMES
    assert values[0, names.index("mouthClose")] == pytest.approx(0.75, abs=0.01)
    for frame in (7, 20, 35, 50):
        blender.context.scene.frame_set(frame)
        evaluated = head.data.shape_keys.evaluated_get(blender.context.evaluated_depsgraph_get())
        for name in ("jawOpen", "mouthClose"):
            expected = evaluated.key_blocks[name].value
            assert values[frame - 5, names.index(name)] == pytest.approx(expected, abs=1e-5)
    seconds = (41 - 5) / 24
    said = exported(tmp_path / "a.performance.npz", "words")
    assert said == [("Hi", 0.0, 0.25), ("Hi", seconds, seconds + 0.25)]


@pytest.fixture
def shot(blender, tmp_path):
    """A file that overrides a character of a library; the override is active and animated."""
    blender.ops.mesh.primitive_cube_add()
    obj = blender.context.object
    obj.name = "Face"
    for key in ("Basis", "A", "I", "U", "E", "O"):
        obj.shape_key_add(name=key)
    for key in obj.data.shape_keys.key_blocks:
        key.value = 0.0
    blender.ops.gaussianspeech.use_character()
    blender.ops.wm.save_as_mainfile(filepath=str(tmp_path / "library.blend"))
    blender.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    with blender.data.libraries.load(str(tmp_path / "library.blend"), link=True) as (_, wanted):
        wanted.objects = ["Face"]
    (linked,) = blender.data.objects
    return linked


def test_a_library_override_goes_out(blender, shot, tmp_path):
    scene = blender.context.scene
    scene.collection.objects.link(shot)
    face = shot.override_hierarchy_create(scene, blender.context.view_layer)
    blender.context.view_layer.objects.active = face
    face.location.x = 2.0
    scene.frame_start, scene.frame_end = 1, 2
    expected = world_vertices(face, 2)
    path = tmp_path / "a.abc"
    blender.ops.gaussianspeech.export(filepath=str(path), format="ABC", frames="SCENE")
    blender.ops.gaussianspeech.export(
        filepath=str(tmp_path / "a.json"), format="JSON", frames="SCENE"
    )
    assert arkit_of(tmp_path / "a.json")["jawOpen"].tolist() == [0.0, 0.0]
    assert_same(world_vertices(imported_back("ABC", path), 2), expected, "ABC")


def test_what_is_only_linked_goes_out_too(blender, shot, tmp_path):
    blender.context.scene.collection.objects.link(shot)
    blender.context.view_layer.objects.active = shot
    expected = world_vertices(shot, 1)
    path = tmp_path / "a.glb"
    blender.ops.gaussianspeech.export(filepath=str(path), format="GLB", frames="SCENE")
    assert_same(world_vertices(imported_back("GLB", path), 1), expected, "GLB")


@pytest.mark.parametrize(("kind", "suffix"), [("ABC", "abc"), ("GLB", "glb")])
def test_a_rig_goes_out_with_the_meshes_that_it_moves(blender, tmp_path, kind, suffix):
    blender.ops.mesh.primitive_cube_add()
    mesh = blender.context.object
    armature = blender.data.armatures.new("Rig")
    rig = blender.data.objects.new("Rig", armature)
    blender.context.collection.objects.link(rig)
    blender.context.view_layer.objects.active = rig
    blender.ops.object.mode_set(mode="EDIT")
    bone = armature.edit_bones.new("jaw")
    bone.head, bone.tail = (0, 0, 0), (0, -1, 0)
    blender.ops.object.mode_set(mode="OBJECT")
    mesh.vertex_groups.new(name="jaw").add(range(8), 1.0, "REPLACE")
    mesh.modifiers.new("Armature", "ARMATURE").object = rig
    for other in blender.context.selected_objects:
        other.select_set(False)
    rig.select_set(True)
    blender.context.view_layer.objects.active = rig
    blender.ops.gaussianspeech.use_character()
    turned = rig.pose.bones["jaw"]
    turned.rotation_mode = "XYZ"
    for frame, angle in ((1, 0.0), (9, 0.4)):
        turned.rotation_euler.x = angle
        turned.keyframe_insert("rotation_euler", frame=frame)
    blender.context.scene.frame_end = 9
    rig.hide_viewport = True
    blender.ops.mesh.primitive_plane_add()
    helper = blender.context.object
    helper.modifiers.new("Armature", "ARMATURE").object = rig
    helper.hide_set(True)
    blender.context.view_layer.objects.active = rig
    expected = world_vertices(mesh, 6)
    path = tmp_path / f"a.{suffix}"
    blender.ops.gaussianspeech.export(filepath=str(path), format=kind, frames="SCENE")
    assert_same(world_vertices(imported_back(kind, path, uvs=None), 6), expected, "GLB")


def test_bones_alone_have_no_weights(blender, tmp_path):
    armature = blender.data.armatures.new("Rig")
    rig = blender.data.objects.new("Rig", armature)
    blender.context.collection.objects.link(rig)
    blender.context.view_layer.objects.active = rig
    blender.ops.object.mode_set(mode="EDIT")
    bone = armature.edit_bones.new("jaw")
    bone.head, bone.tail = (0, 0, 0), (0, -1, 0)
    blender.ops.object.mode_set(mode="OBJECT")
    rig.select_set(True)
    blender.ops.gaussianspeech.use_character()
    for kind, message in (("CSV", "moves bones and no shape keys"), ("ABC", "moves no mesh")):
        with pytest.raises(RuntimeError, match=message):
            blender.ops.gaussianspeech.export(
                filepath=str(tmp_path / "a"), format=kind, frames="SCENE"
            )
