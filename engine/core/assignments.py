# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender's presets as data: Python files of assignments, of which nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Collection
from pathlib import Path

from .checks import shown
from .errors import BadInputError

_MOST_BYTES = 1 << 16
_REMEDY = "Save it again, or remove it. Nothing in a preset is run: it may only set values."

Value = bool | int | float | str | tuple[float, ...]


def read_assignments(path: str | Path, owner: str, names: Collection[str]) -> dict[str, Value]:
    """The values that a preset sets, as ``bl_operators.presets`` writes it.

    It holds ``import bpy``, ``OWNER = bpy.context.…`` and lines ``OWNER.NAME = value``.

    Args:
        path: the file.
        owner: name of what is set.
        names: what may be set of it.

    Returns:
        Values by name, in the order of the file.

    Raises:
        BadInputError: no such file, or a line that does anything else; names file and line.
    """
    try:
        with Path(path).open("rb") as stream:
            data = stream.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadInputError(f"The preset {path} cannot be read: {reason}.", _REMEDY) from error
    if len(data) > _MOST_BYTES:
        raise BadInputError(f"The preset {path} has over {_MOST_BYTES >> 10} kB.", _REMEDY)
    try:
        lines = ast.parse(data).body
    # What Python's parser makes of damaged or deeply nested text.
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise BadInputError(f"The preset {path} cannot be read: {error}.", _REMEDY) from error
    values: dict[str, Value] = {}
    for line in lines:
        if _is_preamble(line, owner):
            continue
        name, value = _assignment(line, owner)
        if value is None or name not in names:
            raise BadInputError(
                f"The preset {path}, line {line.lineno}: {shown(ast.unparse(line))} sets none of "
                "its values.",
                _REMEDY,
            )
        values[name] = value
    return values


def _is_preamble(line: ast.stmt, owner: str) -> bool:
    match line:
        case ast.Import(names=[ast.alias(name="bpy", asname=None)]):
            return True
        case ast.Assign(
            targets=[ast.Name(id=name)],
            value=ast.Attribute(value=ast.Attribute(value=ast.Name(id="bpy"), attr="context")),
        ):
            return name == owner
    return False


def _assignment(line: ast.stmt, owner: str) -> tuple[str, Value | None]:
    match line:
        case ast.Assign(
            targets=[ast.Attribute(value=ast.Name(id=name), attr=attribute)], value=value
        ) if name == owner:
            return attribute, _literal(value)
    return "", None


def _literal(node: ast.expr) -> Value | None:
    """A value of a property; ``None`` for anything else."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None
    if type(value) in (bool, int, float, str):
        return value  # type: ignore[no-any-return]
    if isinstance(value, tuple) and all(type(part) in (int, float) for part in value):
        return value
    return None
