# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of a known head: another identity speaks, turns and nods before a phone that sways."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

from engine.audio.loading import load_speech
from engine.avatar import load_avatar
from engine.core.arrays import Float
from engine.heads import load_head
from engine.heads.head import Head
from engine.heads.shape_basis import load_shape_basis
from engine.heads.shaped_head import shaped_head
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.rendering.frames import FrameRenderer, studio_backdrop
from engine.rendering.video import write_video
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend

_SEEDS, _BUMP = 40, 0.0006
"""Points that are moved at random, and by how many metres."""


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


def identity(seed: int) -> Head:
    """Another person of the default head, with smooth bumps that its basis does not know."""
    base = load_head("default")
    if seed == 0:
        return base
    rng = np.random.default_rng(seed)
    template = base.template.astype(np.float64)
    offset = np.zeros_like(template)
    for centre in template[rng.choice(len(template), _SEEDS, replace=False)]:
        squared = np.square(template - centre).sum(1) / 0.04**2
        offset += rng.normal(0, _BUMP, 3) / np.square(1 + squared)[:, None]
    for side in ("left", "right"):
        ball = base.regions[f"{side}_eyeball"]
        offset[ball] = offset[ball].mean(0)
    return shaped_head(load_shape_basis().random(seed), offset.astype(np.float32))


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
    degrade=lambda image, frame, mouth: image,
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
        degrade: what is done to each picture: noise, blur, a hand. It is given the mouth's pixel
            and width, (3,).
    """
    base, person = load_head("default"), identity(seed)
    speech = load_speech(audio)
    text = audio.with_suffix(".txt")
    performance = predict(speech, base, fps, text=text.read_text() if text.is_file() else None)
    # The same speech on the person's own expressions.
    performance = replace(performance, basis=person.expression_basis, head=person.id)
    count = performance.frames if seconds is None else min(performance.frames, int(seconds * fps))
    width, height = size
    f = focal * max(size)
    K = np.array([[f, 0, width / 2], [0, f, height / 2], [0, 0, 1]], np.float32)
    cuts = (count // 3,) if cut else ()
    matrices = _poses(person, performance, count, turn, fps, seed, cuts)
    avatar, backend = load_avatar("default", base), choose_backend("cpu")
    camera = Camera(np.eye(4, dtype=np.float32), K, width, height)
    renderer = FrameRenderer(avatar, backend, camera, studio_backdrop(width, height))

    def mouth(vertices, matrix):
        corners = vertices[person.landmarks["mouth_corners"]] @ matrix[:3, :3].T + matrix[:3, 3]
        flat = f * corners[:, :2] / corners[:, 2:] + [width / 2, height / 2]
        return np.array([*flat.mean(0), np.linalg.norm(flat[1] - flat[0])])

    def frames():
        for frame in range(count):
            vertices = person.template + performance.offsets(frame, frame + 1)[0]
            image = renderer.submit(vertices, performance.expression[frame], matrices[frame])
            yield degrade(image.numpy()[0], frame, mouth(vertices, matrices[frame]))

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
