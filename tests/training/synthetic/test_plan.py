# SPDX-License-Identifier: GPL-3.0-or-later
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from training.synthetic.plan import shots, with_close_ups

AROUND = [0, -56, 56, -36, 36, -18, 18, -46, 46, 1, -23, 23, -40, 40, -13, 13]


def test_the_front_camera_is_never_trained_on():
    for shot in (shot for planned in shots(40, AROUND, 4) for shot in planned):
        assert (shot.camera == 0) == (shot.split != "train")


def test_every_third_moment_is_seen_from_the_front_and_one_of_four_of_them_is_val():
    planned = shots(48, AROUND, 4)
    fronts = [(shot.timestep, shot.split) for shots_ in planned for shot in shots_ if not shot[1]]
    assert [timestep for timestep, _ in fronts] == list(range(0, 48, 3))
    assert Counter(split for _, split in fronts) == {"test": 12, "val": 4}


def test_the_front_camera_takes_part_every_time_where_all_cameras_do():
    assert all(len(planned) == 16 for planned in shots(5, AROUND, 16))


@given(timesteps=st.integers(1, 60), cameras=st.integers(2, 16), data=st.data())
def test_any_beginning_of_a_capture_is_balanced(timesteps, cameras, data):
    views = data.draw(st.integers(2, cameras))
    used = Counter()
    for planned in shots(timesteps, AROUND[:cameras], views):
        taken = [shot.camera for shot in planned]
        assert len(taken) == len(set(taken)) <= views
        used.update(camera for camera in taken if camera)
        counts = [used[camera] for camera in range(1, cameras)]
        assert max(counts) - min(counts) <= 1


def test_cameras_behind_film_every_third_moment_by_turns_and_change_nothing_else():
    with_back, without = shots(36, AROUND, 3, behind=4), shots(36, AROUND, 3)
    extra = [(shot.timestep, shot.camera) for planned in with_back for shot in planned[3:]]
    assert extra == [(1 + 3 * turn, 16 + turn % 4) for turn in range(12)]
    assert [planned[:3] for planned in with_back] == without
    assert {shot.split for planned in with_back for shot in planned[3:]} == {"train"}


def test_the_cameras_of_a_moment_stand_apart():
    for planned in shots(60, AROUND, 4):
        around = sorted(AROUND[shot.camera] for shot in planned if shot.camera)
        assert around[-1] - around[0] > 40


def test_close_ups_show_what_moves_by_turns_and_are_trained_on():
    kinds = ["mouth", "eyes", "mouth", "speech", "mouth", "eyes", "whole", "speech"]
    parts = [None] * 16 + ["mouth"] * 4 + ["forehead"] * 2
    planned = shots(8, AROUND, 3)
    close = [taken[len(plain) :] for taken, plain in zip(
        with_close_ups(planned, kinds, parts), planned, strict=True)]  # fmt: skip
    assert [[shot.camera for shot in taken] for taken in close] == [
        [16, 17], [20], [18, 19], [16, 17], [18, 19], [21], [16, 20], [17, 18]
    ]  # fmt: skip
    assert {shot.split for taken in close for shot in taken} == {"train"}
    assert with_close_ups(planned, kinds, [None] * 16) == planned
