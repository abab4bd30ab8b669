# SPDX-License-Identifier: GPL-3.0-or-later
"""The animation on a head or character as numbers: a performance file, ARKit curves, FLAME's.

What is written is what plays, edits of the artist included. A second Blender plays the frames and
notes the evaluated values of the shape keys; the formats are the engine's own modules.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.arrays import Float
from ...engine.core.errors import BadInputError
from ...engine.heads.axes import HEAD_TO_BLENDER, blender_to_head
from ...engine.heads.flame_jaw import JAW_DIRECTIONS, jaw_amounts
from ...engine.motion.arkit import ARKIT_NAMES, COLUMN
from ...engine.motion.characters.mapping import CharacterMapping
from ...engine.motion.face.pose import rotation_vectors, rotations
from ...engine.motion.face.prosody import UNKNOWN
from ...engine.motion.factored import factored
from ...engine.motion.interchange.curve_files import is_curve_file, write_curves
from ...engine.motion.interchange.face_curves import FaceCurves
from ...engine.motion.performance import Performance
from ...engine.phonemes import Phone, Word
from ..characters.checks import check_keys
from ..characters.properties import (
    character_objects,
    has_shape_keys,
    is_character,
    mapping_of,
)
from ..heads.properties import check_vertex_count, is_head, rig_of
from ..heads.rig import JAW, NECK, RestJoints, pose_keys, pose_of_motions, rest_joints
from ..speech.head_motion import motion_of
from ..speech.sound import scene_fps, temporary_file
from .background_blender import BackgroundExport, ExportFolder
from .sound import SoundChoice, sound_scene, write_sound
from .speech_of import Spoken, speech_of

_CHUNK = 64
"""Frames of dense offsets that are in memory at a time."""


@dataclass(frozen=True)
class Source:
    """What the thread needs to know of the objects, which it may not ask Blender for.

    Attributes:
        name: of the head or character.
        head: id of the head, empty for a character.
        fps: of the scene.
        frames: scene frames.
        names: shape keys of each object.
        mappings: what the keys of a character's objects stand for, ``None`` for a head's.
        spoken: of the lines within the frames.
        dense: whether the evaluated vertices are written too.
        joints: of the head's rig.
    """

    name: str
    head: str
    fps: float
    frames: range
    names: list[list[str]]
    mappings: list[CharacterMapping | None]
    spoken: Spoken
    dense: bool
    joints: RestJoints


def export_evaluated(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    path: Path,
    frames: range,
    *,
    dense: bool = False,
    sound: SoundChoice | None = None,
) -> BackgroundExport:
    """Begin to write the evaluated values of the shape keys.

    Args:
        context: of the scene that plays them.
        obj: the head, or the main object of a character.
        path: of the file: ``.csv`` (Live Link Face), ``.json``, or a performance, of a head alone.
        frames: scene frames; the first is the time 0 of the file.
        dense: also write the (T, V, 3) offsets of the evaluated mesh, modifiers included.
        sound: what is mixed down beside the file.

    Returns:
        A future of the size of the file in bytes.

    Raises:
        BadInputError: no relative keys, other vertices than the head's, or none of the shapes that
            the format knows.
    """
    _check(obj)
    source = _source(context, obj, frames, dense=dense)
    if is_curve_file(path):
        _check_arkit(source)
    elif is_character(obj):
        raise BadInputError(
            f"'{obj.name}' is a character, and performances are of heads.",
            "Choose Live Link Face or ARKit JSON, which carry its motion as ARKit weights.",
        )
    folder = _folder(context, obj, source, sound, shapes=not is_curve_file(path))

    def finish(out: Path, report: dict[str, Any]) -> int:
        if report["bad_vertices"]:
            raise _wrong_vertices(source.name, report["bad_vertices"])
        with np.load(out) as sampled:
            arrays = {name: sampled[name] for name in sampled.files}
        if is_curve_file(path):
            write_curves(_curves(source, arrays), path)
        else:
            made = _performance(source, arrays, out)
            made.save(path, offsets=_offsets(out, arrays["rest"]) if dense else None)
        write_sound(folder, path)
        return path.stat().st_size

    # What the other Blender notes stays in the folder, which is removed at the end.
    out = contextlib.nullcontext(folder.path / "sampled.npz")
    return BackgroundExport(folder, lambda: out, finish, f"Exporting {path.name}")


def sample_performance(
    context: bpy.types.Context, obj: bpy.types.Object, frames: range
) -> BackgroundExport:
    """A performance of what a head plays, as a temporary file for the engine.

    Returns:
        A future of the path of a file that the caller removes.

    Raises:
        BadInputError: as :func:`export_evaluated`.
    """
    _check(obj)
    source = _source(context, obj, frames, dense=False)
    folder = _folder(context, obj, source, None, shapes=True)
    path = temporary_file(".performance.npz")

    def finish(out: Path, _report: dict[str, Any]) -> Path:
        with np.load(out) as arrays:
            _performance(source, dict(arrays), out).save(path)
        return path

    out = contextlib.nullcontext(folder.path / "sampled.npz")
    return BackgroundExport(folder, lambda: out, finish, f"Playing {obj.name}")


def _source(
    context: bpy.types.Context, obj: bpy.types.Object, frames: range, *, dense: bool
) -> Source:
    objects = _with_keys(obj)
    return Source(
        name=obj.name,
        head=obj.gaussianspeech_head.id,
        fps=scene_fps(context.scene),
        frames=frames,
        names=[_key_names(part) for part in objects],
        mappings=[mapping_of(part) for part in objects],
        spoken=speech_of(context, obj, frames),
        dense=dense,
        joints=rest_joints(obj),
    )


def _folder(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    source: Source,
    sound: SoundChoice | None,
    *,
    shapes: bool,
) -> ExportFolder:
    turned, rig = motion_of(obj), rig_of(obj) if is_head(obj) else None
    objects = _with_keys(obj)
    with sound_scene(sound) as scene:
        return ExportFolder(
            context,
            objects if turned is None else [*objects, turned],
            source.frames,
            "SAMPLE",
            sound_scene=scene,
            sound_files=() if sound is None else sound.files,
            keys=source.names,
            turned=None if turned is None else [turned.name, ""],
            rig=None if rig is None else [rig.name, ""],
            bones=list(source.joints.names),
            dense=source.dense or (shapes and rig is not None),
            shapes=shapes,
        )


def _check(obj: bpy.types.Object) -> None:
    """Check that its values can be read; other than for a bake, it may be linked.

    Raises:
        BadInputError: it has no shape keys, absolute ones, or not those that it had.
    """
    for part in _with_keys(obj):
        if is_head(part):
            check_vertex_count(part)
        if is_character(part):
            check_keys(part, mapping_of(part).keys)
        if not part.data.shape_keys.use_relative:
            raise BadInputError(
                f"The shape keys of '{part.name}' are absolute.",
                "Switch Relative on in Shape Keys.",
            )
    if not _with_keys(obj):
        raise BadInputError(
            f"'{obj.name}' moves bones and no shape keys, so it has no weights.",
            "Choose FBX, GLB, USD or Alembic.",
        )


def _with_keys(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """The meshes with shape keys of a head or character, the main one first."""
    return [part for part in character_objects(obj) if has_shape_keys(part)]


def _key_names(obj: bpy.types.Object) -> list[str]:
    keys = obj.data.shape_keys
    return [block.name for block in keys.key_blocks if block != keys.reference_key]


def _check_arkit(source: Source) -> None:
    mapped = any(mapping is not None for mapping in source.mappings)
    if not mapped and not set(source.names[0]) & set(ARKIT_NAMES):
        raise BadInputError(
            f"'{source.name}' has no ARKit expressions.",
            "Choose FLAME Parameters for a FLAME head, or Performance.",
        )


def _curves(source: Source, arrays: dict[str, NDArray[Any]]) -> FaceCurves:
    """The ARKit weights that the keys show; of a character what its table says that they stand for.

    Objects of a character share its poses: of each expression the strongest counts.
    """
    weights = np.zeros((len(source.frames), len(ARKIT_NAMES)), np.float32)
    for number, (names, mapping) in enumerate(zip(source.names, source.mappings, strict=True)):
        values: Float = arrays[f"values/{number}"]
        if mapping is None:
            known = [name for name in names if name in COLUMN]
            weights[:, [COLUMN[name] for name in known]] = values[
                :, [names.index(n) for n in known]
            ]
        else:
            shown = mapping.shown(values[:, [names.index(key) for key in mapping.keys]])
            weights = np.maximum(weights, shown)
    return FaceCurves(source.fps, np.clip(weights, 0.0, 1.0), _rotation(arrays))


def _performance(source: Source, arrays: dict[str, NDArray[Any]], out: Path) -> Performance:
    values, names = arrays["values/0"], source.names[0]
    left_out = (*source.spoken.correctives, *pose_keys(names))
    expressions = [i for i, name in enumerate(names) if name not in left_out]
    moved = Performance(
        fps=source.fps,
        weights=values[:, arrays["moving"]],
        basis=blender_to_head(arrays["shapes"]),
        expression=values[:, expressions],
        expression_names=tuple(names[i] for i in expressions),
        head=source.head,
        source_sha256=source.spoken.source_sha256,
        model=source.spoken.model,
        phones=tuple(Phone(*phone) for phone in source.spoken.phones),
        words=tuple(Word(*word) for word in source.spoken.words),
        language=source.spoken.language,
        head_rotation=_rotation(arrays),
        prosody=UNKNOWN,
    )
    return _posed(moved, source, arrays, out) if source.joints.names else moved


def _posed(
    moved: Performance, source: Source, arrays: dict[str, NDArray[Any]], out: Path
) -> Performance:
    """A performance with what the head's rig does: its offsets are of the mesh as it is seen."""
    axes, joints = HEAD_TO_BLENDER.astype(np.float64), source.joints
    posed = pose_of_motions(joints, axes.T @ arrays["bones"] @ axes)
    turn, neck = rotations(posed.head_rotation), joints.positions[joints.names.index(NECK)]
    rest = blender_to_head(arrays["rest"]).astype(np.float64)
    vertices = np.load(out.with_name("vertices.npy"), mmap_mode="r")

    def offsets() -> Iterator[NDArray[np.float64]]:
        for start in range(0, len(vertices), _CHUNK):
            seen = blender_to_head(vertices[start : start + _CHUNK]).astype(np.float64) - neck
            still = seen @ turn[start : start + len(seen)] + neck
            yield (still - rest).reshape(len(seen), -1)

    weights, basis = factored(offsets())
    expression = moved.expression.copy()
    jaw = jaw_amounts(posed.pose.rotation[:, joints.names.index(JAW)])
    for name, amount in zip(JAW_DIRECTIONS, jaw.T, strict=True):
        if name in moved.expression_names:
            expression[:, moved.expression_names.index(name)] += amount
    return replace(
        moved,
        weights=weights,
        basis=basis.reshape(len(basis), -1, 3),
        expression=expression,
        head_rotation=posed.head_rotation,
        pose=posed.pose,
    )


def _rotation(arrays: dict[str, NDArray[Any]]) -> Float:
    """(T, 3) rotation vectors in head space of what turned the head; zeros where nothing did."""
    matrices = arrays["matrices"]
    if not matrices.any():
        return np.zeros((len(matrices), 3), np.float32)
    axes = HEAD_TO_BLENDER[:3, :3].astype(np.float64)
    return rotation_vectors(axes.T @ matrices @ axes)


def _offsets(out: Path, rest: Float) -> Iterator[Float]:
    """The evaluated vertices against the rest, a chunk at a time, in head space."""
    vertices = np.load(out.with_name("vertices.npy"), mmap_mode="r")
    starts: Sequence[int] = range(0, len(vertices), _CHUNK)
    return (blender_to_head(vertices[start : start + _CHUNK] - rest) for start in starts)


def _wrong_vertices(name: str, count: int) -> BadInputError:
    return BadInputError(
        f"'{name}' has {count} vertices after its modifiers, which is not what its head has.",
        "Disable modifiers that add or remove vertices, or leave Dense off.",
    )
