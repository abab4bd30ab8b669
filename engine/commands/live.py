# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech live``: speech as it is spoken, to curves of the 52 ARKit expressions."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from engine.core.errors import BadInputError
from engine.live import live_link, osc
from engine.motion.model.ids import LIVE

if TYPE_CHECKING:
    from engine.live.senders import Sender
    from engine.live.sound import Source

_MICROPHONE, _STDIN = "microphone", "-"
Output = Literal["json", "osc", "livelink"]


def live(
    *,
    source: Annotated[str, tyro.conf.arg(name="input")] = _MICROPHONE,
    out: tuple[Output, ...] = ("json",),
    device: str | None = None,
    list_devices: bool = False,
    rate: float = 16000.0,
    samples: Annotated[Literal["s16le", "f32le"], tyro.conf.arg(name="format")] = "s16le",
    paced: bool = True,
    fps: float = 60.0,
    host: str = "127.0.0.1",
    osc_port: int = osc.PORT,
    livelink_port: int = live_link.PORT,
    subject: str = "GaussianSpeech",
    head: str = "default",
    speech_model: str = LIVE,
    articulation: float = 1.0,
    smile: float = 0.0,
    upper_face: float = 1.0,
) -> int:
    """Move a face while somebody speaks, at most 0.3 s behind: JSON lines, OSC, Live Link Face.

    Ends with the sound, or with Ctrl-C.

    Args:
        source: "microphone"; "-" for raw samples of one channel on stdin; or a sound file.
        out: "json" lines on stdout, "osc" (VMC protocol), "livelink" (Unreal Engine); several at
            once if you like.
        device: number or part of the name of the microphone.
        list_devices: list the microphones and end.
        rate: of the samples on stdin, Hz.
        samples: of stdin: 16-bit integers or 32-bit floats, little-endian.
        paced: play a sound file no faster than it is spoken.
        fps: frames per second, 12 to 120.
        host: where OSC and Live Link packets go.
        osc_port: UDP port of the program that receives OSC.
        livelink_port: UDP port of Unreal Engine's Live Link.
        subject: name that Unreal Engine shows.
        head: "default", a FLAME file or a mesh: on whose lips contacts are solved.
        speech_model: "starter" (learned), "corrected", "rules", or a model trained from the
            starter.
        articulation: how strongly jaw and lips articulate, 0 to 2.
        smile: -1 frowns, 1 smiles; lips still close.
        upper_face: how much the eyes blink, 0 to 2.
    """
    if list_devices:
        return _list_devices()
    if not out:
        raise BadInputError("Nothing is to come out.", "Choose --out json, osc or livelink.")
    from engine.heads import load_head
    from engine.heads.retarget import has_arkit_visemes, with_arkit_expressions
    from engine.live.session import run
    from engine.live.speech import LiveSpeech
    from engine.motion.style import Style

    style = Style(articulation, smile, upper_face)
    speaker = load_head(head)
    if not has_arkit_visemes(speaker):
        speaker = with_arkit_expressions(speaker)
    with ExitStack() as stack, contextlib.suppress(KeyboardInterrupt):
        senders = []
        for sender in _senders(out, host, osc_port, livelink_port, subject, fps):
            stack.callback(sender.close)
            senders.append(sender)
        sound = _source(source, device, rate, samples, paced=paced)
        speech = LiveSpeech(
            speaker, fps, rate=sound.rate, model=speech_model, style=style, catch_up=sound.paced
        )
        print("gaussianspeech: live; Ctrl-C ends it.", file=sys.stderr, flush=True)
        run(speech, sound, senders)
    return 0


def _senders(
    out: tuple[Output, ...], host: str, osc_port: int, livelink_port: int, subject: str, fps: float
) -> Iterator[Sender]:
    from engine.live.senders import JsonLines, LiveLinkSender, OscSender

    for kind in dict.fromkeys(out):
        if kind == "json":
            yield JsonLines(sys.stdout.fileno())
        elif kind == "osc":
            yield OscSender(host, osc_port)
        else:
            yield LiveLinkSender(host, livelink_port, subject, fps)


def _source(
    name: str, device: str | None, rate: float, samples: Literal["s16le", "f32le"], *, paced: bool
) -> Source:
    from engine.live.sound import Microphone, Pipe, SoundFile

    if name == _MICROPHONE:
        return Microphone(device)
    if device is not None:
        raise BadInputError("--device is for the microphone.", "Leave it or --input out.")
    if name == _STDIN:
        return Pipe(sys.stdin.buffer, rate, samples)
    return SoundFile(Path(name), paced=paced)


def _list_devices() -> int:
    from engine.live.sound import microphones

    for number, name in microphones():
        print(f"{number:>3}  {name}")
    return 0
