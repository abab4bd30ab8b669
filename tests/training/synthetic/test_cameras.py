# SPDX-License-Identifier: GPL-3.0-or-later
import numpy as np
import pytest

from engine.core.errors import BadInputError
from training.synthetic.cameras import DISTANCE, camera_rig
from training.synthetic.schedule import expression_of, head_pose
from training.synthetic.settings import CaptureSettings


def pixels(camera, points):
    seen = points @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    return (seen @ camera.K.T)[:, :2] / seen[:, 2:]


def test_the_first_camera_stands_before_the_face(head):
    first = camera_rig(head, CaptureSettings())[0].camera
    assert first.position[2] > DISTANCE - 0.1
    assert abs(first.position[0]) < 1e-6
    assert np.allclose(first.viewmat[2, :3], [0, 0, -1], atol=1e-6)


def test_sixteen_cameras_span_the_front_half_at_several_heights(head):
    rig = camera_rig(head, CaptureSettings())
    around = sorted(camera.around for camera in rig)
    heights = {round(float(camera.camera.position[1]), 2) for camera in rig}
    assert len(rig) == len({camera.id for camera in rig}) == 16
    assert around[0] == -around[-1]
    assert 45 <= around[-1] <= 60
    assert len(heights) >= 3


def test_the_head_fills_every_picture_and_stays_within(head):
    rng = np.random.default_rng(0)
    for camera in camera_rig(head, CaptureSettings()):
        for pose in ((0, 0, 0), (18, 0, 0), (-18, 0, 0), (0, 10, 0), (0, -12, 0)):
            matrix = head_pose(pose, rng)
            world = head.template @ matrix[:3, :3].T + matrix[:3, 3]
            found = pixels(camera.camera, world) / [1100, 1604]
            face = found[head.regions["face"]]
            assert face.min() > 0.02
            assert face.max() < 0.98
            assert np.ptp(found[:, 1]) > 0.6


def test_fewer_cameras_still_spread(head):
    rig = camera_rig(head, CaptureSettings(cameras=3, views_per_timestep=3))
    assert sorted(camera.around for camera in rig) == [-56, 0, 56]


def test_cameras_behind_come_last_and_see_the_whole_head(head):
    front, rig = camera_rig(head, CaptureSettings()), camera_rig(head, CaptureSettings(behind=6))
    assert [camera.id for camera in rig] == [f"{index:02d}" for index in range(22)]
    for one, other in zip(front, rig, strict=False):
        assert np.array_equal(one.camera.viewmat, other.camera.viewmat)
    for camera in rig[16:]:
        assert abs(camera.around) >= 90
        assert camera.camera.position[2] < 0
        found = pixels(camera.camera, head.template) / [1100, 1604]
        assert found.min() > 0
        assert found.max() < 1


def test_close_ups_come_last_and_show_mouth_and_forehead_from_beside_the_front(head):
    behind = camera_rig(head, CaptureSettings(behind=2))
    rig = camera_rig(head, CaptureSettings(behind=2, close_ups=True))
    for one, other in zip(behind, rig, strict=False):
        assert one.id == other.id
        assert np.array_equal(one.camera.K, other.camera.K)
    close = rig[len(behind) :]
    assert {camera.part for camera in close} == {"mouth", "forehead"}
    wide = {name: 0.8 for name in head.expression_names if name.startswith("mouthSmile")}
    opened = expression_of(head, {"jawOpen": 0.95})
    smile = expression_of(head, wide)
    rng = np.random.default_rng(0)
    for camera in close:
        assert abs(camera.around) >= 15
        region = "lips" if camera.part == "mouth" else "forehead"
        for expression in (opened, smile):
            for turned in ((5, 0, 0), (-5, 0, 0), (0, 4, 0)):
                matrix = head_pose(turned, rng)
                points = head.deform(expression)[head.regions[region]]
                seen = pixels(camera.camera, points @ matrix[:3, :3].T + matrix[:3, 3])
                seen /= [1100, 1604]
                # The sides may leave the picture of a head that turns away.
                assert ((seen > 0) & (seen < 1)).all(1).mean() > 0.7, (camera.id, region)
                assert np.ptp(seen[:, 0]) > 0.3


def test_the_sensors_are_not_quite_centred(head):
    """So that who ignores cx and cy is found out."""
    rig = camera_rig(head, CaptureSettings())
    off = np.array([camera.camera.K[:2, 2] - [550, 802] for camera in rig])
    assert np.abs(off).max() > 5
    assert np.abs(off).max() < 12


@pytest.mark.parametrize(
    "wrong",
    [
        {"cameras": 1},
        {"cameras": 17},
        {"timesteps": 0},
        {"samples": 0},
        {"scale": 0.0},
        {"behind": 7},
        {"turning": -0.1},
        {"turning": 2.5},
        {"cameras": 4, "views_per_timestep": 5},
        {"views_per_timestep": 1},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(BadInputError) as caught:
        CaptureSettings(**wrong)
    name = list(wrong)[-1]
    assert name in caught.value.message
    assert f"--{name.replace('_', '-')}" in caught.value.hint
