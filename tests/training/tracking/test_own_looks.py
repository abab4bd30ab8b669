# SPDX-License-Identifier: GPL-3.0-or-later
"""The avatar that the detector is shown takes the colours of a film."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from engine.avatar import load_avatar
from engine.avatar.color import ShColor
from engine.core.errors import CancelledError
from engine.rendering.frames import FrameRenderer
from engine.rendering.video import write_video
from engine.splatting.camera import Camera
from engine.splatting.cpu.backend import CpuBackend
from tests.training.tracking.detected_faces import poses
from training.tracking.film import open_film
from training.tracking.given_masks import GivenMasks
from training.tracking.own_looks import (
    FilmPicture,
    PosedPicture,
    ShiftedColor,
    film_pictures,
    in_own_looks,
)

SIZE = 160
GREEN = np.float32([0.0, 1.0, 0.0])
K = np.array([[250, 0, SIZE / 2], [0, 250, SIZE / 2], [0, 0, 1]], np.float32)


@pytest.fixture(scope="module")
def avatar(head):
    return load_avatar("default", head)


def quiet(_share, _message):
    pass


def shown(avatar, head, matrix, backdrop):
    """A picture of the neutral head, (H, W, 3) in [0, 1]."""
    camera = Camera(matrix.astype(np.float32), K, SIZE, SIZE)
    plain = np.broadcast_to(backdrop, (SIZE, SIZE, 3)).astype(np.float32)
    renderer = FrameRenderer(avatar, CpuBackend(), camera, plain)
    neutral = np.zeros(len(head.expression_names), np.float32)
    return renderer.submit(head.template, neutral).numpy()[0].astype(np.float32) / 255


def matrices(count):
    found = np.tile(np.eye(4), (count, 1, 1))
    found[:, :3, :3], found[:, :3, 3] = poses(count)
    return found


def filmed(avatar, head, backdrop=GREEN, count=4):
    """Pictures of an avatar, and the part of each that it covers."""
    neutral = np.zeros(len(head.expression_names), np.float32)
    shots = []
    for matrix in matrices(count):
        picture = shown(avatar, head, matrix, backdrop)
        black, white = (shown(avatar, head, matrix, grey) for grey in (0.0, 1.0))
        mask = 1 - (white - black).mean(axis=2)
        image = (255 * picture + 0.5).astype(np.uint8)
        shots.append(PosedPicture(FilmPicture(image, mask), K, matrix, head.template, neutral))
    return shots


def painted(avatar, change):
    """The avatar in other colours, as its neutral face has them from in front."""
    return replace(avatar, color=ShColor.constant(change(avatar.color.colors(None, None))))


def test_renders_look_as_the_film_does(head, avatar):
    """Features of the skin too, not its tone alone."""
    stripes = torch.arange(avatar.count) % 7 < 3

    def other(colors):
        return torch.where(stripes[:, None], colors.flip(1), 0.6 * colors)

    person = painted(avatar, other)
    own = in_own_looks(avatar, head, filmed(person, head), CpuBackend(), quiet)
    front = matrices(1)[0]
    front[:3, :3] = np.diag([1.0, -1.0, -1.0])
    wanted, before, after = (shown(a, head, front, 0.0) for a in (person, avatar, own))
    assert np.abs(after - wanted).mean() < 0.3 * np.abs(before - wanted).mean()


def test_what_is_behind_the_person_colours_nothing(head, avatar):
    own = in_own_looks(avatar, head, filmed(avatar, head), CpuBackend(), quiet)
    assert own.color.shift.abs().max() < 0.2
    assert own.color.shift.abs().mean() < 0.01


def test_what_the_mask_leaves_out_colours_nothing(head, avatar):
    """A hand, or hair of the avatar where the person has none."""
    shots = filmed(painted(avatar, torch.zeros_like), head)
    half = np.arange(SIZE) < SIZE // 2
    shots = [
        shot._replace(picture=FilmPicture(shot.picture.image, shot.picture.mask * half[:, None]))
        for shot in shots
    ]
    own = in_own_looks(avatar, head, shots, CpuBackend(), quiet)
    nothing = [
        shot._replace(picture=FilmPicture(shot.picture.image, np.zeros_like(shot.picture.mask)))
        for shot in shots
    ]
    same = in_own_looks(avatar, head, nothing, CpuBackend(), quiet)
    assert own.color.shift.min() < -0.3
    assert (same.color.shift == 0).all()


def test_light_that_changes_with_the_expression_and_the_view_stays(head, avatar):
    shift = torch.full((avatar.count, 3), 0.05)
    own = ShiftedColor(avatar.color, shift)
    smile = torch.zeros(len(head.expression_names))
    smile[head.expression_index("mouthSmileLeft")] = 1
    view = torch.nn.functional.normalize(torch.ones(avatar.count, 3), dim=1)
    before = avatar.color.colors(smile, view)
    assert torch.equal(own.colors(smile, view), (before + shift).clamp(0, 1))


def test_taking_colours_can_be_cancelled(head, avatar):
    def stop(_share, _message):
        raise CancelledError

    with pytest.raises(CancelledError):
        in_own_looks(avatar, head, filmed(avatar, head, count=1), CpuBackend(), stop)


class Bright:
    """Takes what is bright for the person."""

    def segment(self, image):
        return image.mean(axis=2).astype(np.float32) / 255


@pytest.fixture
def films(tmp_path):
    """Two films of grey pictures, 4 levels brighter from frame to frame; the second is brighter."""
    found = []
    for number in range(2):
        path = tmp_path / f"{number}.mp4"
        grey = [
            np.full((160, 160, 3), 20 + 50 * number + 4 * frame, np.uint8) for frame in range(30)
        ]
        write_video(path, grey, 25.0, quality=4)
        found.append(open_film(path, 1280))
    return found


def test_pictures_of_some_frames_of_a_camera(films):
    taken = film_pictures(films, Bright(), [None, None])(1, np.array([3, 17]), quiet)
    assert [shown.image.mean() for shown in taken] == pytest.approx([82, 138], abs=2)
    for shown in taken:
        assert shown.mask == pytest.approx(shown.image.mean(axis=2) / 255)


def test_masks_that_are_given_count_in_place_of_segmented_ones(films, tmp_path):
    folder = tmp_path / "masks"
    folder.mkdir()
    for frame in range(30):
        Image.new("L", (160, 160), 8 * frame).save(folder / f"{frame:03d}.png")
    masks = GivenMasks([(folder, 30)])
    taken = film_pictures(films[:1], None, [masks])(0, np.array([5, 20]), quiet)
    assert [shown.mask.mean() for shown in taken] == pytest.approx([40 / 255, 160 / 255])
