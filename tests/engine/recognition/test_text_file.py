# SPDX-License-Identifier: GPL-3.0-or-later
import math

import pytest

from engine.core.errors import BadInputError
from engine.recognition.text_file import Cue, read_text_file, shifted

SRT = """1
00:00:01,000 --> 00:00:02,500
- <i>Hello</i> there.

2
00:00:03,000 --> 00:01:04,250 X1:10
{\\an8}ANNA: How are
you &amp; yours?
"""
VTT = """WEBVTT - A title

NOTE a comment
over two lines

STYLE
::cue { color: red }

first
00:01.000 --> 00:02.500 align:start
<v Anna>Hello <00:01.500><c.loud>there</c>.

00:03.000 --> 00:01:04.250
♪ la la ♪
"""


@pytest.fixture
def file(tmp_path):
    def write(name, content, encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def test_subrip_has_times_and_loses_its_markup(file):
    assert read_text_file(file("a.srt", SRT)) == (
        Cue("Hello there.", 1.0, 2.5),
        Cue("How are you & yours?", 3.0, 64.25),
    )


def test_webvtt_has_times_and_loses_notes_styles_and_tags(file):
    assert read_text_file(file("a.vtt", VTT)) == (
        Cue("Hello there.", 1.0, 2.5),
        Cue("la la", 3.0, 64.25),
    )


def test_an_empty_line_inside_a_cue_does_not_end_its_text(file):
    path = file("a.srt", "1\n00:00:01,0 --> 00:00:02,0\nOne\n\ntwo 2\n")
    assert read_text_file(path) == (Cue("One two 2", 1.0, 2.0),)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"]
)
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_text_is_read_whatever_its_encoding(file, encoding, ends):
    text = f"“Déjà vu”, said Zoë – twice.{ends}And again."
    assert read_text_file(file("a.txt", text, encoding)) == (Cue(text, -math.inf, math.inf),)
    subtitles = SRT.replace("Hello", "Zoë").replace("\n", ends)
    assert read_text_file(file("a.srt", subtitles, encoding))[0].text == "Zoë there."


@pytest.mark.parametrize(
    ("name", "content", "line"),
    [
        ("a.srt", "1\n00:00:01,000 -> 00:00:02,000\nHello\n", 2),
        ("a.srt", "1\n00:00:01,000 --> soon\nHello\n", 2),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\nOne\n\n2\n00:00:05,0 --> 00:00:04,0\nx\n", 6),
        ("a.srt", "Hello\n", 1),
        ("a.vtt", "00:01.000 --> 00:02.000\nHello\n", 1),
        ("a.txt", b"Hello\nthere \x00\x81\x8d", 2),
        ("a.txt", b"Hello\nthere \x81\x8d", 2),
        ("a.txt", b"\xff\xfea\x00\n\x00\x00\xdc\x00\xdc", 2),
    ],
)
def test_a_bad_file_is_named_with_the_line(file, name, content, line):
    path = file(name, content)
    with pytest.raises(BadInputError) as caught:
        read_text_file(path)
    assert f"{path}, line {line}:" in caught.value.message
    assert caught.value.hint


@pytest.mark.parametrize("name", ["a.srt", "a.vtt"])
def test_a_file_without_cues_is_refused(file, name):
    with pytest.raises(BadInputError, match="no cue"):
        read_text_file(file(name, "WEBVTT\n\n"[: 8 if name == "a.vtt" else 0]))


def test_what_is_missing_or_enormous_is_refused(file, tmp_path, monkeypatch):
    with pytest.raises(BadInputError, match=r"b\.txt"):
        read_text_file(tmp_path / "b.txt")
    monkeypatch.setattr("engine.recognition.text_file.MAX_BYTES", 10)
    with pytest.raises(BadInputError, match="no text of a recording"):
        read_text_file(file("a.txt", "word " * 10))


def test_cues_of_a_stretch_come_in_its_own_time():
    cues = (Cue("a", 0.0, 1.0), Cue("b", 2.0, 4.0), Cue("c", 9.0, 10.0), Cue("d"))
    assert shifted(cues, 3.0, 5.0) == (Cue("b", -1.0, 1.0), Cue("d"))
