# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest
import torch

from engine.assets.build import avatar_eyes, avatar_light, avatar_palette, avatar_strands
from engine.assets.build.avatar_light import Studio, depth_map, light_at, portrait_studio
from engine.assets.build.avatar_surface import (
    Ellipsoids,
    flat_ellipsoids,
    split,
    vertex_normals,
)
from engine.assets.build.default_avatar import Layer, bound
from engine.avatar import splats
from engine.heads.default import load_default_head

SQUARE = np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
FACES = np.array([[0, 1, 2], [0, 2, 3]], np.int32)


def corners_in_space(pieces, vertices, faces):
    return np.einsum("nij,njc->nic", pieces.corners, vertices[faces[pieces.face]])


def areas(points):
    edges = points[:, 1:] - points[:, :1]
    return 0.5 * np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1)


def test_pieces_cover_their_triangles_and_none_is_too_large():
    pieces = split(SQUARE, FACES, np.array([0.03, 0.2]))
    size = areas(corners_in_space(pieces, SQUARE, FACES))
    assert size[pieces.face == 0].max() <= 0.03
    assert size[pieces.face == 1].max() <= 0.2
    for face in (0, 1):
        assert size[pieces.face == face].sum() == pytest.approx(0.5)


def smallest_angle(points):
    sides = [np.roll(points, -k, 1) - points for k in (1, 2)]
    first, second = (side / np.linalg.norm(side, axis=2, keepdims=True) for side in sides)
    return np.arccos((first * second).sum(2).clip(-1, 1)).min()


def test_bisection_keeps_half_of_the_smallest_angle():
    # Rosenberg and Stenger, 1975: bisecting the longest edge never goes below.
    thin, face = np.array([[0.0, 0, 0], [10, 0, 0], [2, 1.5, 0]]), np.array([[0, 1, 2]], np.int32)
    points = corners_in_space(split(thin, face, np.array([0.02])), thin, face)
    assert len(points) > 300
    assert smallest_angle(points) >= 0.5 * smallest_angle(thin[None]) - 1e-6


def test_ellipsoids_lie_flat_on_the_surface():
    pieces = split(SQUARE, FACES, np.full(2, 0.05))
    shape = flat_ellipsoids(pieces, SQUARE, FACES, overlap=2.0, thickness=0.1)
    assert np.abs(shape.axes[:, 2, 2]) == pytest.approx(np.ones(len(shape.axes)))
    assert np.linalg.det(shape.axes) == pytest.approx(np.ones(len(shape.axes)))
    assert (shape.deviations[:, 2] < 0.11 * shape.deviations[:, 1]).all()


def test_a_value_on_the_vertices_is_interpolated_to_the_pieces():
    pieces = split(SQUARE, FACES, np.full(2, 0.01))
    shape = flat_ellipsoids(pieces, SQUARE, FACES, overlap=2.0, thickness=0.1)
    assert pieces.at(SQUARE, FACES) == pytest.approx(shape.centers)


def test_normals_point_out_of_a_counter_clockwise_face():
    assert vertex_normals(SQUARE, FACES) == pytest.approx(np.tile([0.0, 0, 1], (4, 1)))


def test_a_depth_map_sees_the_nearest_of_two_sheets():
    vertices = np.concatenate([SQUARE, SQUARE * [1, 0.5, 1] + [0, 0, 0.3]])
    faces = np.concatenate([FACES, FACES + 4])
    seen = depth_map(vertices, faces, np.array([0.0, 0, 1]), 0.02)
    row, column, _ = seen.pixels(np.array([[0.5, 0.25, 0], [0.5, 0.75, 0]]))
    assert seen.depth[row, column] == pytest.approx([0.3, 0.0])
    assert (seen.face[row, column] >= 2).tolist() == [True, False]


def under(light, points, vertices, faces):
    normals = np.tile([0.0, 0, 1], (len(points), 1))
    return light_at(points, normals, vertices, faces, light, wrap=np.zeros(3))


def test_light_falls_with_the_cosine_and_not_from_behind():
    for towards, expected in (([0, 0, 1], 1.0), ([0, 0.6, 0.8], 0.8), ([0, 0, -1], 0.0)):
        lamp = Studio(np.array([towards], float), np.full((1, 3), np.pi))
        lit = under(lamp, np.array([[0.5, 0.25, 0.0]]), SQUARE, FACES)
        assert lit.diffuse == pytest.approx(np.full((1, 3), expected), abs=1e-6)


def test_a_sheet_above_throws_its_shadow():
    vertices = np.concatenate([SQUARE, SQUARE * [0.5, 1, 1] + [0, 0, 0.3]])
    faces = np.concatenate([FACES, FACES + 4])
    lamp = Studio(np.array([[0.0, 0, 1]]), np.full((1, 3), np.pi))
    lit = under(lamp, np.array([[0.25, 0.5, 0], [0.75, 0.5, 0]]), vertices, faces)
    assert lit.diffuse[:, 0] == pytest.approx([0, 1], abs=1e-6)


def sky(count=200):
    studio = portrait_studio(count)
    return Studio(studio.directions[: studio.sky], studio.radiance[: studio.sky], studio.sky)


def test_the_open_sees_the_whole_sky_and_the_foot_of_a_wall_half_of_it():
    ground = 0.1 * SQUARE
    wall = np.array([[0.05, -0.2, 0], [0.05, 0.3, 0], [0.05, 0.3, 0.25], [0.05, -0.2, 0.25]])
    vertices, faces = np.concatenate([ground, wall]), np.concatenate([FACES, FACES + 4])
    open_ground = under(sky(), np.array([[0.02, 0.05, 0]]), ground, FACES)
    beside = under(sky(), np.array([[0.048, 0.05, 0]]), vertices, faces)
    assert open_ground.openness[0, 0] == pytest.approx(1, abs=1e-6)
    assert beside.openness[0, 0] == pytest.approx(0.5, abs=0.08)


def test_light_in_hollows_is_dimmer_and_redder():
    deep, shallow = avatar_light.sunk(np.ones((2, 3)), np.array([0.3, 1.0]))
    assert shallow == pytest.approx(np.ones(3))
    assert 1 > deep[0] > deep[1] > deep[2] > 0


def test_relief_makes_normals_lean_farther_and_leaves_flat_ground():
    flat = np.tile([0.0, 0, 1], (4, 1))
    assert avatar_light.relief(flat, FACES, rounds=3, strength=1.0) == pytest.approx(flat)
    leaning = flat.copy()
    leaning[1] = [0.6, 0, 0.8]
    stronger = avatar_light.relief(leaning, FACES, rounds=1, strength=0.5)
    assert stronger[1, 0] > 0.6
    assert np.linalg.norm(stronger, axis=1) == pytest.approx(np.ones(4))


def test_blurring_over_a_mesh_keeps_what_is_even_and_levels_what_is_not():
    even = np.full((4, 2), 3.0)
    assert avatar_light.spread(even, FACES, 5) == pytest.approx(even)
    spot = np.eye(4)[:, :1]
    assert np.ptp(avatar_light.spread(spot, FACES, 4)) < 0.2


def test_hairs_shine_most_across_the_light():
    key = np.array([[-0.309, 0.331, 0.893]])
    across = np.cross(key, [[0.0, 0, 1]])
    across /= np.linalg.norm(across)
    lit, color = np.ones((1, 3)), np.full((1, 3), 0.1)
    bright, dull = (avatar_light.on_hair(lit, color, t) for t in (across, key))
    assert (bright > dull + 0.02).all()


@pytest.fixture(scope="module")
def left_eye():
    head = load_default_head()
    vertices = head.template.astype(np.float64)
    on_ball = np.zeros(head.vertex_count, bool)
    on_ball[head.regions["eyeballs"]] = True
    seen = depth_map(vertices, head.faces, np.array([0.0, 0, 1]), 0.0002)
    normals = vertex_normals(vertices, head.faces)
    view = avatar_strands.FrontView(seen, vertices, head.faces, normals)
    ball = vertices[head.regions["left_eyeball"]]
    center = 0.5 * (ball.min(0) + ball.max(0))
    return view, avatar_eyes.opening(view, center, on_ball[head.faces].all(1))


def test_an_eye_opens_between_its_lids(left_eye):
    _, eye = left_eye
    assert 0.015 < np.ptp(eye.x) < 0.031
    assert (eye.upper > eye.lower).all()
    assert 0.006 < (eye.upper - eye.lower).max() < 0.016


def test_the_upper_lid_shades_the_ball_most_under_its_edge(left_eye):
    _, eye = left_eye
    middle = len(eye.x) // 2
    y = np.array([eye.upper[middle], 0.5 * (eye.upper[middle] + eye.lower[middle])])
    points = np.stack([np.full(2, eye.x[middle]), y, np.full(2, eye.center[2])], 1)
    edge, open_ = avatar_eyes.lid_shade(points, eye)
    assert edge < 0.6
    assert open_ > 0.85


def test_lashes_and_lash_line_grow_from_the_upper_lid(left_eye):
    view, eye = left_eye
    hairs = avatar_eyes.lashes(view, eye, np.random.default_rng(0), 40)
    line = avatar_eyes.lash_line(view, eye)
    assert (hairs.axes[:, 2, 0] > 0).all()
    for grown in (hairs, line):
        lid = np.interp(grown.centers[:, 0], eye.x, eye.upper)
        assert np.abs(grown.centers[:, 1] - lid).max() < 0.003


def test_the_key_light_is_reflected_up_at_the_left_of_the_picture(left_eye):
    _, eye = left_eye
    centers, _, opacities = avatar_eyes.catch_lights(eye)
    brightest = centers[opacities.argmax()] - eye.center
    assert brightest[0] < 0 < brightest[1]
    assert np.linalg.norm(brightest) == pytest.approx(eye.radius, rel=0.1)


def test_the_studio_lights_from_the_upper_left_of_the_picture():
    studio = portrait_studio()
    total = (studio.directions * studio.radiance.sum(1, keepdims=True)).sum(0)
    assert total[0] < 0
    assert total[1] > 0
    assert total[2] > 0


def test_display_and_linear_values_belong_together_below_the_shoulder():
    values = np.linspace(0, 0.85, 50)
    assert avatar_light.to_display(avatar_light.to_linear(values)) == pytest.approx(values)
    assert avatar_light.to_display(np.array([50.0]))[0] <= 1


def test_noise_is_smooth_bounded_and_the_same_each_time():
    points = np.random.default_rng(0).uniform(-0.1, 0.1, (2000, 3))
    first = avatar_palette.noise(points, 0.01, 3)
    assert np.array_equal(first, avatar_palette.noise(points, 0.01, 3))
    assert np.abs(first).max() <= 1
    assert first.std() > 0.2
    assert np.abs(avatar_palette.noise(points + 1e-6, 0.01, 3) - first).max() < 2e-3


def test_binding_puts_every_splat_back_where_it_was_laid_out():
    head = load_default_head()
    vertices = head.template.astype(np.float64)
    random = np.random.default_rng(1)
    face = np.sort(random.integers(0, len(head.faces), 200))
    axes = np.linalg.qr(random.normal(size=(200, 3, 3)))[0]
    axes *= np.linalg.det(axes)[:, None, None]
    centers = vertices[head.faces[face]].mean(1) + 1e-3 * random.normal(size=(200, 3))
    shape = Ellipsoids(centers, axes, np.exp(random.normal(-7, 0.5, (200, 3))))
    layer = Layer(face, shape, random.uniform(0, 1, (200, 3)), np.full(200, 0.9), vertices)
    back = splats(bound(head, [layer]), torch.from_numpy(head.template))
    assert back.means.numpy() == pytest.approx(centers, abs=2e-6)
    assert back.scales.numpy() == pytest.approx(shape.deviations, rel=2e-3)
    assert back.colors.numpy() == pytest.approx(layer.colors, abs=1e-5)
    w, x, y, z = back.quats.double().numpy().T
    first_axis = np.stack([1 - 2 * (y * y + z * z), 2 * (x * y + w * z), 2 * (x * z - w * y)], 1)
    assert np.abs((first_axis * axes[:, :, 0]).sum(1)) == pytest.approx(np.ones(200), abs=1e-3)
