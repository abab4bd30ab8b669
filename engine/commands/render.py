# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech render``: a performance in, a video or stills of the avatar out."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from engine.commands.console import print_result, print_warnings, progress_bar
from engine.core.errors import BadInputError
from engine.rendering.picture_size import picture_size

_STILLS = (".png", ".jpg", ".jpeg")
_VIDEOS = (".mp4", ".mov", ".mkv")


def render(
    performance: Path,
    /,
    out: Path,
    *,
    audio: Path | None = None,
    avatar: str = "default",
    head: str | None = None,
    retarget: bool = False,
    backend: Literal["auto", "gsplat", "cpu"] = "auto",
    size: str = "720x720",
    frame: int | None = None,
    json: bool = False,
) -> int:
    """Render a performance as a video, or one frame of it as a picture.

    Args:
        performance: a .performance.npz of 'gaussianspeech animate', or GaussianAvatars'
            flame_param.npz, whose poses a FLAME avatar plays.
        out: OUT.mp4 for a video, OUT.png for one frame.
        audio: the sound that belongs to it, for the video.
        avatar: "default", the path of an avatar file, or a person's folder; it is drawn on its own
            head.
        head: the file that the avatar's head is made from, such as the FLAME model, where it is not
            found by itself; the head of an avatar that does not carry one.
        retarget: carry a performance of the default head over to the avatar's head.
        backend: the rasteriser; auto takes the GPU where there is one.
        size: WIDTHxHEIGHT in pixels.
        frame: which frame a picture shows; the one with the widest mouth by default.
        json: print the result as JSON.
    """
    from engine.avatar.flame_motion import load_motion
    from engine.avatar.with_head import load_with_head
    from engine.motion.retargeting import onto_head
    from engine.rendering.frames import portrait_camera, render_still, write_still, write_video
    from engine.rendering.poster import poster_frame
    from engine.splatting.registry import choose_backend

    width, height = picture_size(size)
    kind = out.suffix.lower()
    if kind not in _STILLS + _VIDEOS:
        raise BadInputError(
            f"The kind of {out} is unknown.", f"End it in {', '.join(_VIDEOS + _STILLS)}."
        )
    body, face = load_with_head(avatar, head)
    print_warnings(body.warnings)
    played = load_motion(performance, face, head or avatar, body.identity)
    rasteriser = choose_backend(backend)
    camera = portrait_camera(face, width, height)
    with progress_bar(out.name) as progress:
        played = onto_head(played, face, carry=retarget, progress=progress)
        if kind in _STILLS:
            chosen = poster_frame(played, face) if frame is None else _inside(frame, played.frames)
            write_still(out, render_still(played, face, body, rasteriser, camera, chosen))
        else:
            write_video(out, played, face, body, rasteriser, camera, audio, progress)
    print_warnings(played.warnings)
    print_result({"file": out, "frames": played.frames, "backend": rasteriser.name}, as_json=json)
    return 0


def _inside(frame: int, frames: int) -> int:
    if not 0 <= frame < frames:
        raise BadInputError(f"There is no frame {frame} among {frames}.", "Frames count from 0.")
    return frame
