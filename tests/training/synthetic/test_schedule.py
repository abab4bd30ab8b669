# SPDX-License-Identifier: GPL-3.0-or-later
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.arkit import sides
from engine.motion.performance import Performance
from training.synthetic.schedule import Spoken, farthest_first, schedule


@pytest.fixture(scope="module")
def spoken(head):
    """A jaw that opens and shuts, with lips that move beyond what the expression says."""
    frames = 20
    expression = np.zeros((frames, len(head.expression_names)), np.float32)
    expression[:, head.expression_index("jawOpen")] = np.sin(np.linspace(0, np.pi, frames))
    basis = np.concatenate([head.expression_basis, 1e-3 * np.ones((1, head.vertex_count, 3))])
    weights = np.concatenate([expression, np.linspace(0, 1, frames)[:, None]], 1)
    performance = Performance(
        25.0,
        weights.astype(np.float32),
        basis.astype(np.float32),
        expression,
        head.expression_names,
        head.id,
    )
    return Spoken("talk", performance)


def test_a_longer_capture_begins_as_a_shorter_one(head, spoken):
    short, long = (schedule(head, [spoken], count, 3) for count in (9, 30))
    for one, other in zip(short, long, strict=False):
        assert one.name == other.name
        assert np.array_equal(one.param.head_matrix, other.param.head_matrix)
        assert np.array_equal(one.vertices, other.vertices)


def test_kinds_take_turns(head, spoken):
    kinds = Counter(pose.kind for pose in schedule(head, [spoken], 40, 0))
    assert kinds == {"mouth": 15, "speech": 10, "eyes": 10, "whole": 5}


def test_a_capture_of_ordinary_length_moves_every_expression(head, spoken):
    poses = schedule(head, [spoken], 72, 0)
    strongest = np.max([pose.param.expression for pose in poses], axis=0)
    idle = [n for n, most in zip(head.expression_names, strongest, strict=True) if most < 0.4]
    assert not idle


def test_speech_stores_the_vertices_that_its_expression_does_not_tell(head, spoken):
    poses = schedule(head, [spoken], 30, 0)
    for pose in poses:
        name_frame = pose.frame
        if name_frame is None:
            assert pose.param.vertices is None
            assert np.allclose(pose.vertices, head.deform(pose.param.expression), atol=1e-6)
        else:
            frame = name_frame[1]
            offsets = spoken.performance.offsets(frame, frame + 1)[0]
            assert name_frame[0] == "talk"
            assert np.allclose(pose.vertices, head.template + offsets, atol=1e-6)
            stored = pose.param.vertices
            assert (stored is None) == (frame == 0)


def test_the_seed_changes_poses(head):
    one, other = (schedule(head, [], 3, seed)[2].param.head_matrix for seed in (0, 1))
    assert not np.allclose(one, other)


def test_the_head_turns_as_far_as_is_asked(head):
    def farthest(turning):
        matrices = [pose.param.head_matrix for pose in schedule(head, [], 7, 0, turning)]
        return max(np.degrees(np.arccos(matrix[2, 2])) for matrix in matrices)

    assert 15 < farthest(1.0) < 22
    assert 3 < farthest(0.3) < 9
    assert farthest(0.0) < 3


def test_farthest_first_covers_the_points_quickly():
    random = np.random.default_rng(0)
    clusters = 10 * np.eye(6)[random.integers(0, 6, 300)] + 0.1 * random.standard_normal((300, 6))
    first = [index for index, _ in zip(farthest_first(clusters), range(6), strict=False)]
    assert len({int(np.argmax(clusters[index])) for index in first}) == 6
    assert sorted(farthest_first(clusters)) == list(range(300))


def test_a_performance_of_another_head_is_refused(head, spoken):
    other = Spoken("talk", replace(spoken.performance, head="flame"))
    with pytest.raises(BadInputError, match="'flame'"):
        schedule(head, [other], 3, 0)


def test_a_head_without_arkit_expressions_is_refused(head):
    bare = replace(head, expression_names=tuple(f"e{i}" for i in range(len(head.expression_names))))
    with pytest.raises(BadInputError, match="lacks the ARKit expressions"):
        schedule(bare, [], 3, 0)


def test_common_names_reach_both_sides(head):
    smile = next(m for m in schedule(head, [], 12, 0) if m.name == "smile")
    for side in sides("mouthSmile"):
        assert smile.param.expression[head.expression_index(side)] == pytest.approx(0.95)
