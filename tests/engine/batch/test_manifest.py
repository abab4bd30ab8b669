# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.batch.manifest import Defaults, read_manifest
from engine.core.errors import BadInputError


@pytest.fixture
def lines_of(tmp_path):
    def read(text, suffix=".csv", **defaults):
        path = tmp_path / f"m{suffix}"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_manifest(path, Defaults(**defaults))

    return read


def test_csv_and_json_lines_say_the_same(lines_of, tmp_path):
    csv = (
        "sound,text,person,fps,outputs,size,gaze,seed\r\n"
        'a.wav,"Well, ""yes"".\nNo.",anna,23.976,mp4 csv;mp4,640x480,0.5,7\r\n'
    )
    values = {
        "sound": "a.wav",
        "text": 'Well, "yes".\nNo.',
        "person": "anna",
        "fps": 23.976,
        "outputs": ["mp4", "csv"],
        "size": "640x480",
        "gaze": 0.5,
        "seed": 7,
    }
    (line,) = lines_of(csv)
    (same,) = lines_of(json.dumps(values), ".jsonl")
    assert line.sound == tmp_path / "a.wav"
    assert line.person == str(tmp_path / "anna")
    assert (line.fps, line.outputs, line.size) == (23.976, ("mp4", "csv"), (640, 480))
    assert (line.style.gaze, line.style.seed, line.number) == (0.5, 7, 2)
    assert (line.spoken, line.films) == (("performance", "csv"), ("mp4",))
    assert (same.text, same.outputs, same.style) == (line.text, line.outputs, line.style)


def test_what_a_line_does_not_say_it_has_from_the_command(lines_of):
    defaults = {"outputs": ("glb",), "person": "/p", "head": "/h.pkl", "fps": 30.0}
    first, second = lines_of("sound,person\na.wav,\nb/c.wav,default\n", **defaults)
    assert (first.outputs, first.person, first.head, first.fps) == (("glb",), "/p", "/h.pkl", 30.0)
    assert (second.person, second.head, second.name) == ("default", None, "c")


@pytest.mark.parametrize(
    ("text", "suffix", "says"),
    [
        ("sound,sond\na.wav,b\n", ".csv", "line 1, column 2: there is no column called 'sond'"),
        ("name\na\n", ".csv", "line 1: no column is called 'sound'"),
        ("sound,sound\na,b\n", ".csv", "line 1: two columns are called 'sound'"),
        ("sound,fps\na.wav,25\n\nb.wav,fast\n", ".csv", "line 4, column 'fps': 'fast'"),
        ('sound,text,fps\na.wav,"1\n2\n3",25\nb.wav,x,999\n', ".csv", "line 5, column 'fps'"),
        ("sound\na.wav,1,2\n", ".csv", "line 2: it has 3 columns, the header has 1"),
        ('sound\n"a.wav\n', ".csv", "line 2: unexpected end of data"),
        ("sound,outputs\na.wav,mp5\n", ".csv", "line 2, column 'outputs': 'mp5' is no kind"),
        ("sound,size\na.wav,big\n", ".csv", "line 2, column 'size': The size 'big'"),
        ("sound,gaze\na.wav,9\n", ".csv", "line 2, column 'gaze': The style's gaze is 9"),
        ("sound,emotion\na.wav,glee\n", ".csv", "line 2, column 'emotion': The emotion 'glee'"),
        ("sound\na.wav\nx/A.wav\n", ".csv", "line 3, column 'name': line 2 is called"),
        ("sound,name\na.wav,../b\n", ".csv", "line 2, column 'name': '../b' can be no"),
        ("sound,name\na.wav,/b\n", ".csv", "line 2, column 'name': '/b' can be no"),
        ("sound,text\n,hello\n", ".csv", "line 2, column 'sound': it is empty"),
        ("sound\n", ".csv", "has no lines"),
        (b"sound\na.wav\n\xff.wav\n", ".csv", "line 3: byte 1 is not UTF-8"),
        ('{"sound": "a.wav"}\n{"sound" 1}\n', ".jsonl", "line 2, character 10: it is no JSON"),
        ("[1]\n", ".jsonl", "line 1: it is no JSON object"),
        ('{"sound": 1}\n', ".jsonl", "line 1, column 'sound': 1 is no text"),
        ('{"sound": "a", "fps": true}\n', ".jsonl", "line 1, column 'fps': True is no number"),
        ('{"sound": "a", "fps": 1e999}\n', ".jsonl", "line 1, column 'fps': inf is no number"),
        ('{"sound": "a", "loud": 1}\n', ".jsonl", "line 1, column 'loud': no such column"),
        ('{"sound": "a", "outputs": [1]}\n', ".jsonl", "line 1, column 'outputs': 1 is no kind"),
        ('{"sound": "a\\u0000"}\n', ".jsonl", "line 1, column 'sound'"),
        ("a", ".txt", "is no manifest"),
    ],
)
def test_an_error_names_file_line_and_column(lines_of, text, suffix, says):
    with pytest.raises(BadInputError) as caught:
        lines_of(text, suffix)
    assert f"m{suffix}" in caught.value.message
    assert says in caught.value.message


@given(
    data=st.binary(max_size=60).map(b"sound,name,fps\n".__add__) | st.binary(max_size=60),
    suffix=st.sampled_from([".csv", ".jsonl"]),
)
def test_any_bytes_are_lines_or_a_plain_error(tmp_path_factory, data, suffix):
    path = tmp_path_factory.getbasetemp() / f"any{suffix}"
    path.write_bytes(data)
    try:
        lines = read_manifest(path, Defaults())
    except BadInputError:
        return
    assert lines
