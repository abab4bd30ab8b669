# SPDX-License-Identifier: GPL-3.0-or-later
"""The light that is found in pictures, against the one that they were made in."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.avatar import load_avatar, splats
from engine.avatar.color import ShColor
from engine.splatting.cpu.backend import CpuBackend
from training.avatar import light as fitting
from training.data.multiview import View
from training.synthetic.small_capture import Size, camera_at, turned

SKIN = np.array([0.62, 0.42, 0.32])
DIRECTIONS = ((-0.5, 0.4, 0.75), (0.7, 0.1, 0.7), (0.0, 0.9, 0.45))


def lamps(direction, colour):
    """(9, 3) an even light and a wide lamp."""
    x, y, z = direction
    first = np.array([0, x, y, z, 0, 0, 0, 0, 0])
    return 0.5 * np.array([1.0] + [0.0] * 8)[:, None] + 0.9 * first[:, None] * np.array(colour)


def srgb(linear):
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def filmed(head, light):
    """Views of a head whose skin is of one colour, and what reaches its vertices at rest."""
    carried = fitting.transfer(head)
    avatar, backend, views = load_avatar("default", head), CpuBackend(), []
    faces = torch.from_numpy(head.faces.astype(np.int64))[avatar.binding.long()]
    for number, (around, above) in enumerate([(0, 5), (35, 0), (-35, 0), (15, -20), (-15, 20)]):
        matrix, camera = turned(0.1 * (number - 2)), camera_at(around, above, Size(110, 160))
        reached = carried @ fitting.harmonics(fitting.sphere() @ matrix[:3, :3].T) @ light
        colors = np.clip(srgb(np.clip(reached * SKIN, 0, 1)), 0, 1).astype(np.float32)
        painted = replace(
            avatar, color=ShColor.constant(torch.from_numpy(colors)[faces].mean(1)), light=None
        )
        pose = torch.from_numpy(matrix)
        vertices = torch.from_numpy(head.template)
        drawn = splats(painted, vertices, None, pose, torch.from_numpy(camera.position))
        with torch.inference_mode():
            image = backend.render(drawn, camera)
        world = vertices @ pose[:3, :3].T + pose[:3, 3]
        nothing = torch.zeros(len(head.expression_names))
        views.append(
            View(image.rgb.clone(), image.alpha.clone(), camera, number, "", world, nothing, pose)
        )
    return views, carried @ fitting.harmonics(fitting.sphere()) @ light


def main_direction(light, head):
    """Where the light on the face comes from: by linear regression on the normals."""
    face = head.regions["face"]
    normals = fitting.vertex_normals(head.template, head.faces)[face]
    rows = np.concatenate([np.ones((len(face), 1)), normals], axis=1)
    found = np.linalg.lstsq(rows, light[face].mean(axis=1), rcond=None)[0][1:]
    return found / np.linalg.norm(found)


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_the_main_light_is_found_in_pictures_of_a_head_that_turns(head, direction):
    views, truth = filmed(head, lamps(direction, (1.0, 0.9, 0.75)))
    found = fitting.fit_light(head, views).on(head)
    cosine = main_direction(found, head) @ main_direction(truth, head)
    assert np.degrees(np.arccos(cosine)) < 6
    face = head.regions["face"]
    ratio = np.log(found[face] / np.maximum(truth[face], 1e-3)).mean(axis=1)
    bright = truth[face].mean(axis=1) > 0.1
    assert np.std(ratio[bright]) < 0.2


def test_colours_of_light_and_skin_are_distinguished_by_where_they_are(head):
    views, truth = filmed(head, lamps((-0.6, 0.2, 0.7), (1.4, 0.8, 0.4)))
    fit = fitting.fit_light(head, views)
    found, face = fit.on(head), head.regions["face"]
    face = face[truth[face].min(axis=1) > 0.15]
    warm = [light[face, 0] / light[face, 2] for light in (found, truth)]
    assert np.corrcoef(*warm)[0, 1] > 0.8
    # The mean light is taken to be white, so of the skin's colour only what differs from that.
    skin = fit.albedos["skin"]
    assert skin[0] > skin[1] > skin[2]
    assert skin @ [0.2126, 0.7152, 0.0722] == pytest.approx(fitting.SKIN_LUMINANCE, rel=0.15)


def test_hair_before_the_skin_counts_little(head):
    light = lamps((-0.5, 0.4, 0.75), (1.0, 1.0, 1.0))
    views, truth = filmed(head, light)
    for view in views:
        # A fringe: the upper third of the person is dark.
        rows = torch.nonzero(view.alpha.amax(1) > 0.5)
        top = int(rows.min() + (rows.max() - rows.min()) // 3)
        view.image[:top] *= 0.15
    found = fitting.fit_light(head, views).on(head)
    cosine = main_direction(found, head) @ main_direction(truth, head)
    assert np.degrees(np.arccos(cosine)) < 25
