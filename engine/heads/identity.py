# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose head an avatar is of: what its file carries of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.arrays import Float
from engine.core.checks import shown
from engine.core.json_values import JsonObject
from engine.heads.default import load_default_head
from engine.heads.head import Head, HeadSource

PREFIX = "head."
"""Start of the names of a head's tensors in an avatar's file."""

SAME = 5e-4
"""Metres: a face whose neutral differs by no more is the same; fits of one person differ so."""

_KINDS = ("default", "flame", "file", "made")
_SHAPED = ("default", "flame")
_DIGEST_LENGTH = 64


@dataclass(frozen=True, eq=False)
class Identity:
    """The head that an avatar belongs to, without its expression basis.

    Attributes:
        id: of the head.
        source: what the head can be made from again; the expression basis is that of its file.
        template: (V, 3) float32 the neutral face as the person has it, metres.
        joints: (J, 3) float32 rest positions of the joints, metres.
        expression_names: E names, in the order of the colours' ψ.
        mean_expression: (E,) float32 of the frames trained on; ``None`` where unknown.
        expression_range: (2, E) float32 lowest and highest of them; ``None`` where unknown.
    """

    id: str
    source: HeadSource
    template: Float
    joints: Float
    expression_names: tuple[str, ...]
    mean_expression: Float | None = None
    expression_range: Float | None = None

    @classmethod
    def of(cls, head: Head, expressions: Float | None = None) -> Identity:
        """Of a head.

        Args:
            head: the head.
            expressions: (N, E) that an avatar of it was trained on.
        """
        return cls(
            id=head.id,
            source=head.source,
            template=head.template,
            joints=head.skeleton.positions,
            expression_names=head.expression_names,
            mean_expression=None if expressions is None else expressions.mean(axis=0),
            expression_range=None
            if expressions is None
            else np.stack([expressions.min(axis=0), expressions.max(axis=0)]),
        )

    @property
    def vertex_count(self) -> int:
        """V."""
        return len(self.template)

    def arrays(self) -> dict[str, Float]:
        """What a file keeps as tensors, by name; the mesh of the default head itself is not."""
        kept: dict[str, Float | None] = {
            "joints": self.joints,
            "mean_expression": self.mean_expression,
            "expression_range": self.expression_range,
        }
        source = self.source
        if source.kind != "default" or len(source.shape) or len(source.static_offset):
            kept["template"] = self.template
        if source.kind in _SHAPED:
            kept |= {"shape": source.shape, "static_offset": source.static_offset}
        return {PREFIX + name: array for name, array in kept.items() if array is not None}

    def about(self) -> dict[str, Any]:
        """What a file keeps as JSON."""
        source = self.source
        return {
            "id": self.id,
            "kind": source.kind,
            "file": source.file,
            "digest": source.digest,
            "expressions": list(self.expression_names),
        }


def read_identity(about: JsonObject, arrays: Mapping[str, NDArray[Any]]) -> Identity:
    """What :meth:`Identity.about` and :meth:`Identity.arrays` gave.

    Raises:
        BadInputError: something is missing or of another type or shape; names it.
    """
    kind, digest = about.text("kind"), about.text("digest")
    if kind not in _KINDS:
        raise about.wrong(f"a head of the unknown kind {shown(kind)}")
    if digest and (len(digest) != _DIGEST_LENGTH or not set(digest) <= set("0123456789abcdef")):
        raise about.wrong("its digest is no SHA-256")
    names = about.texts("expressions")

    def array(name: str, shape: tuple[int, ...], *, optional: bool = False) -> Float | None:
        found = arrays.get(PREFIX + name)
        if found is None:
            if optional:
                return None
            raise about.wrong(f"its tensor {PREFIX}{name} is missing")
        fits = found.ndim == len(shape) and all(
            size in (-1, given) for size, given in zip(shape, found.shape, strict=True)
        )
        if not fits or not np.isfinite(found).all():
            raise about.wrong(f"its tensor {PREFIX}{name} has the shape {found.shape}, or NaN")
        return found.astype(np.float32)

    template = array("template", (-1, 3), optional=kind == "default")
    if template is None:
        template = load_default_head().template
    shape = array("shape", (-1,), optional=kind != "flame")
    offset = array("static_offset", (-1, 3), optional=kind != "flame")
    joints = array("joints", (-1, 3))
    assert joints is not None
    source = HeadSource(kind, Path(about.text("file")).name, digest)
    if shape is not None and offset is not None:
        source = replace(source, shape=shape, static_offset=offset)
    return Identity(
        id=about.text("id"),
        source=source,
        template=template,
        joints=joints,
        expression_names=names,
        mean_expression=array("mean_expression", (len(names),), optional=True),
        expression_range=array("expression_range", (2, len(names)), optional=True),
    )


def difference(identity: Identity, head: Head) -> str:
    """What makes a head another one than an avatar's; empty where it is the same.

    Triangles are compared by whoever has them.
    """
    if identity.vertex_count != head.vertex_count:
        return f"it has {head.vertex_count:,} vertices instead of {identity.vertex_count:,}"
    if identity.source.kind == "default" and head.id == identity.id:
        return ""
    apart = np.linalg.norm(identity.template - head.template, axis=1)
    if apart.max() <= SAME:
        return ""
    return (
        f"its neutral face is another: up to {1000 * apart.max():.1f} mm away, "
        f"{1000 * apart.mean():.1f} mm on average"
    )
