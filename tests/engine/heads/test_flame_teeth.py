# SPDX-License-Identifier: GPL-3.0-or-later
"""Where teeth would go in a head that has real ones: the default head, dressed as FLAME."""

import numpy as np
import pytest

from engine.heads.default import load_default_head
from engine.heads.flame_model import FlameModel
from engine.heads.flame_teeth import add_teeth, find_mouth, tooth_regions


@pytest.fixture(scope="module")
def head():
    return load_default_head()


@pytest.fixture(scope="module")
def model(head):
    V = head.vertex_count
    weights = np.zeros((V, 5), np.float32)
    opened = head.expression_basis[head.expression_index("jawOpen")]
    weights[:, 2] = np.clip(np.linalg.norm(opened, axis=1) / 0.02, 0, 1)
    weights[:, 1] = 1 - weights[:, 2]
    regressor = np.zeros((5, V), np.float32)
    for joint, name in ((3, "left_eyeball"), (4, "right_eyeball")):
        eyeball = head.regions[name]
        regressor[joint, eyeball] = 1 / len(eyeball)
        weights[eyeball] = np.eye(5)[joint]
    return FlameModel(
        v_template=head.template,
        f=head.faces,
        shapedirs=np.zeros((V, 3, 400), np.float32),
        posedirs=np.zeros((V, 3, 36), np.float32),
        J_regressor=regressor,
        parents=np.array([-1, 0, 1, 1, 1], np.int32),
        weights=weights,
    )


@pytest.mark.parametrize("masked", [True, False])
def test_the_mouth_is_found_where_the_lips_meet(head, model, masked):
    mouth = find_mouth(model, head.regions["lips"] if masked else None)
    lips = head.landmarks["inner_lip_upper"]
    middle = head.template[lips[np.argmin(np.abs(head.template[lips, 0]))]]
    assert np.linalg.norm(mouth.centre - middle) < 0.003
    assert mouth.scale == pytest.approx(1, abs=0.1)


def test_the_incisors_stand_where_the_heads_own_stand(head, model):
    added = add_teeth(model)
    regions = tooth_regions(len(added.v_template))
    for name in ("upper", "lower"):
        own = head.template[head.landmarks[f"{name}_teeth_edge"]]
        new = added.v_template[regions[f"{name}_teeth_edge"]]
        own = own[np.argmin(np.abs(own[:, 0]))]
        new = new[np.argmin(np.abs(new[:, 0]))]
        assert np.linalg.norm(own - new) < 0.006, name
