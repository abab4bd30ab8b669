# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of a known head: another identity speaks, turns and nods before a phone that sways."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from engine.audio.loading import load_speech
from engine.avatar import load_avatar
from engine.core.arrays import Float
from engine.heads import load_head
from engine.heads.head import Head
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.rendering.frames import FrameRenderer, studio_backdrop
from engine.rendering.video import write_video
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend

_SEEDS = 40
"""Points whose random motion makes an identity."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What a video shows.

    Attributes:
        head: the person, neutral.
        performance: of that head.
        matrices: (T, 4, 4) head space to camera, OpenCV axes, metres.
        K: (3, 3) intrinsics, pixels.
        times: (T,) seconds of the frames.
        cuts: frames that begin another take.
    """

    head: Head
    performance: Performance
    matrices: Float
    K: Float
    times: Float
    cuts: tuple[int, ...] = ()

    def vertices(self, frame: int) -> Float:
        """(V, 3) head space, metres."""
        return self.head.template + self.performance.offsets(frame, frame + 1)[0]


def identity(head: Head, seed: int) -> Head:
    """Another person on the same mesh: proportions, then smooth random bumps of the whole head.

    Eyeballs are moved and scaled as balls; lips that touch keep touching. Made otherwise than the
    tracker's own space of faces, so that it has to generalise.
    """
    if seed == 0:
        return head
    rng = np.random.default_rng(seed)
    template = head.template.astype(np.float64)
    offset = (template - head.eyes) * (rng.normal(0, 0.03, 3))
    centres = template[rng.choice(len(template), _SEEDS, replace=False)]
    moves = rng.normal(0, 0.0013, (_SEEDS, 3))
    for centre, move in zip(centres, moves, strict=True):
        squared = np.square(template - centre).sum(1) / 0.045**2
        offset += move / np.square(1 + squared)[:, None]
    made = template + offset
    for side in ("left", "right"):
        ball = head.regions[f"{side}_eyeball"]
        rest = template[ball]
        centre, new = rest.mean(0), made[ball].mean(0)
        scale = math.sqrt(np.square(made[ball] - new).sum() / np.square(rest - centre).sum())
        made[ball] = new + (rest - centre) * scale
    positions = head.skeleton.positions.astype(np.float64)
    _, near = cKDTree(template).query(positions, k=8)
    moved = positions + offset[near].mean(1)
    skeleton = replace(head.skeleton, positions=moved.astype(np.float32))
    return replace(head, template=made.astype(np.float32), skeleton=skeleton)


def filmed(
    out: Path,
    audio: Path,
    *,
    fps: float = 25.0,
    size: tuple[int, int] = (720, 1280),
    seed: int = 1,
    seconds: float | None = None,
    turn: float = 22.0,
    focal: float = 0.78,
    cut: bool = False,
    degrade=lambda image, frame: image,
) -> Truth:
    """Film a person with a phone.

    Args:
        out: the video.
        audio: what is said.
        fps: frames per second.
        size: width and height, pixels.
        seed: of the identity; 0 is the default head itself.
        seconds: of the audio; all by default.
        turn: degrees to which the head turns.
        focal: against the picture's larger side.
        cut: whether a third of the way the camera jumps nearer and aside.
        degrade: what is done to each picture: noise, blur.
    """
    base = load_head("default")
    person = identity(base, seed)
    speech = load_speech(audio)
    text = audio.with_suffix(".txt")
    performance = predict(speech, base, fps, text=text.read_text() if text.is_file() else None)
    count = performance.frames if seconds is None else min(performance.frames, int(seconds * fps))
    width, height = size
    f = focal * max(size)
    K = np.array([[f, 0, width / 2], [0, f, height / 2], [0, 0, 1]], np.float32)
    cuts = (count // 3,) if cut else ()
    matrices = _poses(person, performance, count, turn, fps, seed, cuts)
    avatar, backend = load_avatar("default", base), choose_backend("cpu")
    camera = Camera(np.eye(4, dtype=np.float32), K, width, height)
    renderer = FrameRenderer(avatar, backend, camera, studio_backdrop(width, height))

    def frames():
        for frame in range(count):
            vertices = person.template + performance.offsets(frame, frame + 1)[0]
            image = renderer.submit(vertices, performance.expression[frame], matrices[frame])
            yield degrade(image.numpy()[0], frame)

    write_video(out, frames(), fps, audio)
    times = np.arange(count) / fps
    return Truth(person, performance, matrices, K, times, cuts)


def _poses(head, performance, count, turn, fps, seed, cuts):
    """(T, 4, 4): slow turns to both sides, nods and tilts, what speech moves, a hand that sways."""
    rng = np.random.default_rng([seed, 7])
    phase = rng.uniform(0, 2 * np.pi, 6)
    t = np.arange(count) / fps
    yaw = turn * np.sin(2 * np.pi * t / 7.0 + 0.3 * phase[0])
    pitch = 0.35 * turn * np.sin(2 * np.pi * t / 5.1 + phase[1])
    roll = 0.25 * turn * np.sin(2 * np.pi * t / 8.3 + phase[2])
    own = Rotation.from_rotvec(performance.head_rotation[:count])
    turned = Rotation.from_euler("YXZ", np.stack([yaw, pitch, roll], 1), degrees=True) * own
    matrices = np.tile(np.eye(4), (count, 1, 1))
    matrices[:, :3, :3] = turned.as_matrix()
    pivot = head.neck.astype(np.float64)
    matrices[:, :3, 3] = pivot - matrices[:, :3, :3] @ pivot
    # The phone: half a metre away, looking back at the face, held by a hand.
    sway = np.stack(
        [
            0.012 * np.sin(2 * np.pi * t / p + q)
            for p, q in zip((3.3, 2.7, 6), phase[3:], strict=True)
        ],
        1,
    )
    matrices[:, :3, 3] += sway - (head.eyes - [0, 0.03, 0])
    for cut in cuts:
        matrices[cut:, :3, 3] += [0.03, -0.02, 0.06]
    flip = np.diag([1.0, -1.0, -1.0, 1.0])
    flip[2, 3] = 0.52
    return (flip @ matrices).astype(np.float32)
