# SPDX-License-Identifier: GPL-3.0-or-later
"""Which words are sent to the engine, and which of its words are shown."""

from __future__ import annotations

from types import SimpleNamespace

import pytest


@pytest.fixture
def clip():
    return SimpleNamespace(name="line.wav", start=0.0, duration=2.0)


@pytest.fixture
def settings():
    return SimpleNamespace(
        text="", recognized_text="", recognized_from="", text_file="", language="",
        recognizer="auto", recognizer_folder="",
    )  # fmt: skip


WORDS = {"words": [["Hello", 0.0, 0.5], ["there.", 0.5, 1.0]]}


def test_a_recognised_text_is_shown_and_is_not_recognised_twice(addon, settings, clip):
    transcript = addon("speech.transcript")
    assert transcript.transcript_params(settings, clip) == {"recognizer": "auto"}
    transcript.keep_transcript(settings, clip, WORDS)
    assert settings.text == "Hello there."
    assert transcript.transcript_params(settings, clip)["text"] == "Hello there."


@pytest.mark.parametrize(
    ("whose", "name", "value"),
    [
        ("clip", "name", "other.wav"),
        ("clip", "start", 1.0),
        ("settings", "language", "en"),
        ("settings", "recognizer", "base"),
    ],
)
def test_a_recognised_text_of_something_else_is_recognised_anew(
    addon, settings, clip, whose, name, value
):
    transcript = addon("speech.transcript")
    transcript.keep_transcript(settings, clip, WORDS)
    setattr({"clip": clip, "settings": settings}[whose], name, value)
    assert "text" not in transcript.transcript_params(settings, clip)
    transcript.keep_transcript(settings, clip, {"words": [["Bye", 0.0, 0.5]]})
    assert settings.text == "Bye"


def test_a_text_of_the_users_stays_whatever_the_clip(addon, settings, clip):
    transcript = addon("speech.transcript")
    transcript.keep_transcript(settings, clip, WORDS)
    settings.text = "Hallo there."
    clip.start = 1.0
    assert transcript.transcript_params(settings, clip)["text"] == "Hallo there."
    transcript.keep_transcript(settings, clip, WORDS)
    assert settings.text == "Hallo there."


def test_an_emptied_text_is_recognised_and_shown_again(addon, settings, clip):
    transcript = addon("speech.transcript")
    transcript.keep_transcript(settings, clip, WORDS)
    settings.text = ""
    assert "text" not in transcript.transcript_params(settings, clip)
    transcript.keep_transcript(settings, clip, WORDS)
    assert settings.text == "Hello there."


def test_a_recogniser_of_ones_own_needs_its_folder(addon, settings, clip):
    transcript = addon("speech.transcript")
    settings.recognizer = "FOLDER"
    with pytest.raises(Exception, match="No folder"):
        transcript.transcript_params(settings, clip)
    settings.recognizer_folder = "/models/own"
    assert transcript.transcript_params(settings, clip)["recognizer"] == "/models/own"
