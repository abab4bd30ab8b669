# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import numpy as np
import pytest

from engine.core.errors import BadInputError
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.characters.bones import HEAD, HEAD_CHANNEL, BoneRow, mapping_of_bones
from engine.motion.characters.conventions import Row
from engine.motion.characters.mapping import mapping_of_rows


def weights(**known):
    row = np.zeros((1, len(ARKIT_NAMES)), np.float32)
    for name, weight in known.items():
        row[0, ARKIT_NAMES.index(name)] = weight
    return row


def shown(rows, rest=None, **known):
    mapping = mapping_of_bones([BoneRow(*row) for row in rows])
    values = mapping.values(weights(**known), ARKIT_NAMES, rest=rest)[0]
    return dict(zip(mapping.channels, values.tolist(), strict=True))


def test_a_channel_is_at_its_value_when_the_pose_is_shown():
    rows = [("jaw", "rotation x", "jawOpen", 0.4)]
    assert shown(rows, jawOpen=1) == {("jaw", "rotation x"): pytest.approx(0.4)}
    assert shown(rows, jawOpen=0.25) == {("jaw", "rotation x"): pytest.approx(0.1)}


def test_rows_of_one_channel_add_up_as_far_as_the_furthest_of_them():
    rows = [
        ("lip", "location y", "mouthFunnel", 0.01),
        ("lip", "location y", "mouthPucker", 0.008),
        ("lip", "location y", "mouthRollUpper", -0.006),
    ]
    lip = ("lip", "location y")
    assert shown(rows, mouthFunnel=0.5, mouthPucker=0.5)[lip] == pytest.approx(0.009)
    assert shown(rows, mouthFunnel=1, mouthRollUpper=1)[lip] == pytest.approx(0.004)
    assert shown(rows, mouthFunnel=1, mouthPucker=1)[lip] == pytest.approx(0.01)


def test_scales_rest_at_one_and_properties_where_they_are():
    rows = [
        ("lips", "scale x", "mouthPucker", 0.6),
        ("face", "property Mouth Open", "jawOpen", 10.0),
    ]
    rest = {("face", "property Mouth Open"): 2.0}
    assert shown(rows, rest) == {
        ("lips", "scale x"): 1.0,
        ("face", "property Mouth Open"): 2.0,
    }
    assert shown(rows, rest, mouthPucker=0.5, jawOpen=0.5) == {
        ("lips", "scale x"): pytest.approx(0.8),
        ("face", "property Mouth Open"): pytest.approx(6.0),
    }


def test_a_control_rests_where_its_row_says():
    rows = [("", "location z", "jawOpen", 1.5), ("", "location z", "rest", 1.0)]
    assert shown(rows) == {("", "location z"): 1.0}
    assert shown(rows, jawOpen=0.5) == {("", "location z"): pytest.approx(1.25)}


def test_a_jaw_alone_closes_where_lips_close():
    rows = [("jaw", "rotation x", "jawOpen", 0.4)]
    (closed,) = shown(rows, jawOpen=0.2, mouthClose=0.2).values()
    assert closed < 0.1 * 0.2 * 0.4
    rows.append(("lip.B", "location z", "mouthClose", 0.02))
    both = shown(rows, jawOpen=0.2, mouthClose=0.2)
    assert list(both.values()) == pytest.approx([0.08, 0.004])


def test_a_jaw_goes_with_the_shape_keys_of_the_face():
    face = mapping_of_rows([Row(name, name) for name in ("jawOpen", "mouthFunnel")])
    jaw = mapping_of_bones([BoneRow("jaw", "rotation x", "jawOpen", 0.5)])
    performance = weights(jawOpen=0.4, mouthClose=0.4)
    key = face.values(performance, ARKIT_NAMES)[0, 0]
    assert key < 0.4
    np.testing.assert_allclose(jaw.values(performance, ARKIT_NAMES, face), [[0.5 * key]])


def test_bones_that_turn_with_the_head_have_no_channels_of_the_face():
    mapping = mapping_of_bones(
        [BoneRow("neck", HEAD_CHANNEL, HEAD, 0.3), BoneRow("head", HEAD_CHANNEL, HEAD, 0.7)]
    )
    assert mapping.head_shares == {"neck": 0.3, "head": 0.7}
    assert mapping.values(weights(jawOpen=1), ARKIT_NAMES).shape == (1, 0)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "No bone is mapped"),
        ([("jaw", "rotation x", "grin", 1.0)], "'jaw' stands for 'grin', which is no pose"),
        ([("jaw", "rotation w", "jawOpen", 1.0)], "rotation w of the bone 'jaw' is no channel"),
        ([("jaw", "rotation x", "jawOpen", float("nan"))], "has the value nan"),
        ([("jaw", "rotation x", "jawOpen", 1.0)] * 2, "shows 'jawOpen' twice"),
        ([("jaw", "rotation x", HEAD, 1.0)], "cannot show 'head motion'"),
        ([("", HEAD_CHANNEL, HEAD, 1.0)], "names no bone"),
        ([("jaw", "rotation x", "rest", 1.0)], "cannot show 'rest'"),
        (
            [("head", HEAD_CHANNEL, HEAD, 1.0), ("head", "rotation x", "jawOpen", 1.0)],
            "turns with the head",
        ),
    ],
)
def test_a_table_that_cannot_be_used_names_its_bone(rows, message):
    with pytest.raises(BadInputError, match=message):
        mapping_of_bones([BoneRow(*row) for row in rows])
