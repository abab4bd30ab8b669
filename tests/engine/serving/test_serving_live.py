"""``live.run``: frames while it lasts."""

from __future__ import annotations

from importlib.resources import as_file, files

import pytest

from engine.core.errors import BadInputError, CancelledError
from engine.core.json_values import JsonObject
from engine.motion.arkit import ARKIT_NAMES
from engine.serving.live import run_live
from engine.serving.request import Request


def request(send, **params):
    params = JsonObject({"fps": 30.0, "model": "rules", **params}, "live.run")
    return Request("live.run", params, send=send)


@pytest.fixture
def voice():
    with as_file(files("engine.assets") / "sample_voice.wav") as path:
        yield str(path)


def test_frames_come_after_their_names_until_the_sound_ends(voice):
    sent = []

    def send(body, arrays):
        sent.append((body, arrays))

    reply = run_live(request(send, input=voice, paced=False))
    (about, none), *frames = sent
    assert about["names"] == list(ARKIT_NAMES)
    assert len(about["lip_pairs"][0]) == len(about["lip_pairs"][1]) > 0
    assert none == {}
    assert [body["frame"] for body, _ in frames] == list(range(reply.body["frames"]))
    assert frames[15][0]["time"] == pytest.approx(0.5)
    assert max(arrays["weights"][17] for _, arrays in frames) > 0.1


def test_it_ends_when_it_is_cancelled(voice):
    def send(body, _arrays):
        if body.get("frame") == 5:
            raise CancelledError

    with pytest.raises(CancelledError):
        run_live(request(send, input=voice, paced=False))


def test_a_microphone_that_a_file_has_not_is_refused(voice):
    with pytest.raises(BadInputError, match="'device' is for the microphone"):
        run_live(request(lambda *_: None, input=voice, device="1"))
