# SPDX-License-Identifier: GPL-3.0-or-later
"""A head to export, and what comes back of it."""

from __future__ import annotations

import contextlib

import numpy as np

FRAMES = 24

PHONES = (("HH", 0.0, 0.125), ("AY", 0.125, 0.5), ("SIL", 0.5, 1.0))
"""Of the baked speech, in seconds from its first frame."""

WORDS = (("Hi", 0.0, 0.25),)


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


def assert_same(found, expected, kind):
    if kind in ("GLB", "FBX"):  # Vertices are split where UVs are, so their order is another.
        distance = np.linalg.norm(expected[:, None] - found[None], axis=2).min(axis=1)
        assert distance.max() < 1e-5
    else:
        np.testing.assert_allclose(found, expected, atol=1e-5)
