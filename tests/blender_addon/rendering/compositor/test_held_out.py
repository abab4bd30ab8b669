# SPDX-License-Identifier: GPL-3.0-or-later
"""What an artist holds out of the picture is held out of the avatars, too."""

from __future__ import annotations

import numpy as np
import pytest

from tests.blender_addon.rendering.compositor.composited_scene import HEIGHT, WIDTH, glowing_cube

LEFT, MIDDLE = (HEIGHT // 2, WIDTH // 2 - 11), (HEIGHT // 2, WIDTH // 2)


@pytest.fixture
def head(blender, scene):
    scene.render.film_transparent = True
    return blender.data.objects["Head"]


@pytest.fixture
def bar(scene, head):
    """A bar before the left of the face."""
    made = glowing_cube("Bar", (-0.4, -1.5, 0), (1, 0, 0))
    made.scale = (0.3, 0.3, 3)
    return made


def pixels(blender, scene, tmp_path):
    scene.render.filepath = str(tmp_path / "held.exr")
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_mode = "RGBA"
    blender.ops.render.render(write_still=True)
    image = blender.data.images.load(scene.render.filepath, check_existing=False)
    return np.array(image.pixels[:]).reshape(HEIGHT, WIDTH, 4)


def by_itself(blender, scene, obj):
    obj.is_holdout = True


def by_its_collection(blender, scene, obj):
    collection = blender.data.collections.new("Kept Out")
    scene.collection.children.link(collection)
    for other in obj.users_collection:
        other.objects.unlink(obj)
    collection.objects.link(obj)
    scene.view_layers[0].layer_collection.children["Kept Out"].holdout = True


def by_its_shader(blender, scene, obj):
    tree = obj.data.materials[0].node_tree
    tree.nodes.clear()
    holdout, output = (
        tree.nodes.new(f"ShaderNode{kind}") for kind in ("Holdout", "OutputMaterial")
    )
    tree.links.new(holdout.outputs[0], output.inputs["Surface"])


WAYS = [by_itself, by_its_collection, by_its_shader]


@pytest.mark.parametrize("hold_out", WAYS)
def test_before_the_avatar_it_cuts_its_hole(blender, scene, head, bar, hold_out, tmp_path):
    hold_out(blender, scene, bar)
    blender.ops.gaussianspeech.set_up_composite()
    picture = pixels(blender, scene, tmp_path)
    np.testing.assert_allclose(picture[LEFT], 0.0, atol=1e-6)
    assert picture[MIDDLE][3] == pytest.approx(1.0, abs=1e-4)
    assert picture[MIDDLE][0] > 0.1


@pytest.mark.parametrize("hold_out", WAYS)
def test_behind_the_avatar_it_cuts_nothing(blender, scene, head, bar, hold_out, tmp_path):
    bar.location.y = 1.5
    hold_out(blender, scene, bar)
    blender.ops.gaussianspeech.set_up_composite()
    picture = pixels(blender, scene, tmp_path)
    np.testing.assert_allclose(picture[LEFT], picture[MIDDLE], atol=1e-4)
    assert picture[LEFT][3] == pytest.approx(1.0, abs=1e-4)


def test_where_its_edge_is_blurred_it_hides_as_much_as_it_covers(
    blender, scene, head, bar, tmp_path
):
    """The hole and the bar itself hide the same part of each pixel of the avatar."""
    scene.cycles.samples, scene.render.filter_size = 64, 1.5
    scene.camera.data.dof.use_dof = True
    scene.camera.data.dof.focus_distance = 6.0
    scene.camera.data.dof.aperture_fstop = 0.1
    blender.ops.gaussianspeech.set_up_composite()
    seen = pixels(blender, scene, tmp_path)
    bar.is_holdout = True
    held = pixels(blender, scene, tmp_path)
    row = HEIGHT // 2
    part = seen[row, :, 0] - held[row, :, 0]  # What the bar, which glows red, adds.
    inside = (held[row, :, 3] > 0.02) & (held[row, :, 3] < 0.98) & (seen[row, :, 3] > 0.999)
    assert inside.sum() >= 4
    np.testing.assert_allclose(part[inside], 1 - held[row, :, 3][inside], atol=0.02)


def test_a_head_that_is_held_out_is_a_hole_and_no_avatar(blender, scene, head, disc, tmp_path):
    head.is_holdout = True
    blender.ops.gaussianspeech.set_up_composite()
    np.testing.assert_allclose(pixels(blender, scene, tmp_path)[MIDDLE], 0.0, atol=1e-6)
    assert not disc.requests


def test_it_follows_what_is_held_out_and_not_any_more(blender, scene, head, bar, tmp_path):
    blender.ops.gaussianspeech.set_up_composite()
    before = pixels(blender, scene, tmp_path)
    assert before[LEFT][3] == pytest.approx(1.0, abs=1e-4)
    by_its_collection(blender, scene, bar)
    assert pixels(blender, scene, tmp_path)[LEFT][3] == pytest.approx(0.0, abs=1e-6)
    scene.view_layers[0].layer_collection.children["Kept Out"].holdout = False
    np.testing.assert_array_equal(pixels(blender, scene, tmp_path), before)


def test_what_is_held_out_stays_when_the_composite_is_removed(blender, scene, head, bar):
    by_its_collection(blender, scene, bar)
    blender.ops.gaussianspeech.set_up_composite()
    blender.ops.gaussianspeech.remove_composite()
    assert [obj.name for obj in blender.data.collections["Kept Out"].objects] == ["Bar"]
    assert [collection.name for collection in bar.users_collection] == ["Kept Out"]
    assert len(blender.data.scenes) == 1
    assert not any("GaussianSpeech" in known.name for known in blender.data.collections)
