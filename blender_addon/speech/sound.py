# SPDX-License-Identifier: GPL-3.0-or-later
"""From a sound strip or file to the audio the engine reads, and its place in the scene."""

from __future__ import annotations

import math
import tempfile
import uuid
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError
from ...engine.core.protocol import MAX_PAYLOAD
from .. import compat

_ID = "gaussianspeech_id"
"""Custom property of a strip: which it is."""

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Clip:
    """A stretch of audio and where it plays.

    Attributes:
        name: of the strip or file, for the Action.
        path: audio file for the engine.
        packed: what :meth:`prepare` writes to ``path``, where the sound is packed in the .blend.
        temporary: whether ``path`` is to be removed afterwards.
        start: seconds into the file at which the first frame lies.
        duration: seconds; ``None`` is to the end of the file.
        frame: scene frame of the first frame of animation.
        strip_start: scene frame at which the strip's content begins, ``None`` without a strip.
        fps: frames per second of the scene the sound plays in.
    """

    name: str
    path: Path
    packed: bytes | None
    temporary: bool
    start: float
    duration: float | None
    frame: int
    strip_start: float | None
    fps: float

    @property
    def is_mixed(self) -> bool:
        """Whether the sound is a retimed strip's, mixed down as it plays."""
        return self.temporary and self.packed is None

    def prepare(self) -> None:
        """Write a packed sound to ``path``; takes a while, so not on Blender's main thread."""
        if self.packed is not None:
            self.path.write_bytes(self.packed)

    def content(self) -> Bytes:
        """(N,) uint8, the whole file, for an engine that may be on another machine.

        Takes a while, so not on Blender's main thread.

        Raises:
            BadInputError: it cannot be read, or is larger than a message of the protocol.
        """
        try:
            data = self.path.read_bytes() if self.packed is None else self.packed
        except OSError as error:
            raise BadInputError(
                f"{self.path} cannot be read: {error.strerror or error}.", "Check the file."
            ) from error
        if len(data) > MAX_PAYLOAD:
            raise BadInputError(
                f"{self.path} has {len(data) / 1e9:.1f} GB: too much to send to the engine.",
                "Export its sound to a file of its own, for example FLAC.",
            )
        return np.frombuffer(data, np.uint8)

    def clean_up(self) -> None:
        """Remove the temporary file."""
        if self.temporary:
            self.path.unlink(missing_ok=True)


def scene_fps(scene: bpy.types.Scene) -> float:
    """Frames per second, such as 23.976 from 24 and a base of 1.001."""
    return float(scene.render.fps / scene.render.fps_base)


def find_strip(context: bpy.types.Context, name: str) -> tuple[bpy.types.Scene, Any] | None:
    """A sound strip by name, in the scene of the sequencer first; with its scene."""
    for scene in compat.sequencer_scenes(context):
        strip = compat.all_strips(scene.sequence_editor).get(name)
        if strip is not None and strip.type == "SOUND":
            return scene, strip
    return None


def strip_id(strip: Any) -> str:
    """Identity of a strip, which survives renaming; given at the first call."""
    return str(strip[_ID]) if _ID in strip else new_strip_id(strip)


def new_strip_id(strip: Any) -> str:
    """An identity of its own for a strip, which may be a copy and have that of another."""
    strip[_ID] = uuid.uuid4().hex
    return str(strip[_ID])


def strip_of_line(context: bpy.types.Context, settings: Any) -> tuple[bpy.types.Scene, Any] | None:
    """The strip that a line names, with its scene: by its id, or else by its name.

    A copy of a strip has the same id: the one of the name is meant, or else the first.
    """
    named = find_strip(context, settings.strip)
    if not settings.strip_id or (named and named[1].get(_ID) == settings.strip_id):
        return named
    for scene in compat.sequencer_scenes(context):
        for strip in compat.all_strips(scene.sequence_editor):
            if strip.type == "SOUND" and strip.get(_ID) == settings.strip_id:
                return scene, strip
    return named if named and _ID not in named[1] else None


def frame_of_second(scene: bpy.types.Scene, strip: Any, seconds: float) -> float:
    """Scene frame at which a strip that plays at its own speed plays a second of its file."""
    delay = float(getattr(strip, "sound_offset", 0.0))
    played = (seconds + delay) * scene_fps(scene) - compat.strip_trim_start(strip)
    return compat.strip_content_start(strip) + played


def is_retimed(strip: Any) -> bool:
    """Whether a strip plays at another speed than its file."""
    return len(getattr(strip, "retiming_keys", ())) > 0


def clip_of_line(context: bpy.types.Context, settings: Any) -> Clip:
    """The clip that a line names.

    Raises:
        BadInputError: nothing is chosen, or the sound cannot be reached.
    """
    if settings.source == "MOTION":
        raise BadInputError(
            "This line is motion without a sound.", "Add a line, and choose its sound there."
        )
    if settings.source == "FILE":
        if not settings.filepath:
            raise BadInputError("No sound file is chosen.", "Choose one in the Speech section.")
        return _clip_of_file(settings.filepath, settings.start_frame, context.scene)
    if not settings.strip:
        raise BadInputError(
            "No sound strip is chosen.", "Import a sound or choose a strip in the Speech section."
        )
    found = strip_of_line(context, settings)
    if found is None:
        raise BadInputError(
            f"There is no sound strip '{settings.strip}'.",
            "Choose another strip in the Speech section.",
        )
    scene, strip = found
    if is_retimed(strip):
        return _clip_of_mixdown(context, scene, strip)
    return clip_of_strip(scene, strip)


def clip_of_strip(scene: bpy.types.Scene, strip: Any) -> Clip:
    """The clip of a strip that plays at its own speed, as it is trimmed and placed.

    Raises:
        BadInputError: the sound's file is missing, or the strip is trimmed to nothing.
    """
    fps = scene_fps(scene)
    left, right = compat.strip_range(strip)
    content = compat.strip_content_start(strip)
    # Seconds into the source at a scene frame f: (f − content + trimmed) / fps − delay.
    trimmed = compat.strip_trim_start(strip)
    delay = float(getattr(strip, "sound_offset", 0.0))
    start = (left - content + trimmed) / fps - delay
    frame = left
    if start < 0:  # The strip begins before its sound does.
        skipped = math.ceil(-start * fps - 1e-6)
        frame, start = left + skipped, max(0.0, start + skipped / fps)
    if frame >= right:
        raise _nothing_played(strip)
    trimmed_at_end = right < content + compat.strip_content_length(strip) - 0.5
    path, packed = _audio_file(strip)
    return Clip(
        name=strip.name,
        path=path,
        packed=packed,
        temporary=packed is not None,
        start=start,
        duration=(right - frame) / fps if trimmed_at_end else None,
        frame=frame,
        strip_start=content,
        fps=fps,
    )


def _nothing_played(strip: Any) -> BadInputError:
    return BadInputError(
        f"The strip '{strip.name}' plays none of its sound.",
        "Trim it, or the meta strip that it is in, less.",
    )


def _clip_of_file(filepath: str, frame: int, scene: bpy.types.Scene) -> Clip:
    path = Path(bpy.path.abspath(filepath))
    if not path.is_file():
        raise BadInputError(f"There is no sound file {path}.", "Choose another file.")
    return Clip(path.name, path, None, False, 0.0, None, frame, None, scene_fps(scene))


def _clip_of_mixdown(context: bpy.types.Context, scene: bpy.types.Scene, strip: Any) -> Clip:
    """The sound of a retimed strip, as Blender plays it."""
    _check_present(strip)
    if not compat.has_audio():
        raise BadInputError(
            f"The strip '{strip.name}' is retimed, and this Blender has no sound system to mix it "
            "down.",
            "Remove the retiming, or use a Blender with sound.",
        )
    left, right = compat.strip_range(strip)
    if left >= right:
        raise _nothing_played(strip)
    path = temporary_file(".wav")
    try:
        with _alone(scene, strip, left, right), context.temp_override(scene=scene):
            bpy.ops.sound.mixdown(
                filepath=str(path), check_existing=False, container="WAV", codec="PCM",
                format="S16", channels="MONO", mixrate=48000,
            )  # fmt: skip
        _check_mixed(path, (right - left) / scene_fps(scene), strip.name)
    except RuntimeError as error:
        path.unlink(missing_ok=True)
        raise BadInputError(
            f"The retimed strip '{strip.name}' cannot be mixed down: {error}.",
            "Render it to a sound file and use that.",
        ) from error
    return Clip(
        name=strip.name,
        path=path,
        packed=None,
        temporary=True,
        start=0.0,
        duration=(right - left) / scene_fps(scene),  # The encoder fills its last block.
        frame=left,
        strip_start=compat.strip_content_start(strip),
        fps=scene_fps(scene),
    )


def _check_mixed(path: Path, seconds: float, name: str) -> None:
    """Blender stops a mixdown without a word after a render was cancelled (5.2)."""
    try:
        with wave.open(str(path)) as file:
            mixed = file.getnframes() / file.getframerate()
    except (EOFError, wave.Error):
        mixed = 0.0
    if mixed < seconds:
        path.unlink()
        raise BadInputError(
            f"Blender mixed down {mixed:.2f} of {seconds:.2f} s of the retimed strip '{name}'.",
            "Render one frame successfully, or restart Blender, and try again.",
        )


@contextmanager
def _alone(scene: bpy.types.Scene, strip: Any, left: int, right: int) -> Iterator[None]:
    """Let the scene play nothing but one strip, as loud as its file, and give everything back."""
    editor = scene.sequence_editor
    others = [item for item in (*compat.all_strips(editor), *bpy.data.speakers) if item != strip]
    kept: list[tuple[Any, str, Any]] = []

    def give(owner: Any, name: str, value: Any) -> None:
        kept.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    try:
        for item in others:
            if getattr(item, "type", "") != "META":
                give(item, "muted" if hasattr(item, "muted") else "mute", True)
        for curve in _loudness_curves(scene):
            give(curve, "mute", True)
        # What a meta strip, a channel or the scene takes away is no part of what is said.
        for owner in (strip, *_metas(strip)):
            give(owner, "mute", False)
            if hasattr(owner, "volume"):
                give(owner, "volume", 1.0)
            channels = owner.parent_meta().channels if owner.parent_meta() else editor.channels
            give(channels[owner.channel], "mute", False)
        give(scene, "audio_volume", 1.0)
        give(scene, "use_preview_range", False)
        # Blender moves the one where the other would pass it.
        kept += [(scene, name, getattr(scene, name)) for name in ("frame_start", "frame_end")]
        scene.frame_start, scene.frame_end = left, right - 1
        yield
    finally:
        for owner, name, value in reversed(kept):
            setattr(owner, name, value)


def _metas(strip: Any) -> Iterator[Any]:
    """The meta strips that a strip is in, the innermost first."""
    meta = strip.parent_meta()
    if meta is not None:
        yield meta
        yield from _metas(meta)


def _loudness_curves(scene: bpy.types.Scene) -> list[bpy.types.FCurve]:
    """The keyed volumes of a scene and its strips."""
    ends = ("audio_volume", "].volume")
    return [curve for curve in compat.fcurves_of(scene) if curve.data_path.endswith(ends)]


def _audio_file(strip: Any) -> tuple[Path, bytes | None]:
    """File for the strip's sound, and what goes into it where the sound is packed."""
    sound = strip.sound
    _check_present(strip)
    if sound.packed_file is None:
        return _sound_path(sound), None
    return temporary_file(Path(sound.filepath).suffix or ".wav"), sound.packed_file.data


def _check_present(strip: Any) -> None:
    if strip.sound is None:
        raise BadInputError(f"The strip '{strip.name}' has no sound.", "Choose another strip.")
    if strip.sound.packed_file is None and not _sound_path(strip.sound).is_file():
        raise BadInputError(
            f"The sound file of the strip '{strip.name}' is missing: {_sound_path(strip.sound)}.",
            "Put it back, or use File > External Data > Find Missing Files.",
        )


def _sound_path(sound: bpy.types.Sound) -> Path:
    return Path(bpy.path.abspath(sound.filepath, library=sound.library))


def temporary_file(suffix: str) -> Path:
    """An empty file in Blender's temporary folder."""
    with tempfile.NamedTemporaryFile(
        prefix="gaussianspeech-", suffix=suffix, dir=bpy.app.tempdir or None, delete=False
    ) as file:
        return Path(file.name)
