# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")

import bpy

from engine.core.errors import BadInputError
from engine.heads.axes import head_to_blender
from training.synthetic.person.person import build_person
from training.synthetic.person.skin import furrow_attributes
from training.synthetic.person.studio import light_studio, prepare_rendering

HAIRS = 600


@pytest.fixture(scope="module")
def scene():
    bpy.ops.wm.read_factory_settings(use_empty=True)
    return bpy.context.scene


@pytest.fixture(scope="module")
def person(scene, head):
    light_studio(scene)
    prepare_rendering(scene, samples=2)
    return build_person(scene, head, hairs=HAIRS)


@pytest.fixture
def neutral(person, head, weights):
    person.pose(head.template, weights())
    return person


@pytest.fixture
def shoot(scene, tmp_path):
    """Render a part of the front view and return it as (H, W, 4) in [0, 1]."""
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.location = (0, -0.9, 0)
    camera.rotation_euler = (np.pi / 2, 0, 0)
    camera.data.type = "ORTHO"
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.threads_mode, scene.render.threads = "FIXED", 2
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"

    def render(center=(0.0, 0.0), extent=0.4, pixels=32):
        camera.location = (center[0], -0.9, center[1])
        camera.data.ortho_scale = extent
        scene.render.resolution_x = scene.render.resolution_y = pixels
        scene.render.filepath = str(tmp_path / "picture.png")
        bpy.ops.render.render(write_still=True)
        with Image.open(tmp_path / "picture.png") as picture:
            return np.asarray(picture, np.float64) / 255

    yield render
    bpy.data.objects.remove(camera)


def corners(item):
    points = np.zeros((len(item.data.vertices), 3), np.float32)
    item.data.vertices.foreach_get("co", points.reshape(-1))
    return points


def strands(item):
    points = np.zeros((len(item.data.points), 3), np.float32)
    item.data.position_data.foreach_get("vector", points.reshape(-1))
    return points


def test_a_person_is_dressed_with_skin_eyes_mouth_and_three_kinds_of_hair(person, head):
    assert set(person.parts) == {"skin", "eyes", "mouth", "hair", "brows", "lashes"}
    meshes = ("skin", "eyes", "mouth")
    assert sum(len(person.parts[name].data.vertices) for name in meshes) == head.vertex_count
    assert sum(len(person.parts[name].data.polygons) for name in meshes) == len(head.faces)
    hairs = ("hair", "brows", "lashes")
    assert sum(len(person.parts[name].data.curves) for name in hairs) == person.strand_count


def test_all_parts_hang_on_the_root(person):
    assert all(part.parent == person.root for part in person.parts.values())


def test_a_pose_moves_the_skin_to_the_vertices(neutral, head, skin, weights):
    smile = weights(mouthSmileLeft=1, jawOpen=0.4)
    vertices = head.deform(smile)
    neutral.pose(vertices, smile)
    expected = head_to_blender(vertices[skin])
    np.testing.assert_allclose(corners(neutral.parts["skin"]), expected, atol=1e-7)


def test_a_pose_moves_the_hair_with_the_vertices(neutral, head, weights):
    before = strands(neutral.parts["hair"])
    shift = np.array([0.01, 0.02, 0.03], np.float32)
    neutral.pose(head.template + shift, weights())
    moved = strands(neutral.parts["hair"]) - before
    np.testing.assert_allclose(moved, np.tile(head_to_blender(shift), (len(moved), 1)), atol=1e-6)


def test_furrows_are_flat_at_neutral_and_rise_with_their_expression(head, skin, weights):
    depths = [
        max(np.abs(v).max() for v in furrow_attributes(head, skin, weights(browInnerUp=w)).values())
        for w in (0.0, 0.4, 0.8)
    ]
    assert depths[0] == 0
    assert depths[0] < depths[1] < depths[2]


def test_a_raised_brow_shows_on_the_forehead_and_not_on_the_chin(neutral, head, weights, shoot):
    """The same vertices with another expression: only the wrinkles differ."""

    def forehead():
        return shoot(center=(0.0, 0.062), extent=0.04)[..., :3]

    def chin():
        return shoot(center=(0.0, -0.085), extent=0.02)[..., :3]

    calm = forehead(), chin()
    neutral.pose(head.template, weights(browInnerUp=1))
    raised = forehead(), chin()
    # Furrows run across: they change rows against each other far more than noise does.
    change = (raised[0] - calm[0]).mean((1, 2))
    assert np.ptp(change) > 0.03
    assert np.abs(raised[1] - calm[1]).mean() < 0.004


def test_the_studio_lights_a_person_before_nothing(neutral, shoot):
    picture = shoot()
    alpha = picture[..., 3]
    assert alpha[16, 16] == 1
    assert alpha[0].max() == alpha[:, 0].max() == 0
    face = picture[14:18, 14:18, :3]
    assert 0.3 < face.mean() < 0.95
    assert face[..., 0].mean() > face[..., 2].mean()


def test_one_seed_builds_one_person(neutral, head):
    scene = bpy.data.scenes.new("others")
    same, other = (
        strands(build_person(scene, head, hairs=HAIRS, seed=seed).parts["brows"])[:200]
        for seed in (0, 4)
    )
    bpy.data.scenes.remove(scene)
    first = strands(neutral.parts["brows"])[:200]
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("cut", ["vertices", "expression"])
def test_a_pose_of_another_head_is_refused_by_its_sizes(person, head, weights, cut):
    vertices, expression = head.template, weights()
    if cut == "vertices":
        vertices = vertices[:-1]
    else:
        expression = expression[:-1]
    with pytest.raises(BadInputError, match=r"8287.*52"):
        person.pose(vertices, expression)


def test_a_head_without_the_regions_is_refused_by_their_names(scene, head):
    regions = {name: index for name, index in head.regions.items() if name != "tongue"}
    with pytest.raises(BadInputError, match="tongue"):
        build_person(scene, replace(head, regions=regions))
