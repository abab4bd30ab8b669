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
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError
from ...engine.motion.face.prosody import UNKNOWN, Prosody

Float = NDArray[np.float32]
Timed = tuple[str, float, float]
"""A sound or a word with its start and end, seconds."""
Point = tuple[float, float, float]

_ZERO = 32767
"""Level of the value 0, which is exact, as are the ends of a range."""
_STEP = np.float32(1e-4)
"""Radians between two levels of a head's rotation."""


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

    def __post_init__(self) -> None:
        """Give a head whose rotation is not known none."""
        if not len(self.head_rotation):
            still = np.zeros((len(self.values), 3), np.float32)
            object.__setattr__(self, "head_rotation", still)

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
        about["shape"] = self.values.shape
        about["prosody"] = self.prosody.to_json()
        about["head_rotation"] = _pack_rotation(self.head_rotation)
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
            steps = np.frombuffer(zlib.decompress(packed), "<u2").reshape(keys, frames)
            levels = np.cumsum(steps, axis=1, dtype="<u2").T
            shares = (levels.astype(np.float32) - _ZERO) / _ZERO
            for name in ("expressions", "correctives"):
                fields[name] = tuple(fields[name])
            fields["ranges"] = tuple((low, high) for low, high in fields["ranges"])
            for name in ("phones", "words"):
                fields[name] = _timed(fields.get(name, ()))
            fields["lip_pairs"] = _lip_pairs(fields.get("lip_pairs", ((), ())))
            fields["prosody"] = _prosody(fields.get("prosody"))
            for name in ("neck", "eyes"):
                fields[name] = _point(fields.get(name))
            fields["head_rotation"] = _unpack_rotation(fields.get("head_rotation", ""), frames)
            prediction = cls(**fields, values=shares)
            return replace(prediction, values=shares * prediction._reach)
        except (ValueError, KeyError, TypeError, zlib.error) as error:
            raise BadInputError(
                f"The prediction kept with the action cannot be read: {error}.", "Predict again."
            ) from error


def prediction_from_reply(
    body: Mapping[str, Any],
    values: Float,
    *,
    clip: str,
    start: float,
    strip_start: float | None,
    correctives: tuple[str, ...],
    head_rotation: Float | None = None,
) -> Prediction:
    """The prediction in the engine's reply to ``speech.predict``.

    Args:
        body: of the reply.
        values: (T, E + C) of the reply.
        clip: name of the strip or file.
        start: scene frame of the first value.
        strip_start: scene frame at which the strip's content begins, ``None`` without a strip.
        correctives: names for the corrective keys.
        head_rotation: (T, 3) of the reply, which an engine of an earlier version leaves out.
    """
    names = tuple(body["key_names"])
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
        values=np.asarray(values, np.float32),
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
        head_rotation=np.zeros((0, 3), np.float32) if head_rotation is None else head_rotation,
    )


def _prosody(value: Any) -> Prosody:
    return UNKNOWN if value is None else Prosody.from_json(value)


def _point(value: Any) -> Point:
    x, y, z = value or (0.0, 0.0, 0.0)
    return float(x), float(y), float(z)


def _pack_rotation(rotation: Float) -> str:
    """Rotation vectors in ten-thousandths of a radian, compressed; nothing for a still head."""
    if not rotation.any():
        return ""
    levels = np.rint(np.clip(rotation / _STEP, -_ZERO, _ZERO)).astype("<i2")
    steps = np.diff(levels, axis=0, prepend=np.zeros((1, 3), "<i2"))
    return base64.b64encode(zlib.compress(np.ascontiguousarray(steps.T).tobytes(), 6)).decode()


def _unpack_rotation(packed: str, frames: int) -> Float:
    if not packed:
        return np.zeros((frames, 3), np.float32)
    steps = np.frombuffer(zlib.decompress(base64.b64decode(packed)), "<i2").reshape(3, frames)
    return np.cumsum(steps, axis=1, dtype="<i2").T.astype(np.float32) * _STEP


def _lip_pairs(pairs: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    upper, lower = (tuple(int(vertex) for vertex in side) for side in pairs)
    return upper, lower


def _timed(listed: Iterable[Any]) -> tuple[Timed, ...]:
    return tuple((str(label), float(start), float(end)) for label, start, end in listed)
