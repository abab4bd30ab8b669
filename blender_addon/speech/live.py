# SPDX-License-Identifier: GPL-3.0-or-later
"""A head or character that moves while somebody speaks: the session, and what is recorded of it.

The engine has the microphone and sends frames; a timer puts the latest one on the shape
keys. Nothing is written to the file but by a recording, which becomes an Action when it ends; then
the keys are as they were before (:mod:`.live_values`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import bpy
import numpy as np
from bpy.app.handlers import persistent
from numpy.typing import NDArray

from ...engine.core.errors import BadInputError, CancelledError, GaussianSpeechError
from ...engine.core.protocol import Message
from ...engine.motion.characters.mapping import default_lip_gap
from ...engine.motion.lip_contact import LipGap
from ...engine.motion.style import NEUTRAL, apply_style
from ..characters.properties import character_objects
from ..characters.targets import animated_datablock, target_of
from ..engine_link.background import redraw_sidebars
from ..engine_link.future import EngineFuture
from ..engine_link.session import get_engine
from ..heads.ops import DEFAULT_HEAD
from ..heads.properties import engine_name, is_head
from ..status import set_error, set_message
from . import live_values
from .adjust import style_of
from .bake import check_bakeable
from .line_draft import Source
from .line_list import add_line
from .lines import model_settings
from .lip_gap import lip_gap_of_keys
from .live_values import Part, find_object, give_back, give_back_kept, keep, recall, show_value
from .prediction import Prediction
from .properties import model_name
from .sound import scene_fps

RATE = 60.0
"""Frames per second of a session."""

_TICK = 1 / RATE
_SPEAKS = "jawOpen"
"""A key that a head needs to be moved live."""


@dataclass
class Session:
    """A live session.

    Attributes:
        parts: the objects that move, the main one first.
        future: the request that lasts as long as the session.
        about: what the engine said first: names of the weights, pairs of vertices of the lips.
        gap: how the keys part the lips.
        latest: (52,) the last frame, ``None`` before the first.
        time: of the last frame, seconds.
        start: scene frame of the recording's start.
        times, frames: what was recorded.
    """

    parts: tuple[Part, ...]
    future: EngineFuture
    about: dict[str, Any] = field(default_factory=dict)
    gap: LipGap | None = None
    latest: NDArray[np.float32] | None = None
    time: float = 0.0
    start: int | None = None
    times: list[float] = field(default_factory=list)
    frames: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def speaker(self) -> str:
        """Name of the main object."""
        return self.parts[0].name

    @property
    def recording(self) -> bool:
        """Whether frames are kept."""
        return self.start is not None

    def take(self, message: Message) -> None:
        """Take a message of frames."""
        if "weights" not in message.arrays:
            self.about = message.body
            return
        self.latest, self.time = message.arrays["weights"], float(message.body["time"])
        if self.recording:
            self.times.append(self.time)
            self.frames.append(self.latest)


_session: Session | None = None


def session() -> Session | None:
    """The session of this Blender, if there is one."""
    return _session


def start(context: bpy.types.Context, obj: bpy.types.Object, sound: str = "") -> None:
    """Move a head or character while somebody speaks, until :func:`stop`; returns at once.

    Args:
        context: for the engine and the settings.
        obj: who speaks.
        sound: a file that is spoken instead of the microphone.

    Raises:
        GaussianSpeechError: a session runs, the head has no such shape keys, or there is no engine.
    """
    global _session  # noqa: PLW0603 - one session per Blender
    if _session is not None:
        raise BadInputError(f"'{_session.speaker}' is live already.", "Stop it first.")
    objects = character_objects(obj)
    for part in objects:
        check_bakeable(part)
    if is_head(obj) and _SPEAKS not in obj.data.shape_keys.key_blocks:
        raise BadInputError(
            f"'{obj.name}' has no shape key '{_SPEAKS}': live speech moves ARKit expressions.",
            "Add the default head, or use a character whose keys can be mapped.",
        )
    microphone = obj.gaussianspeech_speech.microphone.strip()
    params: dict[str, Any] = {
        "head": engine_name(obj) if is_head(obj) else DEFAULT_HEAD,
        "fps": RATE,
        "model": model_name(model_settings(obj)),
    }
    if sound:
        params["input"] = sound
    elif microphone:
        params["device"] = microphone
    future = get_engine(context).request("live.run", params)
    parts = [Part(part.name, part.session_uid, target_of(part)) for part in objects]
    _session = Session(tuple(parts), future)
    if not bpy.app.background:
        bpy.app.timers.register(_on_timer, first_interval=_TICK, persistent=True)


def record(context: bpy.types.Context) -> None:
    """Keep the frames from here on.

    Raises:
        BadInputError: nothing is live.
    """
    live = _require()
    live.start = context.scene.frame_current
    live.times, live.frames = [], []


def stop(context: bpy.types.Context) -> tuple[str, int, Source] | None:
    """End the session; the keys are as before.

    Returns:
        The id of a new line for what was recorded, the index of the line that was active before,
        and what to bake it from; ``None`` without.

    Raises:
        BadInputError: nothing is live, or the speaker is gone.
    """
    live = _require()
    _take_all(live)
    _end(restore=True)
    if not live.frames:
        return None
    objects = [find_object(part) for part in live.parts]
    if None in objects:
        raise BadInputError(
            f"'{live.speaker}' is gone, and its recording with it.", "Record again."
        )
    prediction = _prediction(context, live, objects[0], model_name(model_settings(objects[0])))
    active = objects[0].gaussianspeech_active_line
    line = add_line(objects[0], "Live")
    line.source, line.start_frame = "MOTION", live.start
    return line.id, active, Source(prediction, _no_correctives(objects[0]))


def tick() -> bool:
    """Show the latest frame; whether the session is still running."""
    live = _session
    if live is None:
        return False
    _take_all(live)
    objects = [find_object(part) for part in live.parts]
    if any(obj is None or animated_datablock(obj) is None for obj in objects):
        _end(restore=True)
        return False
    if live.latest is not None:
        _show(objects, live)
    if live.future.done:
        _report_end(live)
        return False
    return True


_shown: tuple[object, ...] = ()
"""What the sidebar says of the session."""


def _on_timer() -> float | None:
    global _shown  # noqa: PLW0603 - one session per Blender
    going = tick()
    live = _session
    now = (going,) if live is None else (live.recording, live.latest is None, int(live.time))
    if now != _shown:
        _shown = now
        redraw_sidebars(bpy.context)
    return _TICK if going else None


def _take_all(live: Session) -> None:
    for message in live.future.frames():
        live.take(message)


def _show(objects: list[bpy.types.Object], live: Session) -> None:
    """Put the last frame on the shape keys, in the style that the artist has set."""
    settings = objects[0].gaussianspeech_speech
    names, style = live.about["names"], style_of(settings)
    assert live.latest is not None
    weights = live.latest[None]
    if style != NEUTRAL:
        if live.gap is None:
            live.gap = _lip_gap(objects[0], live)
        weights = apply_style(weights, names, style, live.gap)
    still = np.zeros((1, 3), np.float32)
    for part, obj in zip(live.parts, objects, strict=True):
        datablock = animated_datablock(obj)
        for path, index, values in part.target.channels(names, weights, still):
            show_value(datablock, part, (path, index), float(values[0]))
    keep(bpy.context.scene, live.parts)


def _lip_gap(obj: bpy.types.Object, live: Session) -> LipGap | None:
    names = live.about["names"]
    if not is_head(obj):
        return default_lip_gap(names)
    keys = obj.data.shape_keys
    if not all(name in keys.key_blocks for name in names):
        return None
    return lip_gap_of_keys(keys, names, live.about["lip_pairs"])


def _report_end(live: Session) -> None:
    """The engine has ended the session: say why, and keep what was recorded for Stop."""
    try:
        live.future.result(0)
        set_message(bpy.context, "The sound has ended")
    except CancelledError:
        pass
    except GaussianSpeechError as error:
        set_error(bpy.context, error)
    if not live.frames:
        _end(restore=True)


def _end(*, restore: bool) -> None:
    """End the session."""
    global _session
    live, _session = _session, None
    if bpy.app.timers.is_registered(_on_timer):
        bpy.app.timers.unregister(_on_timer)
    if live is None:
        return
    live.future.cancel()
    if restore:
        give_back(live.parts)


def _require() -> Session:
    if _session is None:
        raise BadInputError("Nothing is live.", "Start Live first.")
    return _session


def _no_correctives(obj: bpy.types.Object) -> NDArray[np.float32]:
    vertices = len(obj.data.vertices) if obj.type == "MESH" else 0
    return np.zeros((0, vertices, 3), np.float32)


def _prediction(
    context: bpy.types.Context, live: Session, main: bpy.types.Object, model: str
) -> Prediction:
    """What was recorded, at the frames of the scene."""
    assert live.start is not None
    names, fps = tuple(live.about["names"]), scene_fps(context.scene)
    times = np.array(live.times) - live.times[0]
    wanted = np.arange(int(times[-1] * fps) + 1) / fps
    recorded = np.array(live.frames)
    values = np.stack([np.interp(wanted, times, column) for column in recorded.T], axis=1)
    keys = main.data.shape_keys.key_blocks if is_head(main) else names
    present = [i for i, name in enumerate(names) if name in keys]
    upper, lower = (tuple(side) for side in live.about["lip_pairs"])
    return Prediction(
        clip="Live",
        head=main.gaussianspeech_head.id if is_head(main) else DEFAULT_HEAD,
        model=model,
        fps=fps,
        start=float(live.start),
        strip_start=None,
        expressions=tuple(names[i] for i in present),
        correctives=(),
        ranges=((0.0, 1.0),) * len(present),
        values=values[:, present].astype(np.float32),
        lip_pairs=(upper, lower),
    )


@persistent
def _on_load(_file: str) -> None:
    """Another file is loaded: its objects are not those of the session."""
    _end(restore=False)


@persistent
def _on_save(_file: str) -> None:
    """The file gets the keys as they were; the next tick moves them again."""
    if _session is not None:
        give_back(_session.parts)


@persistent
def _on_other_state(*_: object) -> None:
    """Undo, redo or a load made the file one that was taken while somebody was live, or before."""
    if _session is None:
        give_back_kept()
    else:
        recall(_session.parts)


_HANDLERS = {
    "load_pre": _on_load,
    "save_pre": _on_save,
    "load_post": _on_other_state,
    "undo_post": _on_other_state,
    "redo_post": _on_other_state,
}


def register() -> None:
    """Watch for other files, for this one being saved, and for undo."""
    live_values.register()
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).append(handler)


def unregister() -> None:
    """End the session with the add-on."""
    for name, handler in _HANDLERS.items():
        getattr(bpy.app.handlers, name).remove(handler)
    _end(restore=True)
    live_values.unregister()
