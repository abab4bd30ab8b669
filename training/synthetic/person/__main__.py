# SPDX-License-Identifier: GPL-3.0-or-later
"""Preview of the filmed person, to judge by eye.

``python -m training.synthetic.person --out sheet.png --expressions neutral smile --turn 0 40 90``
"""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
import tyro
from numpy.typing import NDArray
from PIL import Image

from engine.heads import load_head
from engine.heads.head import Head
from training.synthetic.person.person import build_person
from training.synthetic.person.studio import light_studio, prepare_rendering

EXPRESSIONS = {
    "neutral": "",
    "smile": "mouthSmile=0.9,cheekSquint=0.6,eyeSquint=0.3,mouthDimple=0.2",
    "grin": "mouthSmile=0.8,mouthUpperUp=0.6,mouthLowerDown=0.4,jawOpen=0.12,cheekSquint=0.5",
    "open": "jawOpen=0.75",
    "brows_up": "browInnerUp=1,browOuterUp=1,eyeWide=0.4",
    "frown": "browDown=1,mouthFrown=0.6,noseSneer=0.3",
    "pucker": "mouthPucker=1",
    "press": "mouthPress=0.9,mouthShrugLower=0.6",
    "blink": "eyeBlink=1",
    "sneer": "noseSneer=1,mouthUpperUp=0.5",
}
"""Faces by name; a term without a side goes to both."""


@dataclass(frozen=True)
class Preview:
    """What to render.

    Attributes:
        out: the picture.
        expressions: names from ``EXPRESSIONS``, or terms such as ``jawOpen=0.5,eyeBlink=1``;
            each a column.
        turn: degrees by which the camera goes round to the person's left; each a row.
        size: width and height of one cell in pixels, before cropping.
        samples: Cycles samples a pixel.
        crop: left, right, bottom and top of the part to render, in [0, 1].
        focal: of the lens, millimetres on 36 mm film.
        background: grey behind the person, sRGB in [0, 1].
        hairs: on the skull.
        elevation: of the camera, degrees.
    """

    out: Path
    expressions: tuple[str, ...] = ("neutral",)
    turn: tuple[float, ...] = (0.0,)
    size: tuple[int, int] = (275, 401)
    samples: int = 8
    crop: tuple[float, float, float, float] = (0.0, 1.0, 0.0, 1.0)
    focal: float = 60.0
    background: float = 0.55
    hairs: int = 17000
    elevation: float = 0.0


def weights(head: Head, face: str) -> NDArray[np.float32]:
    """(E,) the expression that a name or list of terms stands for.

    Raises:
        KeyError: the head has no such expression.
    """
    result = np.zeros(len(head.expression_names), np.float32)
    for term in filter(None, EXPRESSIONS.get(face, face).split(",")):
        name, _, value = term.partition("=")
        for side in ("",) if name in head.expression_names else ("Left", "Right"):
            result[head.expression_index(name + side)] = float(value or 1)
    return result


def main(options: Preview) -> None:
    """Render the sheet; rows are turns, columns expressions."""
    head = load_head("default")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    light_studio(scene)
    prepare_rendering(scene, options.samples)
    start = time.perf_counter()
    person = build_person(scene, head, hairs=options.hairs)
    print(f"built in {time.perf_counter() - start:.1f} s, {person.strand_count} strands")
    camera = _camera(scene, options)
    cells: list[list[Image.Image]] = [[] for _ in options.turn]
    with tempfile.TemporaryDirectory() as folder:
        scene.render.filepath = str(Path(folder) / "cell.png")
        for face in options.expressions:
            expression = weights(head, face)
            person.pose(head.deform(expression), expression)
            for row, turn in zip(cells, options.turn, strict=True):
                _aim(camera, turn, options.elevation)
                start = time.perf_counter()
                bpy.ops.render.render(write_still=True)
                print(f"{face} {turn:g}: {time.perf_counter() - start:.1f} s")
                with Image.open(scene.render.filepath) as cell:
                    row.append(_over(cell, options.background))
    width, height = cells[0][0].size
    sheet = Image.new("RGB", (width * len(options.expressions), height * len(options.turn)))
    for y, line in enumerate(cells):
        for x, picture in enumerate(line):
            sheet.paste(picture, (x * width, y * height))
    sheet.save(options.out)


def _over(cell: Image.Image, background: float) -> Image.Image:
    plain = Image.new("RGBA", cell.size, (round(255 * background),) * 3 + (255,))
    return Image.alpha_composite(plain, cell.convert("RGBA")).convert("RGB")


def _camera(scene: bpy.types.Scene, options: Preview) -> bpy.types.Object:
    camera = bpy.data.objects.new("camera", bpy.data.cameras.new("camera"))
    camera.data.lens = options.focal
    camera.data.sensor_fit = "VERTICAL"
    camera.data.sensor_height = 36
    camera.data.clip_start = 0.01
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.render.resolution_x, scene.render.resolution_y = options.size
    scene.render.use_border = scene.render.use_crop_to_border = True
    left, right, bottom, top = options.crop
    scene.render.border_min_x, scene.render.border_max_x = left, right
    scene.render.border_min_y, scene.render.border_max_y = bottom, top
    scene.render.threads_mode = "FIXED"
    scene.render.threads = 2
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGBA"
    return camera


def _aim(camera: bpy.types.Object, turn: float, elevation: float) -> None:
    """Round the head's middle, 0.6 m away."""
    angle, up = np.radians(turn), np.radians(elevation)
    away = 0.6 * np.array([np.sin(angle) * np.cos(up), -np.cos(angle) * np.cos(up), np.sin(up)])
    middle = np.array([0.0, -0.01, -0.002])
    camera.location = tuple(middle + away)
    camera.rotation_euler = (np.pi / 2 - up, 0, angle)


if __name__ == "__main__":
    main(tyro.cli(Preview))
