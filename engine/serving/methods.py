# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of methods."""

from __future__ import annotations

from collections.abc import Mapping

from engine.serving.avatars import AvatarMethods
from engine.serving.cache import Heads
from engine.serving.doctor import examine
from engine.serving.heads import HeadMethods
from engine.serving.request import Method, Reply, Request
from engine.serving.speech import SpeechMethods


def make_methods() -> Mapping[str, Method]:
    """Every method that is answered in turn, by name, sharing what they keep loaded."""
    heads = Heads()
    head_methods, speech_methods = HeadMethods(heads), SpeechMethods(heads)
    avatar_methods = AvatarMethods(heads)
    return {
        "doctor": _doctor,
        "head.load": head_methods.load,
        "person.load": head_methods.person,
        "speech.predict": speech_methods.predict,
        "performance.load": speech_methods.load,
        "performance.flame": speech_methods.flame,
        "avatar.load": avatar_methods.load,
        "avatar.render": avatar_methods.render,
    }


def _doctor(request: Request) -> Reply:
    """What this installation can do."""
    request.params.no_others()
    return Reply({"checks": [check._asdict() for check in examine()]})
