# SPDX-License-Identifier: GPL-3.0-or-later
"""The animation on a head as a performance file (docs/performance-format.md).

What is written is what plays, edits of the artist included: the values of the shape keys are the
weights, and their shapes the basis.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError
from ...engine.core.files import atomic_write
from ...engine.heads.axes import blender_to_head
from ..speech.action import read_prediction
from ..speech.bake import check_bakeable
from ..speech.head_motion import motion_of, rotation_vector
from ..speech.lines import baked_lines, frames_of_action, legacy_bake, start_of_action
from ..speech.prediction import Timed
from ..speech.sound import scene_fps

Float = NDArray[np.float32]

FORMAT = "gaussianspeech-performance-1"


def export_performance(
    context: bpy.types.Context, obj: bpy.types.Object, path: Path, frames: range, *, dense: bool
) -> None:
    """Write the head's shape-key animation.

    Args:
        context: of the scene that plays it.
        obj: the head.
        path: of the ``.performance.npz`` file.
        frames: scene frames; the first is the performance's time 0.
        dense: also write the (T, V, 3) offsets of the evaluated mesh, modifiers included.

    Raises:
        BadInputError: the head has no relative keys, other vertices than its head, or the folder
            cannot be written.
    """
    check_bakeable(obj)
    try:
        with (
            atomic_write(path) as temporary,
            zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        ):
            _write(context, obj, archive, frames, dense=dense)
    except OSError as error:
        raise BadInputError(
            f"{path} cannot be written: {error.strerror or error}.", "Choose another folder."
        ) from error


def _write(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    archive: zipfile.ZipFile,
    frames: range,
    *,
    dense: bool,
) -> None:
    keys = obj.data.shape_keys
    names = [block.name for block in keys.key_blocks if block != keys.reference_key]
    values = np.empty((len(frames), len(names)), np.float32)
    rest, turned = _points(keys.reference_key), np.zeros((len(frames), 3), np.float32)
    empty = motion_of(obj)
    with _vertices_member(archive, (len(frames), *rest.shape), wanted=dense) as write_frame:
        for number, depsgraph in enumerate(_played(context, frames)):
            blocks = keys.evaluated_get(depsgraph).key_blocks
            values[number] = [0.0 if blocks[n].mute else blocks[n].value for n in names]
            if empty is not None:
                turned[number] = rotation_vector(empty.evaluated_get(depsgraph).matrix_world)
            if dense:
                write_frame(_evaluated(obj, depsgraph) - rest)
    moving = np.flatnonzero(np.abs(values).max(axis=0) > 0)
    basis = [_points(keys.key_blocks[names[i]]) - _base(keys, names[i], rest) for i in moving]
    actions = [action for _, action in baked_lines(obj)] or [legacy_bake(obj)]
    spoken = [(action, read_prediction(action)) for action in actions if action is not None]
    prediction = spoken[0][1] if spoken else None
    cut = partial(_within, context, obj, frames)
    own = {name for _, each in spoken for name in each.correctives}
    expressions = [index for index, name in enumerate(names) if name not in own]
    _add(
        archive,
        format=np.array(FORMAT),
        fps=np.array(scene_fps(context.scene), np.float64),
        weights=values[:, moving],
        basis=np.array(basis, np.float32).reshape(len(moving), *rest.shape),
        expression=values[:, expressions],
        expression_names=np.array([names[i] for i in expressions], np.str_),
        head=np.array(obj.gaussianspeech_head.id),
        source_sha256=np.array(prediction.source_sha256 if prediction else ""),
        model=np.array(prediction.model if prediction else ""),
        phones=cut([(action, each.phones) for action, each in spoken]),
        words=cut([(action, each.words) for action, each in spoken]),
        language=np.array(prediction.language if prediction else ""),
        **({"head_rotation": turned} if turned.any() else {}),
    )


def _within(
    context: bpy.types.Context,
    obj: bpy.types.Object,
    frames: range,
    spoken: Iterable[tuple[bpy.types.Action, Iterable[Timed]]],
) -> NDArray[np.str_]:
    """The sounds or words of all lines within the frames, in seconds from the first of them.

    They are JSON: ``[[label, start, end], …]``.
    """
    fps, kept = scene_fps(context.scene), []
    for action, timed in spoken:
        shift = (start_of_action(obj, action)[0] - frames.start) / fps
        first, last = frames_of_action(obj, action)
        low = max(0.0, (first - frames.start) / fps)
        high = min(len(frames), last + 1 - frames.start) / fps
        cut = [(text, max(low, a + shift), min(high, b + shift)) for text, a, b in timed]
        kept += [(text, round(a, 6), round(b, 6)) for text, a, b in cut if a < b]
    return np.array(json.dumps(sorted(kept, key=lambda item: item[1:])))


def _played(context: bpy.types.Context, frames: range) -> Iterator[bpy.types.Depsgraph]:
    """The scene at each frame; afterwards at the one where it was."""
    scene = context.scene
    before = scene.frame_current
    try:
        for frame in frames:
            scene.frame_set(frame)
            yield context.evaluated_depsgraph_get()
    finally:
        scene.frame_set(before)


def _points(key: bpy.types.ShapeKey) -> Float:
    flat = np.empty(3 * len(key.data), np.float32)
    key.points.foreach_get("co", flat)
    return blender_to_head(flat.reshape(-1, 3))


def _base(keys: bpy.types.Key, name: str, rest: Float) -> Float:
    """Vertices a key's shape is relative to; nearly always the reference key's."""
    relative = keys.key_blocks[name].relative_key
    return rest if relative == keys.reference_key else _points(relative)


def _evaluated(obj: bpy.types.Object, depsgraph: bpy.types.Depsgraph) -> Float:
    mesh = obj.evaluated_get(depsgraph).data
    expected = obj.gaussianspeech_head.vertex_count
    if len(mesh.vertices) != expected:
        raise BadInputError(
            f"'{obj.name}' has {len(mesh.vertices)} vertices after its modifiers, its head has "
            f"{expected}.",
            "Disable modifiers that add or remove vertices, or leave Dense off.",
        )
    flat = np.empty(3 * expected, np.float32)
    mesh.vertices.foreach_get("co", flat)
    return blender_to_head(flat.reshape(-1, 3))


def _add(archive: zipfile.ZipFile, **arrays: NDArray[np.generic]) -> None:
    for name, array in arrays.items():
        with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)


@contextmanager
def _vertices_member(
    archive: zipfile.ZipFile, shape: tuple[int, ...], *, wanted: bool
) -> Iterator[object]:
    """Stream the dense offsets into the archive, so that an hour of them needs no memory."""
    if not wanted:
        yield None
        return
    with archive.open("offsets.npy", "w", force_zip64=True) as member:
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        yield lambda frame: member.write(np.ascontiguousarray(frame, "<f4").tobytes())
