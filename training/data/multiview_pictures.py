# SPDX-License-Identifier: GPL-3.0-or-later
"""Pictures and masks of a capture: checked before training, composited and scaled when needed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.splatting.camera import Camera

Background = tuple[float, float, float]

_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
_TAIL = 64
_UNREADABLE = "Export or copy the file again, or take its frame out of the transforms files."


def check_picture(path: Path, size: tuple[int, int], *, what: str) -> bool:
    """See that a picture is there, whole, and of the size that the JSON gives.

    The header and the end of JPEG and PNG files are read, which finds an incomplete copy without
    decoding; other kinds are decoded.

    Args:
        path: the picture.
        size: width and height in pixels.
        what: "picture" or "mask", for the message.

    Returns:
        Whether it has an alpha channel of its own.

    Raises:
        BadInputError: it is missing, unreadable, or of another size.
    """
    if not path.is_file():
        raise BadInputError(
            f"The {what} {path} is missing.",
            "Copy the file again, or take its frame out of the transforms files.",
        )
    try:
        with Picture.open(path) as picture:
            found, alpha = picture.size, "A" in picture.getbands()
            end = _ENDS.get(picture.format or "")
            with path.open("rb") as stream:
                stream.seek(-min(_TAIL, path.stat().st_size), 2)
                whole = end is not None and end in stream.read()
            if not whole:
                picture.load()
    except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError) as error:
        raise BadInputError(f"The {what} {path} cannot be read: {error}.", _UNREADABLE) from error
    if found != size:
        raise BadInputError(
            f"The {what} {path} has {found[0]}×{found[1]} pixels, its transforms file says "
            f"{size[0]}×{size[1]}.",
            "Scale nothing on disk: give --scale instead; or correct w, h, cx, cy and fl_x, fl_y.",
        )
    return alpha


def has_alpha(path: Path) -> bool:
    """Whether a picture has an alpha channel; one that cannot be read has none."""
    try:
        with Picture.open(path) as picture:
            return "A" in picture.getbands()
    except (OSError, ValueError, SyntaxError):
        return False


def scaled_camera(camera: Camera, scale: float) -> Camera:
    """The camera of the picture at another size; cx and cy go with it.

    The size is rounded to whole pixels, and the focal lengths take the ratio that came out of it.
    """
    width, height = max(1, round(camera.width * scale)), max(1, round(camera.height * scale))
    ratio = np.diag([width / camera.width, height / camera.height, 1.0])
    K = (ratio @ camera.K).astype(np.float32)
    return Camera(camera.viewmat, K, width, height, camera.near, camera.far)


def load_picture(
    image: Path, mask: Path | None, size: tuple[int, int], background: Background
) -> tuple[Float, Float]:
    """A picture on the background, and its alpha.

    The picture is composited at its own size and scaled afterwards, so that what was behind the
    person does not bleed in at the edge.

    Args:
        image: sRGB; its own alpha counts where there is no mask.
        mask: of the foreground; ``None`` for the picture's alpha.
        size: width and height wanted, pixels.
        background: display-referred sRGB in [0, 1].

    Returns:
        (H, W, 3) float32 display-referred sRGB in [0, 1], and (H, W) float32 alpha in [0, 1].

    Raises:
        BadInputError: a file that cannot be decoded.
    """
    captured = _decoded(image)
    if mask is None:
        alpha = captured.getchannel("A")
    else:
        alpha = _decoded(mask)
        alpha = alpha.getchannel("A") if alpha.mode == "RGBA" else alpha.convert("L")
    level = tuple(round(255 * value) for value in background)
    behind = Picture.new("RGB", captured.size, level)
    composed = Picture.composite(captured.convert("RGB"), behind, alpha)
    if composed.size != size:
        composed, alpha = (p.resize(size, Picture.Resampling.LANCZOS) for p in (composed, alpha))
    return _unit(composed), _unit(alpha)


def _decoded(path: Path) -> Picture.Image:
    try:
        with Picture.open(path) as picture:
            picture.load()
            if picture.mode in {"P", "LA", "PA"}:
                return picture.convert("RGBA")
            return picture.copy()
    except (OSError, ValueError, SyntaxError, Picture.DecompressionBombError) as error:
        raise BadInputError(f"The picture {path} cannot be read: {error}.", _UNREADABLE) from error


def _unit(picture: Any) -> Float:
    return np.asarray(picture, np.float32) / np.float32(255)
