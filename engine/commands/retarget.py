# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech retarget``: a performance or captured motion on a head."""

from __future__ import annotations

from pathlib import Path

from engine.commands.console import print_result, progress_bar
from engine.core.errors import BadInputError
from engine.core.progress import subprogress
from engine.motion.interchange.curve_files import is_curve_file

_SUFFIX = ".npz"


def retarget(
    performance: Path,
    /,
    head: str,
    out: Path,
    *,
    source: str | None = None,
    fps: float | None = None,
    timecode_rate: float | None = None,
    sound: Path | None = None,
    text: str | None = None,
    offset: float | None = None,
    dense: bool = False,
    json: bool = False,
) -> int:
    """Carry a performance over to another head: FLAME of any version, or an artist's own.

    Args:
        performance: a .performance.npz of 'gaussianspeech animate'; or motion that becomes one:
            GaussianAvatars' flame_param.npz, FLAME's parameters of VHAP or DiffPoseTalk (.npz) or
            ARTalk (.npy), vertices as VOCASET has them (.npy), a .csv of Live Link Face, or a .json
            of ARKit weights, BEAT's among them.
        head: the head it goes to: the path of a FLAME file, a head file, an avatar or a person's
            folder, or "default"; or a mesh of your own, FILE.glb#MESH where the file has several.
            ARKit shape keys in it are kept.
        out: OUT.performance.npz.
        source: the file of the head it was made for, or the avatar that carries it, where that is
            not the default head.
        fps: frames per second that a .csv or .json is resampled to, its own by default; and those
            of .npz and .npy files that state none, 25 by default, of vertices 60.
        timecode_rate: frames per second of the clock of Live Link Face's timecodes, found by
            default; and those of a .json that has neither times nor a rate.
        sound: what was said while the motion was captured: the performance gets its length, and its
            phones and words. Where it lies in the motion is found by how the mouth opens.
        text: what is said in the sound; makes that more exact.
        offset: seconds by which the sound begins after the motion, instead of finding them; before
            it where they are negative.
        dense: also store the offsets of every vertex of every frame.
        json: print the result as JSON.
    """
    from engine.avatar.flame_motion import holds_flame, is_vertex_file, load_motion
    from engine.avatar.motion_file import read_motion
    from engine.heads import load_head
    from engine.heads.registry import flame_param_of_file
    from engine.motion.performance import Performance
    from engine.motion.retargeting import retarget as carry
    from engine.motion.sound_offset import in_time_of

    if sound is None and (text is not None or offset is not None):
        raise BadInputError("--text and --offset are of a sound.", "Name it with --sound.")
    if out.suffix.lower() != _SUFFIX:
        raise BadInputError(f"The kind of {out} is unknown.", "End it in .performance.npz.")
    with progress_bar(out.name) as progress:
        progress(0.0, "loading")
        goes_to, step = load_head(head), subprogress(progress, 0.05, 0.95)
        param = flame_param_of_file(performance)
        if is_curve_file(performance):
            played = read_motion(performance, goes_to, head, fps, rate=timecode_rate, progress=step)
            made_for = goes_to
        elif param is None and (is_vertex_file(performance) or holds_flame(performance)):
            # Who was captured is not in these files: a FLAME head moves, itself or by --source.
            own = goes_to.source.kind == "flame"
            if not own and source is None:
                raise BadInputError(
                    f"{performance} moves a FLAME head, and does not say which.",
                    "Name the FLAME model with --source.",
                )
            named = head if own else str(source)
            made_for = goes_to if own else load_head(named)
            played = load_motion(performance, made_for, named, fps=fps)
        elif param is None:
            played = Performance.load(performance)
            made_for = load_head(source or _shipped(played.head))
        else:
            # Poses of FLAME go from person to person as they are; elsewhere by way of their own.
            own = goes_to.source.kind == "flame"
            named = head if own else source or str(param)
            made_for = goes_to if own else load_head(named)
            played = load_motion(param, made_for, named)
        timing: dict[str, float] = {}
        if sound is not None:
            step_of_sound = subprogress(progress, 0.05, 0.5)
            played, timing = in_time_of(
                sound, played, made_for, text=text, offset=offset, progress=step_of_sound
            )
        carried = carry(played, made_for, goes_to, progress=step)
        progress(0.95, "saving")
        carried.save(out, dense=dense)
    result: dict[str, object] = {
        "performance": out,
        "frames": carried.frames,
        "head": carried.head,
        "vertices": carried.vertex_count,
    }
    result |= timing
    if "mesh" in goes_to.provenance:
        result["mesh"] = goes_to.provenance["mesh"]
    print_result(result, as_json=json)
    return 0


def _shipped(head: str) -> str:
    if head != "default":
        raise BadInputError(
            f"The performance was made for the head {head!r}, whose file is needed.",
            "Name it with --source.",
        )
    return head
