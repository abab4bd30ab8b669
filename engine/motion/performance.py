# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance: what a head does over time, in exact factored form."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import starmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.arrays import Float
from ..core.checks import check_range, shown
from ..core.errors import BadInputError
from ..core.files import atomic_write
from ..core.json_values import parse_json
from ..core.npz import NpzFile, npz_member, open_npz
from ..phonemes import Phone, Word
from .face.prosody import UNKNOWN, Prosody
from .joint_pose import JointPose

MIN_FPS, MAX_FPS = 1.0, 1000.0
"""Frame rates of performances; those that speech is predicted at are in engine.core.timing."""

_FORMAT = "gaussianspeech-performance-1"
_ARRAYS = (
    *("format", "fps", "weights", "basis", "expression", "expression_names"),
    *("head", "source_sha256", "model", "phones", "words", "language"),
    *("head_rotation", "prosody", "joint_rotation", "joint_location"),
)
"""What is read; ``offsets``, which may take gigabytes, follow from these."""


@dataclass(frozen=True, eq=False)
class Performance:
    """Vertex offsets of T frames as weights · basis, with the expression that drives an avatar.

    The last layer of the vertex mapper is linear, and so are the rules, so the factored form loses
    nothing, and an hour of speech takes about 100 MB where dense offsets would take 6.5 GB.

    Attributes:
        fps: frames per second.
        weights: (T, K) float32.
        basis: (K, V, 3) float32 offsets in head space, metres.
        expression: (T, E) float32 expression weights, the avatar's ψ.
        expression_names: E names.
        head: id of the head the offsets belong to.
        source_sha256: hex digest of the audio file or samples.
        model: id of what made it, e.g. ``"rules"``.
        phones: spoken sounds with times, empty where unknown.
        words: spoken words with times, as they are written; empty where unknown.
        language: what is spoken, as ISO 639 code, ``"en"``; empty where unknown.
        warnings: what the user should know of how it was made, one sentence each; not saved.
        head_rotation: (T, 3) float32 rotation vectors of the whole head about its neck
            (:attr:`engine.heads.head.Head.neck`), head space, radians; zeros, the default, are a
            still head.
        prosody: stress and tone of the speech, empty where unknown.
        pose: how the head's joints stand, where that is known; the offsets have it in them.
    """

    fps: float
    weights: Float
    basis: Float
    expression: Float
    expression_names: tuple[str, ...]
    head: str
    source_sha256: str = ""
    model: str = ""
    phones: tuple[Phone, ...] = ()
    words: tuple[Word, ...] = ()
    language: str = ""
    warnings: tuple[str, ...] = ()
    head_rotation: Float = field(default_factory=lambda: np.zeros((0, 3), np.float32))
    prosody: Prosody = UNKNOWN
    pose: JointPose | None = None

    def __post_init__(self) -> None:
        """Check that the arrays fit each other.

        Raises:
            BadInputError: shapes disagree, values are not finite, or no such frame rate.
        """
        check_range("The frame rate", self.fps, MIN_FPS, MAX_FPS)
        T, K = self.weights.shape
        if self.basis.shape[0] != K or self.basis.shape[2:] != (3,):
            raise BadInputError(
                f"The basis has shape {self.basis.shape}, weights have shape {self.weights.shape}.",
                "The basis must be (K, V, 3) with K the second size of the weights.",
            )
        if self.expression.shape != (T, len(self.expression_names)):
            raise BadInputError(
                f"The expression has shape {self.expression.shape} for {T} frames and "
                f"{len(self.expression_names)} names."
            )
        if self.head_rotation.shape == (0, 3):
            object.__setattr__(self, "head_rotation", np.zeros((T, 3), np.float32))
        if self.head_rotation.shape != (T, 3):
            raise BadInputError(
                f"The rotation of the head has shape {self.head_rotation.shape} for {T} frames."
            )
        arrays = {
            name: getattr(self, name)
            for name in ("weights", "basis", "expression", "head_rotation")
        }
        if self.pose is not None:
            if len(self.pose.rotation) != T:
                raise BadInputError(
                    f"The pose of the joints has {len(self.pose.rotation)} frames, not {T}."
                )
            arrays |= {"joint_rotation": self.pose.rotation, "joint_location": self.pose.location}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise BadInputError(f"The {name} of the performance hold NaN or infinite values.")
        weight, offset = (float(np.abs(a).max(initial=0)) for a in (self.weights, self.basis))
        if not K * weight * offset < np.finfo(np.float32).max:
            raise BadInputError("The offsets of the performance overflow.")

    @property
    def frames(self) -> int:
        """T."""
        return int(self.weights.shape[0])

    @property
    def vertex_count(self) -> int:
        """V."""
        return int(self.basis.shape[1])

    def offsets(self, start: int = 0, stop: int | None = None) -> Float:
        """Dense offsets of frames ``start`` to ``stop`` (exclusive): (N, V, 3) float32, metres."""
        weights = self.weights[start:stop]
        flat = weights @ self.basis.reshape(self.basis.shape[0], -1)
        return flat.reshape(len(weights), self.vertex_count, 3)

    def offset_chunks(self, frames: int = 64) -> Iterator[tuple[int, Float]]:
        """Walk the dense offsets in bounded memory: pairs of first frame and (n, V, 3)."""
        for start in range(0, self.frames, frames):
            yield start, self.offsets(start, start + frames)

    def still(self, frame: int) -> Performance:
        """One frame by itself."""
        only = slice(frame, frame + 1)
        return replace(
            self,
            weights=self.weights[only],
            expression=self.expression[only],
            head_rotation=self.head_rotation[only],
            pose=None if self.pose is None else self.pose.frames(only),
        )

    def save(
        self, path: str | Path, *, dense: bool = False, offsets: Iterable[Float] | None = None
    ) -> None:
        """Write the documented ``.performance.npz`` (docs/performance-format.md).

        Args:
            path: final name; appears only when it is complete.
            dense: also store ``offsets`` (T, V, 3), streamed so that memory stays bounded.
            offsets: chunks (n, V, 3) of T frames in all to store there instead of weights · basis,
                for meshes that more than the weights moves.
        """
        arrays: dict[str, NDArray[np.generic]] = {
            "format": np.array(_FORMAT),
            "fps": np.array(self.fps, np.float64),
            "weights": np.ascontiguousarray(self.weights, np.float32),
            "basis": np.ascontiguousarray(self.basis, np.float32),
            "expression": np.ascontiguousarray(self.expression, np.float32),
            "expression_names": np.array(self.expression_names, np.str_),
            "head": np.array(self.head),
            "source_sha256": np.array(self.source_sha256),
            "model": np.array(self.model),
            "phones": np.array(json.dumps([list(phone) for phone in self.phones])),
            "words": np.array(json.dumps([list(word) for word in self.words])),
            "language": np.array(self.language),
            "prosody": np.array(json.dumps(self.prosody.to_json())),
        }
        if self.head_rotation.any():
            arrays["head_rotation"] = np.ascontiguousarray(self.head_rotation, np.float32)
        if self.pose is not None:
            arrays["joint_rotation"] = np.ascontiguousarray(self.pose.rotation, np.float32)
            arrays["joint_location"] = np.ascontiguousarray(self.pose.location, np.float32)
        with (
            atomic_write(path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            for name, array in arrays.items():
                with archive.open(npz_member(name), "w", force_zip64=True) as member:
                    np.save(member, array, allow_pickle=False)
            if offsets is not None:
                self._write_dense(archive, offsets)
            elif dense:
                self._write_dense(archive, (chunk for _, chunk in self.offset_chunks()))

    def _write_dense(self, archive: zipfile.ZipFile, chunks: Iterable[Float]) -> None:
        header = {
            "descr": "<f4",
            "fortran_order": False,
            "shape": (self.frames, self.vertex_count, 3),
        }
        write_header: Any = np.lib.format.write_array_header_1_0
        with archive.open(npz_member("offsets"), "w", force_zip64=True) as member:
            write_header(member, header)
            for chunk in chunks:
                member.write(chunk.astype("<f4").tobytes())

    @classmethod
    def load(cls, path: str | Path) -> Performance:
        """Read what :meth:`save` wrote.

        Raises:
            BadInputError: not a performance, truncated, or arrays that do not fit each other.
        """
        data = open_npz(path, "Make it again with 'gaussianspeech animate'.", _ARRAYS)
        found = data.text("format") if "format" in data else None
        if found != _FORMAT:
            raise data.wrong(
                f"it is not a GaussianSpeech performance: its format is {shown(found)}, not "
                f"{_FORMAT!r}"
            )
        try:
            return cls(
                fps=data.number("fps", MIN_FPS, MAX_FPS),
                weights=data.numbers("weights", (None, None)),
                basis=data.numbers("basis", (None, None, 3)),
                expression=data.numbers("expression", (None, None)),
                expression_names=data.texts("expression_names"),
                head=data.text("head"),
                source_sha256=data.text("source_sha256"),
                model=data.text("model"),
                phones=tuple(starmap(Phone, _timed(data, "phones"))),
                words=tuple(starmap(Word, _timed(data, "words"))) if "words" in data else (),
                language=data.text("language") if "language" in data else "",
                head_rotation=_head_rotation(data),
                prosody=_prosody(data),
                pose=_pose(data),
            )
        except BadInputError as error:
            if str(path) in error.message:
                raise
            raise data.wrong(error.message.rstrip(".")) from error


def _head_rotation(data: NpzFile) -> Float:
    if "head_rotation" not in data:
        return np.zeros((0, 3), np.float32)
    rotation: Float = data.numbers("head_rotation", (None, 3))
    return rotation


def _pose(data: NpzFile) -> JointPose | None:
    if "joint_rotation" not in data:
        return None
    rotation = data.numbers("joint_rotation", (None, None, 3))
    return JointPose(rotation, data.numbers("joint_location", rotation.shape))


def _prosody(data: NpzFile) -> Prosody:
    if "prosody" not in data:
        return UNKNOWN
    try:
        return Prosody.from_json(parse_json(data.text("prosody")))
    except ValueError as error:
        raise data.wrong(f"its prosody is not JSON: {error}") from error


def _timed(data: NpzFile, name: str) -> list[tuple[str, float, float]]:
    """The phones or words of a file: JSON ``[[label, start, end], …]``."""
    try:
        entries = parse_json(data.text(name))
        if isinstance(entries, list):
            return [_entry(name, *entry) for entry in entries]
    except (TypeError, ValueError) as error:
        raise data.wrong(f"its {name} are not [[label, start, end], …]: {error}") from error
    raise data.wrong(f"its {name} are no list")


def _entry(name: str, label: object, start: object, end: object) -> tuple[str, float, float]:
    if not isinstance(label, str):
        raise TypeError(f"{shown(label)} is no label")
    first, last = (check_range(f"a time of the {name}", time) for time in (start, end))
    return label, first, last
