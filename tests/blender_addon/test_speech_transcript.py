# SPDX-License-Identifier: GPL-3.0-or-later
"""Which words are sent to the engine, and which of its words are shown."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tests.engine.recognition.text_grids import long_form, short_form


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


PHONES = [("", 0, 0.2), ("M", 0.2, 0.3), ("AE1", 0.3, 0.5), ("P", 0.5, 0.6), ("", 0.6, 1)]
WORD = [("", 0, 0.2), ("map", 0.2, 0.6), ("", 0.6, 1)]
SAID = [("", 0, 0.2), ("map the town", 0.2, 0.9), ("", 0.9, 1)]


@pytest.fixture
def of_grid(addon, settings, clip, tmp_path):
    """What is sent of a TextGrid of given tiers."""

    def sent(form, *tiers):
        path = tmp_path / "line.TextGrid"
        path.write_text(form(*tiers), "utf-8")
        settings.text_file, clip.is_mixed = str(path), False
        params = addon("speech.transcript").transcript_params(settings, clip)
        del params["recognizer"]
        return params

    return sent


@pytest.mark.parametrize("form", [short_form, long_form])
def test_phones_and_words_of_a_text_grid_are_taken_as_they_are(of_grid, form):
    assert of_grid(form, ("phones", PHONES), ("words", WORD)) == {
        "phones": [["SIL", 0, 0.2], ["M", 0.2, 0.3], ["AE", 0.3, 0.5], ["P", 0.5, 0.6],
                   ["SIL", 0.6, 1]],
        "words": [["map", 0.2, 0.6]],
    }  # fmt: skip


def test_words_alone_are_taken_with_their_times_and_utterances_are_aligned_within_theirs(of_grid):
    assert of_grid(short_form, ("words", WORD)) == {"words": [["map", 0.2, 0.6]]}
    cues = [{"text": "map the town", "start": 0.2, "end": 0.9}]
    assert of_grid(long_form, ("Anna", SAID)) == {"cues": cues}


def test_a_text_grid_that_says_nothing_is_named(of_grid):
    with pytest.raises(Exception, match=r"line\.TextGrid has no text"):
        of_grid(short_form, ("Anna", [("", 0, 1)]))
    with pytest.raises(Exception, match=r"line\.TextGrid.*neither ARPAbet nor IPA: '9'"):
        of_grid(short_form, ("phones", [("9", 0, 1)]))


def test_times_do_not_hold_for_a_strip_of_another_speed(addon, settings, clip, tmp_path):
    path = tmp_path / "line.TextGrid"
    path.write_text(short_form(("phones", PHONES)), "utf-8")
    settings.text_file, clip.is_mixed = str(path), True
    with pytest.raises(Exception, match=r"line\.TextGrid.*speed was changed"):
        addon("speech.transcript").transcript_params(settings, clip)
