# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures of the report: what is chosen, and how a face is framed."""

from __future__ import annotations

import numpy as np
import pytest

from engine.phonemes import Phone
from training.evaluation.report.mesh_picture import mesh_picture
from training.evaluation.report.speech_frames import CLASSES, examples, face_camera, mouth_camera


def seen(camera, points):
    at = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    pixels = at @ camera.K.T
    return pixels[:, :2] / pixels[:, 2:]


def test_the_longest_sounds_are_shown_of_different_clips_first():
    first = [Phone("M", 0.0, 0.3), Phone("P", 0.3, 0.5), Phone("SIL", 0.5, 0.9)]
    second = [Phone("B", 0.0, 0.1)]
    chosen = [e for e in examples([first, second]) if e.sounds == "p b m"]
    assert [(e.clip, e.phone.label) for e in chosen] == [(0, "M"), (1, "B")]
    assert chosen[0].time == pytest.approx(0.15)


def test_sounds_that_nobody_says_are_left_out():
    assert {e.sounds for e in examples([[Phone("F", 0.0, 0.1)]])} == {"f v"}
    assert list(CLASSES) == ["p b m", "f v", "w u", "a", "rest"]


@pytest.mark.parametrize("frame", [face_camera, mouth_camera])
def test_the_mouth_lies_within_the_picture(head, frame):
    lips = seen(frame(head, 224), head.template[head.regions["lips"]])
    assert (lips > 20).all()
    assert (lips < 204).all()


def test_the_face_is_cropped_as_syncnet_saw_faces(head):
    camera = face_camera(head, 224)
    eyes = seen(camera, head.template[head.regions["eyeballs"]])[:, 1].mean()
    chin = seen(camera, head.template[head.landmarks["chin"]])[0, 1]
    # The box from forehead to chin is 1 / 1.4 of the crop and touches its upper edge.
    assert chin == pytest.approx(224 / 1.4, abs=4)
    assert eyes == pytest.approx(224 / 1.4 / 3, abs=4)


def test_a_mesh_is_drawn_with_its_lips_where_the_camera_sees_them(head):
    camera = mouth_camera(head, 128)
    still = np.zeros_like(head.template)
    opened = head.expression_basis[head.expression_index("jawOpen")] * 0.6
    closed, open_ = (mesh_picture(head, offsets, camera) for offsets in (still, opened))
    assert closed.shape == (128, 128, 3)
    x, y = seen(camera, head.template[head.landmarks["inner_lip_lower"]]).mean(axis=0).astype(int)
    red, green, _ = closed[y + 5, x].astype(int)
    assert red > green + 30
    rows, columns = np.nonzero(np.abs(closed.astype(int) - open_).sum(axis=2) > 60)
    assert len(rows) > 200
    assert y - 5 < np.median(rows) < y + 40
    assert abs(np.median(columns) - x) < 10
