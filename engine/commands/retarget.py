# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech retarget``: a performance of one head on another."""

from __future__ import annotations

from pathlib import Path

from engine.commands.console import print_result, progress_bar
from engine.core.errors import BadInputError
from engine.core.progress import subprogress

_SUFFIX = ".npz"


def retarget(
    performance: Path,
    /,
    head: str,
    out: Path,
    *,
    source: str | None = None,
    dense: bool = False,
    json: bool = False,
) -> int:
    """Carry a performance over to another head: FLAME of any version, or an artist's own.

    Args:
        performance: a .performance.npz of 'gaussianspeech animate'.
        head: the head it goes to: the path of a FLAME file, a head file, an avatar or a person's
            folder, or "default".
        out: OUT.performance.npz.
        source: the file of the head it was made for, or the avatar that carries it, where that is
            not the default head.
        dense: also store the offsets of every vertex of every frame.
        json: print the result as JSON.
    """
    from engine.heads import load_head
    from engine.motion.performance import Performance
    from engine.motion.retargeting import retarget as carry

    if out.suffix.lower() != _SUFFIX:
        raise BadInputError(f"The kind of {out} is unknown.", "End it in .performance.npz.")
    with progress_bar(out.name) as progress:
        progress(0.0, "loading")
        played = Performance.load(performance)
        made_for, goes_to = load_head(source or _shipped(played.head)), load_head(head)
        carried = carry(played, made_for, goes_to, progress=subprogress(progress, 0.05, 0.95))
        progress(0.95, "saving")
        carried.save(out, dense=dense)
    result = {
        "performance": out,
        "frames": carried.frames,
        "head": carried.head,
        "vertices": carried.vertex_count,
    }
    print_result(result, as_json=json)
    return 0


def _shipped(head: str) -> str:
    if head != "default":
        raise BadInputError(
            f"The performance was made for the head {head!r}, whose file is needed.",
            "Name it with --source.",
        )
    return head
