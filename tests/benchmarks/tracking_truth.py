# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos of a known head: another identity speaks, turns and nods before a phone that sways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from engine.audio.loading import load_speech
from engine.avatar import load_avatar
from engine.core.arrays import Float
from engine.heads import load_head
from engine.heads.head import Head
from engine.heads.shape_basis import load_shape_basis
from engine.heads.shaped_head import shaped_head
from engine.motion.model.ids import RULES
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.recognition.segmentation import Segmentation
from engine.rendering.frames import FrameRenderer, studio_backdrop
from engine.rendering.video import write_video
from engine.splatting.camera import Camera
from engine.splatting.registry import choose_backend
from training.data.layout_head_param import HeadParam
from training.synthetic.schedule import TimestepPose
from training.tracking.landmarks import Image

_SEEDS, _BUMP = 40, 0.0006
"""Points that are moved at random, and by how many metres."""
_SAMPLES = 4
"""Of Cycles, a pixel; they are denoised."""
_AWAY = 0.52
"""Metres from the phone to the face."""


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


class Shot:
    """A person before a phone's camera, who says what an audio file holds.

    Attributes:
        truth: what it shows.
        size: width and height of the pictures, pixels.
    """

    def __init__(
        self,
        audio: Path,
        *,
        fps: float = 25.0,
        size: tuple[int, int] = (720, 1280),
        seed: int = 1,
        seconds: float | None = None,
        turn: float = 22.0,
        focal: float = 0.78,
        cut: bool = False,
        given: Segmentation | None = None,
    ) -> None:
        """Plan it.

        Args:
            audio: what is said.
            fps: frames per second.
            size: width and height, pixels.
            seed: of the identity; 0 is the default head itself.
            seconds: of the audio; all by default.
            turn: degrees to which the head turns.
            focal: against the picture's larger side.
            cut: whether a third of the way the camera jumps nearer and aside.
            given: phones of the audio; they are recognised by default.
        """
        person = identity(seed)
        speech, text = load_speech(audio), audio.with_suffix(".txt")
        said = text.read_text() if text.is_file() and given is None else None
        performance = predict(
            speech, load_head("default"), fps, text=said, given=given, model=RULES
        )
        # The same speech on the person's own expressions.
        performance = replace(performance, basis=person.expression_basis, head=person.id)
        whole = performance.frames
        count = whole if seconds is None else min(whole, int(seconds * fps))
        f = focal * max(size)
        K = np.array([[f, 0, size[0] / 2], [0, f, size[1] / 2], [0, 0, 1]], np.float32)
        cuts = (count // 3,) if cut else ()
        matrices = _poses(person, performance, count, turn, fps, seed, cuts)
        self.truth = Truth(person, performance, matrices, K, np.arange(count) / fps, cuts)
        self.size = size

    def pictures(
        self, around: float = 0.0, *, cycles: bool = False, hair_length: float = 1.0
    ) -> Iterator[tuple[Image, Float]]:
        """Each frame's (H, W, 3) uint8, and the mouth's pixel and width, (3,).

        Args:
            around: degrees by which the camera stands aside of the phone, to the head's left.
            cycles: the synthetic person in Cycles, in light that stands still, in place of the
                default avatar, whose looks the tracker knows.
            hair_length: of that person, beside that of the default avatar.
        """
        truth, placed = self.truth, camera_aside(around)
        camera = Camera(placed, truth.K, *self.size)
        images = self._in_cycles(camera, hair_length) if cycles else self._as_avatar(camera)
        for frame, (image, matrix) in enumerate(zip(images, truth.matrices, strict=True)):
            corners = truth.vertices(frame)[truth.head.landmarks["mouth_corners"]]
            shown = placed @ matrix
            corners = (corners @ shown[:3, :3].T + shown[:3, 3]) @ truth.K.T
            flat = corners[:, :2] / corners[:, 2:]
            mouth = np.array([*flat.mean(0), np.linalg.norm(flat[1] - flat[0])])
            yield image, mouth

    def _as_avatar(self, camera: Camera) -> Iterator[Image]:
        """The default avatar on this head."""
        truth, backdrop = self.truth, studio_backdrop(*self.size)
        avatar, backend = load_avatar("default", load_head("default")), choose_backend("cpu")
        renderer = FrameRenderer(avatar, backend, camera, backdrop)
        for frame, matrix in enumerate(truth.matrices):
            weights = truth.performance.expression[frame]
            yield renderer.submit(truth.vertices(frame), weights, matrix).numpy()[0]

    def _in_cycles(self, camera: Camera, hair_length: float) -> Iterator[Image]:
        """The synthetic person with this head, in the studio's light."""
        # Deferred: it needs Blender's module.
        from training.synthetic.cycles_rig import CyclesRig

        truth, backdrop = self.truth, studio_backdrop(*self.size)
        rig = CyclesRig(truth.head, _SAMPLES, hair_length=hair_length)
        phone = np.diag([1.0, -1.0, -1.0, 1.0])
        phone[2, 3] = _AWAY
        seen = replace(camera, viewmat=(camera.viewmat @ phone).astype(np.float32))
        names = truth.performance.expression_names
        for frame, matrix in enumerate(truth.matrices):
            weights = truth.performance.expression[frame]
            placed = (np.linalg.inv(phone) @ matrix).astype(np.float32)
            param = HeadParam(truth.head.id, weights, names, placed)
            rig.pose(TimestepPose("", "speech", param, truth.vertices(frame)))
            rgba = rig.shoot(seen, frame).astype(np.float32) / 255
            image = rgba[..., :3] * rgba[..., 3:] + backdrop * (1 - rgba[..., 3:])
            yield np.asarray(image * 255 + 0.5, np.uint8)


def camera_aside(degrees: float) -> Float:
    """(4, 4) from the phone's space to that of a camera as far from the face, aside of it."""
    turn, pivot = np.eye(4), np.eye(4)
    turn[:3, :3] = Rotation.from_euler("Y", degrees, degrees=True).as_matrix()
    pivot[2, 3] = _AWAY
    return (pivot @ turn @ np.linalg.inv(pivot)).astype(np.float32)


def filmed(out: Path, audio: Path, **options: Any) -> Truth:
    """Film a person with a phone: options are those of :class:`Shot`."""
    shot = Shot(audio, **options)
    pictures = (image for image, _ in shot.pictures())
    write_video(out, pictures, float(shot.truth.performance.fps), audio)
    return shot.truth


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
    flip[2, 3] = _AWAY
    return (flip @ matrices).astype(np.float32)
