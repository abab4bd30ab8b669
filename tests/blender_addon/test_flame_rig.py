# SPDX-License-Identifier: GPL-3.0-or-later
"""FLAME heads with a rig: joints as bones, pose correctives, and performances that move them."""

import shutil

import numpy as np
import pytest

FRAMES = 30
JOINTS = ["root", "neck", "jaw", "left_eye", "right_eye"]

BY_HAND = [(0, 0, 0), (0.2, -0.3, 0.1), (0.35, 0.05, 0), (0.1, 0.3, 0), (-0.2, 0.2, 0)]


@pytest.fixture(scope="module")
def made(engine_file, tmp_path_factory):
    """An invented FLAME model, parameters of a clip, and the vertices that they make."""
    return shutil.copytree(engine_file("flame"), tmp_path_factory.mktemp("flame") / "clip")


@pytest.fixture
def head(engine_ready, made):
    """The head of that model, with its rig, in a scene of 25 frames per second."""
    engine_ready.context.scene.render.fps = 25
    engine_ready.ops.gaussianspeech.add_head(head=str(made / "flame2023.npz"), with_avatar=False)
    return engine_ready.context.object


def to_head(points):
    x, y, z = np.moveaxis(points, -1, 0)
    return np.stack([x, z, -y], -1)


def to_blender(points):
    x, y, z = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    return np.stack([x, -z, y], -1)


def evaluated(blender, obj):
    """(V, 3) vertices as they are seen, head space."""
    depsgraph = blender.context.evaluated_depsgraph_get()
    mesh = obj.evaluated_get(depsgraph).data
    found = np.empty(3 * len(mesh.vertices), np.float32)
    mesh.vertices.foreach_get("co", found)
    return to_head(found.reshape(-1, 3))


def played(blender, obj, frames=FRAMES):
    found = []
    for frame in range(1, frames + 1):
        blender.context.scene.frame_set(frame)
        found.append(evaluated(blender, obj))
    return np.array(found)


def import_motion(blender, path, keying="EVERY_FRAME"):
    blender.context.object.gaussianspeech_speech.keying = keying
    blender.context.scene.frame_set(1)
    assert blender.ops.gaussianspeech.import_motion(filepath=str(path)) == {"FINISHED"}


def worst_of(found, truth):
    """Largest distance in millimetres; where in the world a clip stands is left out."""
    difference = found - truth
    difference -= difference.mean(axis=(0, 1))
    return 1e3 * np.linalg.norm(difference, axis=-1).max()


def turn(rig, name, vector):
    """Turn a bone by a rotation vector of head space."""
    from mathutils import Quaternion, Vector

    axes = np.array(rig.data.bones[name].matrix_local.to_3x3())
    own = axes.T @ to_blender(vector)
    angle = float(np.linalg.norm(own))
    rig.pose.bones[name].rotation_quaternion = Quaternion(Vector(own), angle)


def test_joints_are_bones_of_an_armature(head, made):
    rig = head.gaussianspeech_head.rig
    assert sorted(bone.name for bone in rig.data.bones) == sorted(JOINTS)
    assert rig.data.bones["jaw"].parent.name == "neck"
    assert head.parent == rig
    assert head.modifiers[0].object == rig
    assert all(head.lock_location)
    assert rig.select_get()


def test_bones_turned_by_hand_pose_the_head_as_flame_does(engine_ready, head, made):
    rig = head.gaussianspeech_head.rig
    for name, vector in zip(JOINTS, BY_HAND, strict=True):
        turn(rig, name, vector)
    engine_ready.context.view_layer.update()
    error = evaluated(engine_ready, head) - np.load(made / "by_hand.npy")
    assert np.linalg.norm(error, axis=1).max() < 1e-5


@pytest.mark.parametrize(("keying", "most"), [("EVERY_FRAME", 0.02), ("FITTED", 0.3)])
def test_flames_parameters_play_on_the_bones(engine_ready, head, made, keying, most):
    import_motion(engine_ready, made / "flame_param.npz", keying)
    error = worst_of(played(engine_ready, head), np.load(made / "truth.npy"))
    print(f"{keying}: {error:.4f} mm")
    assert error < most
    assert not any("corrective" in key.name for key in head.data.shape_keys.key_blocks)
    assert not head.constraints
    rig = head.gaussianspeech_head.rig
    assert any(track.strips for track in rig.animation_data.nla_tracks)


def test_the_artist_may_turn_the_jaw_below_a_performance(engine_ready, head, made):
    """The rig's own Action plays above the lines."""
    import_motion(engine_ready, made / "flame_param.npz")
    engine_ready.context.scene.frame_set(200)
    engine_ready.context.view_layer.update()
    rest = evaluated(engine_ready, head)
    rig = head.gaussianspeech_head.rig
    jaw = rig.pose.bones["jaw"]
    turn(rig, "jaw", (0.3, 0, 0))
    jaw.keyframe_insert("rotation_quaternion", frame=200)
    engine_ready.context.scene.frame_set(200)
    moved = np.linalg.norm(evaluated(engine_ready, head) - rest, axis=1).max()
    assert 0.01 < moved < 0.1


def test_a_performance_comes_out_as_it_went_in(engine_ready, head, made, tmp_path):
    """Vertices, joints and FLAME's parameters."""
    import_motion(engine_ready, made / "flame_param.npz")
    scene = engine_ready.context.scene
    scene.frame_start, scene.frame_end = 1, FRAMES
    for kind, name in (("NPZ", "out.performance.npz"), ("FLAME", "out.flame_param.npz")):
        target = str(tmp_path / name)
        assert engine_ready.ops.gaussianspeech.export(filepath=target, format=kind) == {"FINISHED"}
    with (
        np.load(tmp_path / "out.flame_param.npz") as out,
        np.load(made / "flame_param.npz") as given,
    ):
        for key in ("expr", "rotation", "neck_pose", "jaw_pose", "eyes_pose"):
            np.testing.assert_allclose(out[key], given[key], atol=1e-4, err_msg=key)
        away = out["translation"] - given["translation"]
        # FLAME turns about a root that moves with the expression, and the head's does not.
        assert np.ptp(away, axis=0).max() < 5e-3
    with np.load(tmp_path / "out.performance.npz") as out:
        assert "pose jaw xx" not in out["expression_names"].tolist()
        offsets = np.einsum("tk,kvc->tvc", out["weights"], out["basis"])
        turned = out["head_rotation"]
        assert out["joint_rotation"].shape == (FRAMES, 5, 3)
    from mathutils import Quaternion, Vector

    first = evaluated_rest(head) + offsets[10]
    neck = to_head(np.array(head.gaussianspeech_head.rig.data.bones["neck"].head_local))
    turn_by = np.array(
        Quaternion(Vector(turned[10]), float(np.linalg.norm(turned[10]))).to_matrix()
    )
    scene.frame_set(11)
    seen = evaluated(engine_ready, head)
    np.testing.assert_allclose((first - neck) @ turn_by.T + neck, seen, atol=1e-5)


def evaluated_rest(obj):
    found = np.empty(3 * len(obj.data.vertices), np.float32)
    obj.data.vertices.foreach_get("co", found)
    return to_head(found.reshape(-1, 3))


@pytest.mark.parametrize("kind", ["GLB", "FBX", "ABC"])
def test_exports_move_as_the_head_does(engine_ready, head, made, tmp_path, kind):
    import_motion(engine_ready, made / "flame_param.npz")
    scene = engine_ready.context.scene
    scene.frame_start, scene.frame_end = 1, 12
    path = tmp_path / f"out.{kind.lower()}"
    engine_ready.ops.gaussianspeech.export(filepath=str(path), format=kind)
    truth = played(engine_ready, head, 12)
    engine_ready.ops.wm.read_homefile(use_factory_startup=True, use_empty=True)
    engine_ready.context.scene.render.fps = 25
    if kind == "GLB":
        engine_ready.ops.import_scene.gltf(filepath=str(path))
    elif kind == "FBX":
        engine_ready.ops.import_scene.fbx(filepath=str(path))
    else:
        engine_ready.ops.wm.alembic_import(filepath=str(path), as_background_job=False)
    meshes = [
        o for o in engine_ready.data.objects if o.type == "MESH" and len(o.data.vertices) > 99
    ]
    keys = meshes[0].data.shape_keys
    for key in keys.key_blocks if keys is not None else ():
        key.slider_min, key.slider_max = -4, 4  # As they come in from GLB they end at 0 and 1.
    later = 1 if kind == "FBX" else 0  # Its importer begins a frame later.
    for frame in (4, 11):
        engine_ready.context.scene.frame_set(frame + later)
        engine_ready.context.view_layer.update()
        world = np.array(meshes[0].matrix_world)
        seen = to_blender(evaluated(engine_ready, meshes[0])) @ world[:3, :3].T + world[:3, 3]
        found, expected = to_head(seen), truth[frame - 1]
        assert np.abs(found.min(axis=0) - expected.min(axis=0)).max() < 3e-4
        assert np.abs(found.max(axis=0) - expected.max(axis=0)).max() < 3e-4


def test_splats_are_bound_to_the_mesh_as_it_is_seen(engine_ready, head, made, addon):
    import_motion(engine_ready, made / "flame_param.npz")
    head.gaussianspeech_avatar.source, head.gaussianspeech_avatar.enabled = "default", True
    engine_ready.context.scene.frame_set(9)
    depsgraph = engine_ready.context.evaluated_depsgraph_get()
    (instance,) = addon("rendering.instances").visible_avatars(depsgraph)
    world = instance.vertices @ instance.matrix[:3, :3].T + instance.matrix[:3, 3]
    np.testing.assert_allclose(to_head(world), evaluated(engine_ready, head), atol=1e-5)
    with np.load(made / "flame_param.npz") as given:
        jaw = given["jaw_pose"][8, 0]
    assert instance.keys["jawOpen"] == pytest.approx(jaw / 0.3, abs=2e-3)


def test_gaze_and_head_motion_turn_bones(engine_ready, head, made):
    import_motion(engine_ready, made / "flame_param.npz")
    settings = head.gaussianspeech_speech
    target = engine_ready.data.objects.new("Target", None)
    target.location = head.gaussianspeech_head.rig.location
    target.location.x += 0.5
    target.location.y -= 1.0
    engine_ready.context.scene.collection.objects.link(target)
    bones = head.gaussianspeech_head.rig.pose.bones
    engine_ready.context.scene.frame_set(9)
    before = {bone.name: bone.rotation_quaternion.copy() for bone in bones}
    settings.look_at, settings.gaze = target, 1.0
    engine_ready.context.scene.frame_set(9)
    after = {bone.name: bone.rotation_quaternion.copy() for bone in bones}
    assert before["left_eye"].rotation_difference(after["left_eye"]).angle > 0.1
    assert before["jaw"].rotation_difference(after["jaw"]).angle < 1e-3
    settings.jaw = 0.0
    engine_ready.context.scene.frame_set(9)
    assert bones["jaw"].rotation_quaternion.angle < 1e-3


def test_a_bake_is_made_again_from_what_the_file_keeps(engine_ready, head, made):
    import_motion(engine_ready, made / "flame_param.npz", "EVERY_FRAME")
    head.gaussianspeech_speech.strength = 0.5
    head.gaussianspeech_speech.strength = 1.0
    error = worst_of(played(engine_ready, head), np.load(made / "truth.npy"))
    assert error < 0.05


def test_a_copy_of_head_or_rig_has_a_rig_of_its_own(engine_ready, head, made, addon):
    import_motion(engine_ready, made / "flame_param.npz")
    rig = head.gaussianspeech_head.rig
    for both in (False, True):
        for obj in engine_ready.context.selected_objects:
            obj.select_set(False)
        head.select_set(True)
        rig.select_set(both)
        engine_ready.context.view_layer.objects.active = head
        engine_ready.ops.object.duplicate()
        addon("speech.copies").look_for_copies()
        copy = next(o for o in engine_ready.context.selected_objects if o.type == "MESH")
        own = copy.gaussianspeech_head.rig
        assert own not in (None, rig)
        assert copy.parent == own
        assert copy.modifiers[0].object == own
        curve = copy.data.shape_keys.animation_data.drivers[0]
        assert curve.driver.variables[0].targets[0].id == own
        assert copy.gaussianspeech_lines[0].id != head.gaussianspeech_lines[0].id


def test_the_rig_stands_for_its_head(engine_ready, head, addon):
    rig = head.gaussianspeech_head.rig
    engine_ready.context.view_layer.objects.active = rig
    properties = addon("characters.properties")
    assert properties.active_speaker(engine_ready.context) == head
    assert addon("heads.properties").active_head(engine_ready.context) == head
    assert not properties.can_speak(rig)


def test_a_head_without_a_rig_still_plays(engine_ready, head, made, tmp_path):
    """As those of 0.1.0 have none: their keys hold all of the motion."""
    rig = head.gaussianspeech_head.rig
    head.gaussianspeech_head.rig = None
    head.modifiers.clear()
    for key in [k for k in head.data.shape_keys.key_blocks if k.name.startswith("pose ")]:
        head.shape_key_remove(key)
    engine_ready.data.objects.remove(rig)
    with np.load(made / "flame_param.npz") as clip:  # Ten frames: correctives take their time.
        short = {name: a[:10] if a.shape[:1] == (FRAMES,) else a for name, a in clip.items()}
    np.savez(tmp_path / "flame_param.npz", **short)
    import_motion(engine_ready, tmp_path / "flame_param.npz", "EVERY_FRAME")
    engine_ready.context.scene.frame_set(9)
    turned = np.array(head.matrix_world)
    found = evaluated(engine_ready, head)
    seen = to_head(to_blender(found) @ turned[:3, :3].T + turned[:3, 3])
    truth = np.load(made / "truth.npy")
    difference = seen - truth[8]
    difference -= difference.mean(axis=0)
    assert 1e3 * np.linalg.norm(difference, axis=1).max() < 0.3


def test_the_poses_of_a_folder_are_baked(engine_ready, head, made):
    assert engine_ready.ops.gaussianspeech.load_poses(filepath=str(made)) == {"FINISHED"}
    error = worst_of(played(engine_ready, head), np.load(made / "truth.npy"))
    assert error < 0.1
    frames = str(made / "flame_param")
    assert engine_ready.ops.gaussianspeech.load_poses(filepath=frames) == {"FINISHED"}
    assert len(head.gaussianspeech_lines) == 2


def test_a_person_of_gaussian_avatars_plays_their_own_poses(engine_ready, made):
    chosen = str(made / "flame_param.npz")
    engine_ready.context.scene.render.fps = 25
    engine_ready.ops.gaussianspeech.add_head(head=chosen, with_avatar=False)
    head = engine_ready.context.object
    head.gaussianspeech_speech.keying = "EVERY_FRAME"
    assert engine_ready.ops.gaussianspeech.load_poses() == {"FINISHED"}
    error = worst_of(played(engine_ready, head), np.load(made / "truth.npy"))
    assert error < 0.02


def test_a_head_without_poses_says_so(engine_ready, head, tmp_path):
    with pytest.raises(RuntimeError, match="did not come with poses"):
        engine_ready.ops.gaussianspeech.load_poses()
    with pytest.raises(RuntimeError, match="holds no poses of FLAME"):
        engine_ready.ops.gaussianspeech.load_poses(filepath=str(tmp_path))


def test_a_template_gives_the_head_flames_uv_layout(engine_ready, made, tmp_path):
    with np.load(made / "flame2023.npz") as model:
        faces = model["f"].astype(int) + 1
    uv = np.random.default_rng(0).random((5023, 2)).astype(np.float32)
    lines = [f"vt {u} {v}" for u, v in uv]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in faces]
    (tmp_path / "template.obj").write_text("\n".join(lines))
    engine_ready.ops.gaussianspeech.add_head(
        head=str(made / "flame2023.npz"),
        with_avatar=False,
        uv_template=str(tmp_path / "template.obj"),
    )
    mesh = engine_ready.context.object.data
    loop = mesh.loops[30]
    found = mesh.uv_layers[0].uv[30].vector
    assert tuple(found) == pytest.approx(tuple(uv[loop.vertex_index]), abs=1e-6)
