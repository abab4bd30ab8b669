# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of a tracking and how they are checked."""

from pathlib import Path

import pytest

from engine.core.errors import BadInputError
from training.tracking.settings import TrackSettings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_the_text_may_have_any_encoding(tmp_path, encoding):
    (tmp_path / "said.txt").write_bytes("Größe".encode(encoding))
    settings = TrackSettings(text=tmp_path / "said.txt")
    assert settings.said == "Größe"
    assert settings.to_dict()["text"] == "Größe"


def test_the_text_may_be_subtitles(tmp_path):
    cues = "1\n00:00:02,000 --> 00:00:03,000\nworld\n\n2\n00:00:00,000 --> 00:00:01,000\nHello\n"
    (tmp_path / "said.srt").write_text(cues)
    assert TrackSettings(text=tmp_path / "said.srt").said == "Hello world"


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "said.txt").write_bytes(bytes(range(256)) * 4)
    with pytest.raises(BadInputError, match=r"said\.txt"):
        _ = TrackSettings(text=tmp_path / "said.txt").said


def test_without_a_file_the_text_is_recognised():
    assert TrackSettings().said is None


def test_words_in_place_of_their_file_are_told_from_a_file():
    with pytest.raises(BadInputError, match="no file Hello there") as caught:
        TrackSettings(text=Path("Hello there"))
    assert "text file with what is said" in caught.value.hint


def test_a_language_that_there_is_not_is_refused():
    with pytest.raises(BadInputError, match="no language 'klingonese'"):
        TrackSettings(language="klingonese")
    assert TrackSettings(language="de").to_dict()["language"] == "de"
