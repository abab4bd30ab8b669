# SPDX-License-Identifier: GPL-3.0-or-later
"""A predicted performance as shape-key values, and how it is kept inside the .blend file. No bpy.

The values as predicted stay with the Action they were baked into, as 16-bit shares of their range,
compressed: a saved file can be baked again with other settings, without the engine. Neighbouring
frames differ little, so differences in time are stored. 1,500 frames in which 60 keys never rest
take 160 kB, speech by rule about 25 kB.
"""

from __future__ import annotations

import base64
import json
import math
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Float
from ...engine.core.errors import BadInputError
from ...engine.core.inflate import inflate
from ...engine.motion.face.prosody import UNKNOWN, Prosody
from ...engine.motion.joint_pose import JointPose

Timed = tuple[str, float, float]
"""A sound or a word with its start and end, seconds."""
Point = tuple[float, float, float]

_MOST_BYTES = 1 << 30
"""Of the numbers of a prediction, two bytes each; an hour of 60 keys has 10 MB."""
_ZERO = 32767
"""Level of the value 0, which is exact, as are the ends of a range."""
_STEP, _FINE = np.float32(1e-4), np.float32(1e-5)
"""Radians between two levels of a rotation, and metres between two of a joint's location."""


@dataclass(frozen=True, eq=False)
class Prediction:
    """What the engine predicted for one clip.

    Attributes:
        clip: name of the strip or file.
        head: id of the head.
        model: id of the speech model.
        fps: frames per second of the values.
        start: scene frame of the first value when it was predicted.
        strip_start: scene frame at which the strip's content began then, ``None`` without a strip;
            a strip that was moved since takes the animation with it.
        expressions: names of the head's expressions.
        correctives: names of the corrective shape keys.
        ranges: lowest and highest value of each key, in the order of ``names``.
        values: (T, E + C) float32 in their ranges, expressions first.
        max_error_mm: largest vertex error against the prediction, millimetres.
        source_sha256: of the audio.
        performance: path of the saved performance, or empty.
        phones: sounds with their start and end, seconds from the first value, where known.
        words: words as they are written with their start and end, likewise.
        language: what is spoken, ISO 639, or empty.
        lip_pairs: vertices of the upper and of the lower inner lip, opposite each other, where the
            head names them.
        prosody: stress and tone of the speech, empty where unknown.
        neck: what the head turns about, head space, metres.
        eyes: where it looks from, likewise.
        head_rotation: (T, 3) float32 rotation vectors of the head as predicted, head space,
            radians; kept to a ten-thousandth.
        joints: names of the J joints of a head whose rig moves it, parents before children; empty
            where the keys hold all of the motion.
        pose: how the joints stand, of T frames; kept to a ten-thousandth of a radian and a
            hundredth of a millimetre.
        turned_by: the joint that ``head_rotation`` is of.
    """

    clip: str
    head: str
    model: str
    fps: float
    start: float
    strip_start: float | None
    expressions: tuple[str, ...]
    correctives: tuple[str, ...]
    ranges: tuple[tuple[float, float], ...]
    values: Float
    max_error_mm: float = 0.0
    source_sha256: str = ""
    performance: str = ""
    phones: tuple[Timed, ...] = ()
    words: tuple[Timed, ...] = ()
    language: str = ""
    lip_pairs: tuple[tuple[int, ...], tuple[int, ...]] = ((), ())
    prosody: Prosody = UNKNOWN
    neck: Point = (0.0, 0.0, 0.0)
    eyes: Point = (0.0, 0.0, 0.0)
    head_rotation: Float = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    joints: tuple[str, ...] = ()
    pose: JointPose = field(default_factory=lambda: JointPose.rest(0, 0))
    turned_by: str = "neck"

    def __post_init__(self) -> None:
        """Give a head whose rotation is not known none, and joints that are not known rest."""
        if not len(self.head_rotation):
            still = np.zeros((len(self.values), 3), np.float32)
            object.__setattr__(self, "head_rotation", still)
        if not len(self.pose.rotation):
            rest = JointPose.rest(len(self.values), len(self.joints))
            object.__setattr__(self, "pose", rest)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all keys, in the order of the columns of ``values``."""
        return self.expressions + self.correctives

    @property
    def bounds(self) -> Float:
        """(2, E + C) float32 lowest and highest values."""
        return np.array(self.ranges, np.float32).reshape(-1, 2).T

    def pack(self) -> tuple[str, bytes]:
        """Everything but the values as JSON, and the values."""
        about = asdict(self)
        del about["values"]
        about["pose"] = [
            _pack_steps(self.pose.rotation, _STEP),
            _pack_steps(self.pose.location, _FINE),
        ]
        about["shape"] = self.values.shape
        about["prosody"] = self.prosody.to_json()
        about["head_rotation"] = _pack_steps(self.head_rotation, _STEP)
        levels = np.rint((np.clip(self.values / self._reach, -1, 1) + 1) * _ZERO).astype("<u2")
        # Differences wrap round, and so does their sum: nothing is lost.
        steps = np.diff(levels, axis=0, prepend=np.zeros((1, levels.shape[1]), "<u2"))
        return json.dumps(about), zlib.compress(np.ascontiguousarray(steps.T).tobytes(), 6)

    @property
    def _reach(self) -> Float:
        """(E + C,) the largest absolute value of each range."""
        return np.abs(self.bounds).max(axis=0)

    @classmethod
    def unpack(cls, about: str, packed: bytes) -> Prediction:
        """What :meth:`pack` made.

        Raises:
            BadInputError: the two do not hold a prediction.
        """
        try:
            fields: dict[str, Any] = dict(json.loads(about))
            frames, keys = fields.pop("shape")
            steps = _inflated(packed, "<u2", (keys, frames))
            levels = np.cumsum(steps, axis=1, dtype="<u2").T
            shares = (levels.astype(np.float32) - _ZERO) / _ZERO
            for name in ("expressions", "correctives", "joints"):
                fields[name] = tuple(fields.get(name, ()))
            fields["ranges"] = tuple((low, high) for low, high in fields["ranges"])
            for name in ("phones", "words"):
                fields[name] = _timed(fields.get(name, ()))
            fields["lip_pairs"] = _lip_pairs(fields.get("lip_pairs", ((), ())))
            fields["prosody"] = _prosody(fields.get("prosody"))
            for name in ("neck", "eyes"):
                fields[name] = _point(fields.get(name))
            turned = _unpack_steps(fields.get("head_rotation", ""), (frames, 3), _STEP)
            fields["head_rotation"] = turned
            rotation, location = fields.get("pose", ("", ""))
            shape = (frames, len(fields["joints"]), 3)
            fields["pose"] = JointPose(
                _unpack_steps(rotation, shape, _STEP), _unpack_steps(location, shape, _FINE)
            )
            prediction = cls(**fields, values=shares)
            return replace(prediction, values=shares * prediction._reach)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise BadInputError(
                f"The prediction kept with the action cannot be read: {error}.", "Predict again."
            ) from error


def prediction_from_reply(
    body: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    *,
    clip: str,
    start: float,
    strip_start: float | None,
    correctives: tuple[str, ...],
) -> Prediction:
    """The prediction in the engine's reply to ``speech.predict``.

    Args:
        body: of the reply.
        arrays: of the reply; an engine of an earlier version leaves ``head_rotation`` out.
        clip: name of the strip or file.
        start: scene frame of the first value.
        strip_start: scene frame at which the strip's content begins, ``None`` without a strip.
        correctives: names for the corrective keys.
    """
    names = tuple(body["key_names"])
    joints: dict[str, Any] = {}
    if "joint_rotation" in arrays:
        pose = JointPose(arrays["joint_rotation"], arrays["joint_location"])
        joints = {"joints": tuple(body["joints"]), "pose": pose, "turned_by": body["turned_by"]}
    return Prediction(
        clip=clip,
        head=body["head"],
        model=body["model"],
        fps=float(body["fps"]),
        start=start,
        strip_start=strip_start,
        expressions=names[: len(names) - len(correctives)],
        correctives=correctives,
        ranges=tuple((float(low), float(high)) for low, high in body["key_ranges"]),
        values=np.asarray(arrays["key_values"], np.float32),
        max_error_mm=float(body["max_error_mm"]),
        source_sha256=body.get("source_sha256") or "",
        performance=body.get("performance") or "",
        phones=_timed(body.get("phones", ())),
        words=_timed(body.get("words", ())),
        language=body.get("language") or "",
        lip_pairs=_lip_pairs(body.get("lip_pairs", ((), ()))),
        prosody=_prosody(body.get("prosody")),
        neck=_point(body.get("neck")),
        eyes=_point(body.get("eyes")),
        head_rotation=arrays.get("head_rotation", np.zeros((0, 3), np.float32)),
        **joints,
    )


def _prosody(value: Any) -> Prosody:
    return UNKNOWN if value is None else Prosody.from_json(value)


def _point(value: Any) -> Point:
    x, y, z = value or (0.0, 0.0, 0.0)
    return float(x), float(y), float(z)


def _pack_steps(values: Float, step: np.float32) -> str:
    """(T, …) numbers as differences in time of 16-bit levels, compressed; nothing for zeros."""
    if not values.any():
        return ""
    levels = np.rint(np.clip(values / step, -_ZERO, _ZERO)).astype("<i2").reshape(len(values), -1)
    steps = np.diff(levels, axis=0, prepend=np.zeros((1, levels.shape[1]), "<i2"))
    return base64.b64encode(zlib.compress(np.ascontiguousarray(steps.T).tobytes(), 6)).decode()


def _inflated(packed: bytes, kind: str, shape: tuple[int, int]) -> NDArray[Any]:
    """Numbers of two bytes each, which may come from a file of anybody's."""
    size = 2 * shape[0] * shape[1]
    if not (shape[0] >= 0 and shape[1] >= 0 and size <= _MOST_BYTES):
        raise ValueError("it is larger than any prediction")
    return np.frombuffer(inflate(packed, size), kind).reshape(shape)


def _unpack_steps(packed: str, shape: tuple[int, ...], step: np.float32) -> Float:
    if not packed:
        return np.zeros(shape, np.float32)
    columns = math.prod(shape[1:])
    steps = _inflated(base64.b64decode(packed), "<i2", (columns, shape[0]))
    return np.cumsum(steps, axis=1, dtype="<i2").T.astype(np.float32).reshape(shape) * step


def _lip_pairs(pairs: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    upper, lower = (tuple(int(vertex) for vertex in side) for side in pairs)
    return upper, lower


def _timed(listed: Iterable[Any]) -> tuple[Timed, ...]:
    return tuple((str(label), float(start), float(end)) for label, start, end in listed)
