# SPDX-License-Identifier: GPL-3.0-or-later
"""``live.run``: a live session, whose frames go out while it lasts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.core.arrays import Float
from engine.core.errors import BadInputError
from engine.motion.model.ids import LIVE
from engine.serving.request import Reply, Request

if TYPE_CHECKING:
    from engine.live.sound import Source

MICROPHONE = "microphone"
_SIDES = ("upper", "lower")


class _Frames:
    """Sends frames as messages of a request; a :class:`engine.live.senders.Sender`."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def send(self, frame: int, seconds: float, weights: Float) -> None:
        """See :class:`engine.live.senders.Sender`."""
        body = {"frame": frame, "time": seconds}
        self._request.send(body, {"weights": np.ascontiguousarray(weights)})

    def close(self) -> None:
        """Nothing is held."""


def run_live(request: Request) -> Reply:
    """Send the frames of what is spoken until the sound ends or the request is cancelled."""
    from engine.heads.registry import load_head
    from engine.heads.retarget import has_arkit_visemes, with_arkit_expressions
    from engine.live.session import run
    from engine.live.speech import LiveSpeech
    from engine.motion.arkit import ARKIT_NAMES

    params = request.params
    name, fps = params.text("head", "default"), params.number("fps")
    model = params.text("model", LIVE)
    source = params.text("input", MICROPHONE)
    device = params.text("device", None)
    paced = params.flag("paced", default=True)
    params.no_others()
    request.progress(0.0, "Preparing")
    head = load_head(name)
    if not has_arkit_visemes(head):
        head = with_arkit_expressions(head, progress=request.progress)
    sound = _open(source, device, paced=paced)
    live = LiveSpeech(head, fps, rate=sound.rate, model=model, catch_up=sound.paced)
    pairs = [list(map(int, head.landmarks.get(f"inner_lip_{side}", ()))) for side in _SIDES]
    request.send({"names": list(ARKIT_NAMES), "fps": fps, "lip_pairs": pairs}, {})
    return Reply({"frames": run(live, sound, [_Frames(request)])})


def _open(source: str, device: str | None, *, paced: bool) -> Source:
    from engine.live.sound import Microphone, SoundFile

    if source == MICROPHONE:
        return Microphone(device)
    if device is not None:
        raise BadInputError("'device' is for the microphone.", "Leave it or 'input' out.")
    return SoundFile(Path(source), paced=paced)
