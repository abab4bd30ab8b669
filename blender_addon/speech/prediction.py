# SPDX-License-Identifier: GPL-3.0-or-later
"""A predicted performance as shape-key values, and how it is kept inside the .blend file. No bpy.

The values as predicted stay with the Action they were baked into, as 16-bit shares of their range,
compressed: a saved file can be baked again with other settings, without the engine. Neighbouring
frames differ little, so differences in time are stored. 1,500 frames in which 60 keys never rest
take 160 kB, speech by rule about 25 kB.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError

Float = NDArray[np.float32]
Timed = tuple[str, float, float]
"""A sound or a word with its start and end, seconds."""

_ZERO = 32767
"""Level of the value 0, which is exact, as are the ends of a range."""


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
) -> Prediction:
    """The prediction in the engine's reply to ``speech.predict``.

    Args:
        body: of the reply.
        values: (T, E + C) of the reply.
        clip: name of the strip or file.
        start: scene frame of the first value.
        strip_start: scene frame at which the strip's content begins, ``None`` without a strip.
        correctives: names for the corrective keys.
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
    )


def _lip_pairs(pairs: Iterable[Iterable[int]]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    upper, lower = (tuple(int(vertex) for vertex in side) for side in pairs)
    return upper, lower


def _timed(listed: Iterable[Any]) -> tuple[Timed, ...]:
    return tuple((str(label), float(start), float(end)) for label, start, end in listed)
