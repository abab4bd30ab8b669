# SPDX-License-Identifier: GPL-3.0-or-later
"""A performance as plain 3D Gaussian Splatting scenes, one PLY file per frame.

For programs that show static splats: Blender 5.3, SuperSplat and other viewers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from engine.avatar import GaussianAvatar, splats
from engine.avatar.binding import matrix_to_quaternion, quaternion_product, transformed
from engine.avatar.color import ShColor
from engine.avatar.expression import in_order
from engine.avatar.gaussian_avatars import SPLAT_FIELDS, splat_columns
from engine.avatar.ply import write_columns
from engine.avatar.sh_fit import ShFit, fit_sh, turned
from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.core.progress import Progress, no_progress
from engine.heads.axes import HEAD_TO_BLENDER
from engine.heads.head import Head
from engine.motion.face.pose import pose_matrices
from engine.motion.performance import Performance

AXES: dict[str, Float] = {
    "y-up": np.eye(4, dtype=np.float32),
    "z-up": HEAD_TO_BLENDER,
    "y-down": np.diag([1, -1, -1, 1]).astype(np.float32),
}
"""From head space: as it is; Blender's; COLMAP's, in which viewers of captured scenes turn up."""


def frame_name(frame: int) -> str:
    """File of a frame counted from 0: ``frame_00001.ply`` is the first."""
    return f"frame_{frame + 1:05d}.ply"


def write_splat_frames(
    folder: str | Path,
    performance: Performance,
    head: Head,
    avatar: GaussianAvatar,
    progress: Progress = no_progress,
    *,
    axes: str = "y-up",
    degree: int = 3,
    overwrite: bool = False,
) -> ShFit:
    """Write every frame of a performance; each file appears whole, memory stays that of one frame.

    Args:
        folder: is made where it is not there.
        performance: what the head does.
        head: the head it was made for.
        avatar: an avatar of that head.
        progress: called before each frame; a cancel it raises ends the work between two files.
        axes: one of :data:`AXES`.
        degree: of the harmonics fitted to colours that are not harmonics, 0 to 3.
        overwrite: replace frames that lie in the folder, and remove those beyond the last.

    Returns:
        The colours of the last frame and the largest errors of the fit over all frames.

    Raises:
        BadInputError: inputs that do not fit each other, or a folder with frames in it.
    """
    folder = Path(folder)
    if performance.head != head.id or performance.vertex_count != head.vertex_count:
        raise BadInputError(
            f"The performance is for head '{performance.head}', not '{head.id}'.",
            "Animate the sound again for this head, or retarget the performance.",
        )
    if axes not in AXES:
        raise BadInputError(f"The axes {axes!r} are unknown.", f"Use one of {', '.join(AXES)}.")
    present = sorted(folder.glob("frame_*.ply"))
    if present and not overwrite:
        raise BadInputError(
            f"{folder} already holds {len(present)} frames.",
            "Choose another folder, or overwrite them.",
        )
    poses = pose_matrices(performance.head_rotation, head.neck)
    rms, worst, fit = 0.0, 0.0, ShFit(ShColor.constant(torch.zeros(0, 3)), 0.0, 0.0)
    for frame, vertices, fit in _frames(performance, head, avatar, degree):
        progress(frame / performance.frames, f"Writing frame {frame + 1} of {performance.frames}")
        matrix = torch.from_numpy(AXES[axes] @ poses[frame])
        write_columns(
            folder / frame_name(frame), SPLAT_FIELDS, scene_columns(avatar, vertices, fit, matrix)
        )
        rms, worst = max(rms, fit.rms), max(worst, fit.worst)
    written = {frame_name(frame) for frame in range(performance.frames)}
    for stale in present:
        if stale.name not in written:
            stale.unlink()
    progress(1.0, f"Wrote {performance.frames} frames")
    return ShFit(fit.color, rms, worst)


def scene_columns(
    avatar: GaussianAvatar, vertices: torch.Tensor, fit: ShFit, matrix: torch.Tensor
) -> Float:
    """One frame's splats in world space, in the columns of a 3D Gaussian Splatting file.

    Args:
        avatar: the avatar.
        vertices: (V, 3) of the frame, head space, metres.
        fit: the avatar's colours as harmonics over directions in head space.
        matrix: (4, 4) rigid motion from head space to the file's.
    """
    still = replace(avatar, color=ShColor.constant(torch.zeros(avatar.count, 3)))
    bound = splats(still, vertices)
    rotation = matrix[:3, :3]
    return splat_columns(
        transformed(bound.means, matrix),
        turned(fit.color, rotation).coefficients,
        avatar.opacity_logits,
        # A triangle without area gives splats without size, whose logarithm no viewer could read.
        bound.scales.clamp(min=1e-12).log(),
        quaternion_product(matrix_to_quaternion(rotation)[None], bound.quats),
    )


def _frames(
    performance: Performance, head: Head, avatar: GaussianAvatar, degree: int
) -> Iterator[tuple[int, torch.Tensor, ShFit]]:
    """Each frame's number, vertices and colours."""
    names, wanted = performance.expression_names, head.expression_names
    expression = in_order(performance.expression, names, wanted)
    fit: ShFit | None = None
    for start, offsets in performance.offset_chunks(16):
        for frame, offset in enumerate(offsets, start):
            psi = None if expression is None else torch.from_numpy(expression[frame])
            if fit is None or not isinstance(avatar.color, ShColor):
                fit = fit_sh(avatar.color, psi, degree)
            yield frame, torch.from_numpy(head.template + offset), fit
