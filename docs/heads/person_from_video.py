# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws ``docs/images/person-from-video.jpg``: a film, its tracking, and the avatar made of it.

Another person of the default head, whose face the tracker does not know, is filmed by Cycles while
saying the sample voice; ``gaussianspeech train person`` makes an avatar of that video; the avatar
smiles, turned to both sides. Needs a Python that has the project with its extras ``tracking``,
``training`` and ``blender``; run it after tracking or training have changed. What FOLDER has is not
filmed or trained again::

    python -m docs.heads.person_from_video FOLDER
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image
from scipy.spatial.transform import Rotation

from engine import assets
from engine.avatar.with_head import load_with_head
from engine.heads.head import Head
from engine.rendering.frames import FrameRenderer, studio_backdrop
from engine.rendering.video import write_video
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend
from tests.benchmarks.tracking_truth import Shot

ROOT = Path(__file__).resolve().parents[2]

PICTURE = ROOT / "docs" / "images" / "person-from-video.jpg"
VOICE = Path(assets.__file__).with_name("sample_voice.wav")
PERSON, SIZE, SECONDS, SHOWN = 103, (480, 600), 3.2, 40
"""Of the film; the last is the frame that is shown."""
CROP = np.s_[70:520, 70:410]
"""Of the pictures, what is shown."""
STEPS = 1500
FACES = (({}, 0), ({"mouthSmileLeft": 0.7, "mouthSmileRight": 0.7}, -22), ({"jawOpen": 0.35}, 22))
"""Expressions and degrees of turn."""
_AWAY, _FOCAL, _ABOVE = 0.52, 1.3, 0.03


def film(path: Path) -> None:
    """Film the person."""
    shot = Shot(VOICE, size=SIZE, seed=PERSON, seconds=SECONDS, focal=_FOCAL)
    frames = (image for image, _ in shot.pictures(cycles=True))
    write_video(path, frames, float(shot.truth.performance.fps), VOICE)


def train(path: Path, out: Path) -> None:
    """Make the person's avatar of the film, as the README says it."""
    options = ["--preset", "quick", "--avatar-steps", str(STEPS), "--speech-steps", "0"]
    command = [sys.executable, "-m", "training", "train", "person", str(path), "--out", str(out)]
    subprocess.run([*command, *options], check=True, cwd=ROOT)


def frame_of(path: Path, number: int) -> np.ndarray:
    """(H, W, 3) of a film's frame, in the picture's size."""
    with av.open(str(path)) as container:
        for index, frame in enumerate(container.decode(video=0)):
            if index == number:
                return np.asarray(frame.to_image().resize(SIZE, Image.Resampling.LANCZOS))
    raise SystemExit(f"{path} has no frame {number}.")


def faces(out: Path) -> list[np.ndarray]:
    """The avatar's own pictures."""
    avatar, head = load_with_head(out)
    width, height = SIZE
    focal = _FOCAL * height
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], np.float32)
    camera = Camera(np.eye(4, dtype=np.float32), K, width, height)
    renderer = FrameRenderer(avatar, choose_backend("auto"), camera, studio_backdrop(*SIZE))
    shown = []
    for weights, turn in FACES:
        expression = np.zeros(len(head.expression_names), np.float32)
        for name, value in weights.items():
            expression[head.expression_index(name)] = value
        image = renderer.submit(head.deform(expression), expression, _placed(head, turn))
        shown.append(image.numpy()[0])
    return shown


def _placed(head: Head, turn: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("Y", turn, degrees=True).as_matrix()
    matrix[:3, 3] = -matrix[:3, :3] @ (head.eyes - [0.0, _ABOVE, 0.0])
    before = np.diag([1.0, -1.0, -1.0, 1.0])
    before[2, 3] = _AWAY
    return (before @ matrix).astype(np.float32)


def main() -> None:
    """Film, train, compose."""
    folder = Path(sys.argv[1]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    video, out = folder / "film.mp4", folder / "person"
    if not video.is_file():
        film(video)
    if not (out / "person.json").is_file():
        train(video, out)
    tracked = out / "stages" / "tracking" / "preview.mp4"
    row = [frame_of(video, SHOWN), frame_of(tracked, SHOWN), *faces(out)]
    picture = Image.fromarray(np.hstack([panel[CROP] for panel in row]))
    picture.resize((1600, 1600 * picture.height // picture.width)).save(PICTURE, quality=88)


if __name__ == "__main__":
    main()
