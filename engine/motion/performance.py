# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance: what a head does over time, in exact factored form."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import BadInputError
from engine.core.files import atomic_write
from engine.phonemes import Phone

Float = NDArray[np.float32]

_FORMAT = "gaussianspeech-performance-1"


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
        warnings: what the user should know of how it was made, one sentence each; not saved.
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
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check that the arrays fit each other.

        Raises:
            BadInputError: shapes disagree or values are not finite.
        """
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
        for name in ("weights", "basis", "expression"):
            if not np.isfinite(getattr(self, name)).all():
                raise BadInputError(f"The {name} of the performance hold NaN or infinite values.")

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

    def save(self, path: str | Path, *, dense: bool = False) -> None:
        """Write the documented ``.performance.npz`` (docs/performance-format.md).

        Args:
            path: final name; appears only when it is complete.
            dense: also store ``offsets`` (T, V, 3), streamed so that memory stays bounded.
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
        }
        with (
            atomic_write(path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            for name, array in arrays.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    np.save(member, array, allow_pickle=False)
            if dense:
                self._write_dense(archive)

    def _write_dense(self, archive: zipfile.ZipFile) -> None:
        header = {
            "descr": "<f4",
            "fortran_order": False,
            "shape": (self.frames, self.vertex_count, 3),
        }
        write_header: Any = np.lib.format.write_array_header_1_0
        with archive.open("offsets.npy", "w", force_zip64=True) as member:
            write_header(member, header)
            for _, chunk in self.offset_chunks():
                member.write(chunk.astype("<f4").tobytes())

    @classmethod
    def load(cls, path: str | Path) -> Performance:
        """Read what :meth:`save` wrote.

        Raises:
            BadInputError: not a performance, truncated, or arrays that do not fit each other.
        """
        path = Path(path)
        remedy = "Make it again with 'gaussianspeech animate'."
        if not path.is_file():
            raise BadInputError(f"There is no file {path}.", "Check the path.")
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as data:
                return cls._from_arrays(data)
        except BadInputError as error:
            raise BadInputError(f"{path}: {error.message}", error.hint or remedy) from error
        except (OSError, KeyError, ValueError, IndexError, EOFError, zipfile.BadZipFile) as error:
            raise BadInputError(
                f"{path} cannot be read as a performance: {error}.", remedy
            ) from error

    @classmethod
    def _from_arrays(cls, data: Any) -> Performance:
        if not isinstance(data, np.lib.npyio.NpzFile) or "format" not in data:
            raise BadInputError("This is not a GaussianSpeech performance.")
        if str(data["format"]) != _FORMAT:
            raise BadInputError(f"The format {data['format']} is not known, {_FORMAT} is.")
        return cls(
            fps=float(data["fps"]),
            weights=data["weights"].astype(np.float32, copy=False),
            basis=data["basis"].astype(np.float32, copy=False),
            expression=data["expression"].astype(np.float32, copy=False),
            expression_names=tuple(str(name) for name in data["expression_names"]),
            head=str(data["head"]),
            source_sha256=str(data["source_sha256"]),
            model=str(data["model"]),
            phones=tuple(
                Phone(str(label), float(start), float(end))
                for label, start, end in json.loads(str(data["phones"]))
            ),
        )
