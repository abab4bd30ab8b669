# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars drawn by Blender's gpu module, beside the engine's rasteriser."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest

from tests.blender_addon.rendering.avatar_tensors import write_tensors

SIZE = 240


@pytest.fixture
def arrays(addon):
    return addon("rendering.splats.arrays")


def view_of(renderer, *, orthographic=False, turn=0.3):
    """A view of the head from the front and a little from the side, Blender's axes."""
    eye = np.array([math.sin(turn), -math.cos(turn), 0.1])
    forward = -eye / np.linalg.norm(eye)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    viewmat = np.eye(4)
    viewmat[:3, :3] = np.stack([right, np.cross(forward, right), forward])
    viewmat[:3, 3] = -viewmat[:3, :3] @ eye
    focal = SIZE * (2.2 if orthographic else 2.4)
    K = np.array([[focal, 0, SIZE / 2], [0, focal, SIZE / 2], [0, 0, 1]])
    return renderer.ViewCamera(viewmat, K, SIZE, SIZE, 0.01, 100.0, orthographic)


def drawn(blender, renderer, addon, view, heads):
    """The GPU's picture and the engine's of the scene's heads."""
    depsgraph = blender.context.evaluated_depsgraph_get()
    scene = addon("rendering.splats.scene")
    avatars = scene.SceneAvatars()
    instances = addon("rendering.instances").visible_avatars(depsgraph)
    assert len(instances) == heads
    subjects = [
        avatars.subject(("test", index), instance) for index, instance in enumerate(instances)
    ]
    picture = renderer.SplatPicture("32")
    picture.draw(subjects, view)
    images, session = addon("rendering.images"), addon("engine_link.session")
    engine = session.get_engine(blender.context)
    image = images.render_image(engine, instances, view, lambda future: future.result())
    return picture.read(), np.concatenate([image.rgb, image.alpha[..., None]], axis=2)


def psnr(one, other):
    return -10 * np.log10(((one - other) ** 2).mean())


@pytest.fixture
def add_head(engine_ready):
    def add(x=0.0, turn=0.0):
        engine_ready.ops.gaussianspeech.add_head()
        head = engine_ready.context.object
        engine_ready.ops.gaussianspeech.bind_avatar()
        head.location.x, head.rotation_euler.z = x, turn
        head.location.z = -0.02
        return head

    return add


@pytest.mark.parametrize("orthographic", [False, True])
def test_the_picture_is_that_of_the_engine(engine_ready, renderer, addon, add_head, orthographic):
    head = add_head()
    head.data.shape_keys.key_blocks["jawOpen"].value = 0.5
    view = view_of(renderer, orthographic=orthographic)
    ours, engines = drawn(engine_ready, renderer, addon, view, heads=1)
    assert (engines[..., 3] > 0.99).mean() > 0.1
    assert psnr(ours, engines) > 50


def test_several_heads_hide_each_other(engine_ready, renderer, addon, add_head):
    add_head()
    other = add_head(x=0.07, turn=0.5)
    other.location.y = 0.08
    view = view_of(renderer)
    ours, engines = drawn(engine_ready, renderer, addon, view, heads=2)
    assert psnr(ours, engines) > 50


def test_an_avatar_of_harmonics_is_drawn(engine_ready, renderer, addon, add_head, tmp_path, arrays):
    add_head()
    head = engine_ready.context.object
    random = np.random.default_rng(0)
    coefficients = random.normal(0, 0.2, (2000, 16, 3)).astype(np.float32)
    path = tmp_path / "harmonics.safetensors"
    write_avatar(path, arrays.load_arrays("default"), coefficients)
    engine_ready.ops.gaussianspeech.bind_avatar(avatar=str(path))
    assert head.gaussianspeech_avatar.gaussians == 2000
    view = view_of(renderer)
    ours, engines = drawn(engine_ready, renderer, addon, view, heads=1)
    assert psnr(ours, engines) > 50


def write_avatar(path, default, coefficients):
    """An avatar with the default's first Gaussians and other colours."""
    G = len(coefficients)
    tensors = {
        "binding": default.binding[:G],
        "positions": default.positions[:G],
        "log_scales": np.log(2 * default.scales[:G]),
        "quats": default.quats[:G],
        "opacity_logits": np.full(G, 2.0, np.float32),
        "color.coefficients": coefficients,
    }
    write_tensors(path, default.faces_sha256, tensors)


def test_depths_are_those_of_the_gaussians(addon, arrays):
    sorting = addon("rendering.splats.sorting")
    random = np.random.default_rng(1)
    vertices = random.normal(size=(30, 3)).astype(np.float32)
    faces = random.integers(0, 30, (40, 3)).astype(np.int32)
    faces = faces[[len(set(face)) == 3 for face in faces.tolist()]]
    binding = random.integers(0, len(faces), 200).astype(np.int32)
    positions = random.normal(size=(200, 3)).astype(np.float32)
    axis = np.array([0.6, 0.0, 0.8], np.float32)
    found = sorting.DepthSorter(faces, binding, positions).depths(vertices, axis)
    for index in range(200):
        v0, v1, v2 = vertices[faces[binding[index]]].astype(float)
        a0 = (v1 - v0) / np.linalg.norm(v1 - v0)
        across = np.cross(a0, v2 - v0)
        a1 = across / np.linalg.norm(across)
        size = (np.linalg.norm(v1 - v0) + np.linalg.norm(across)) / 2
        frame = np.stack([a0, a1, np.cross(a0, a1)], axis=1)
        mean = frame @ (size * positions[index]) + (v0 + v1 + v2) / 3
        assert found[index] == pytest.approx(axis @ mean, abs=1e-5)


def test_the_farthest_is_drawn_first(addon):
    back_to_front = addon("rendering.splats.sorting").back_to_front
    assert back_to_front(np.array([1.0, 3.0, 2.0, 3.0], np.float32)).tolist() == [1, 3, 2, 0]
    assert back_to_front(np.zeros(0, np.float32)).tolist() == []


def test_a_file_that_is_no_avatar_is_refused(arrays, tmp_path):
    bad = arrays.BadInputError
    path = tmp_path / "a.safetensors"
    for content in (
        b"",
        b"\xff" * 40,
        b"\x02" + bytes(7) + b"{}",
        b"\x08" + bytes(7) + b'{"a": 1}',
    ):
        path.write_bytes(content)
        with pytest.raises(bad):
            arrays.load_arrays(str(path))
    with pytest.raises(bad):
        arrays.load_arrays(str(tmp_path / "none.safetensors"))


def test_the_mesh_shows_its_bounds_as_long_as_the_avatar_is_shown(blender, add_plain_head):
    head = add_plain_head()
    head.display_type = "WIRE"
    avatar = head.gaussianspeech_avatar
    avatar.in_viewport = True
    assert head.display_type == "WIRE"
    avatar.source = "default"
    assert head.display_type == "BOUNDS"
    avatar.enabled = False
    assert head.display_type == "WIRE"
    avatar.enabled = True
    avatar.source = ""
    assert head.display_type == "WIRE"


def test_fewer_gaussians_are_drawn_while_frames_take_long(addon):
    overlay = addon("rendering.overlay")
    share = 1.0
    for _ in range(10):
        share = overlay._next_share(share, 0.2)
    assert share == overlay._LEAST_SHARE
    for _ in range(20):
        share = overlay._next_share(share, 0.01)
    assert share == 1.0


def test_an_avatar_that_only_the_engine_draws_leaves_its_mesh_to_be_seen(add_plain_head, addon):
    bind = addon("heads.properties").bind_avatar
    head, other = add_plain_head(), add_plain_head()
    bind(head, "/avatars/point_cloud.ply", 10)
    bind(other, "default", 10)
    assert (head.display_type, other.display_type) == ("TEXTURED", "BOUNDS")


def test_one_avatar_that_cannot_be_drawn_hides_no_other(
    engine_ready, renderer, addon, add_head, tmp_path
):
    add_head()
    broken = add_head(x=0.5)
    path = tmp_path / "broken.safetensors"
    path.write_bytes(b"no avatar")
    broken.gaussianspeech_avatar.source = str(path)
    avatars = addon("rendering.splats.scene").SceneAvatars()
    depsgraph = engine_ready.context.evaluated_depsgraph_get()
    instances = addon("rendering.instances").visible_avatars(depsgraph)
    found, missing = avatars._drawable("layer", instances)
    assert len(found) == 1
    assert broken.name in missing
    assert str(path) in missing


@pytest.mark.parametrize(
    ("shading", "engine", "forward"),
    [
        ("SOLID", "BLENDER_EEVEE", False),
        ("MATERIAL", "BLENDER_EEVEE", False),
        ("RENDERED", "BLENDER_EEVEE", True),
        ("RENDERED", "CYCLES", False),
    ],
)
def test_avatars_come_before_their_meshes_where_a_viewport_draws_those(
    addon, shading, engine, forward
):
    space = SimpleNamespace(shading=SimpleNamespace(type=shading))
    scene = SimpleNamespace(render=SimpleNamespace(engine=engine))
    assert (addon("rendering.overlay").before_mesh(space, scene) > 0) is forward


def test_an_avatar_that_comes_forward_is_drawn_over_what_is_just_before_it(
    engine_ready, renderer, addon, add_head
):
    import gpu

    add_head()
    view = view_of(renderer)
    depsgraph = engine_ready.context.evaluated_depsgraph_get()
    scene = addon("rendering.splats.scene")
    (instance,) = addon("rendering.instances").visible_avatars(depsgraph)
    picture = renderer.SplatPicture("32")
    picture.draw([scene.SceneAvatars().subject("head", instance)], view)
    near, far = 0.1, 10.0
    matrix = np.eye(4)
    matrix[2, 2:] = (far + near) / (near - far), 2 * far * near / (near - far)
    matrix[3, 2:] = -1, 0
    # A wall through the middle of the head hides half of it, unless that comes forward.
    wall = float(np.linalg.norm([math.sin(0.3), math.cos(0.3), 0.1])) - 0.09
    depth = 0.5 + 0.5 * (matrix[2, 2] * -wall + matrix[2, 3]) / wall
    covered = []
    for nearer in (0.0, 0.3):
        offscreen = gpu.types.GPUOffScreen(SIZE, SIZE)
        with offscreen.bind():
            frame = gpu.state.active_framebuffer_get()
            frame.clear(color=(0, 0, 0, 0), depth=depth)
            picture.lay_over(matrix, linear_target=False, nearer=nearer)
            pixels = frame.read_color(0, 0, SIZE, SIZE, 4, 0, "FLOAT")
        pixels.dimensions = SIZE * SIZE * 4
        covered.append((np.array(pixels)[3::4] > 0.5).mean())
        offscreen.free()
    assert covered[1] > 0.1
    assert covered[0] < 0.8 * covered[1]
