# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said and when: TextGrid, phones as JSON, SubRip, WebVTT, plain text, emotions as CSV."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

from engine.batch.manifest import Defaults, read_manifest
from engine.motion.face.emotion_curve import read_emotion_curve
from engine.recognition.segmentation import load_segmentation
from engine.recognition.text_file import read_text_file
from tests.fuzz.harness import Harness
from tests.fuzz.structure import damage_json, damage_lines

_LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1.5
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words"
        xmin = 0
        xmax = 1.5
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "say ""it"" now"
        intervals [2]:
            xmin = 0.5
            xmax = 1.5
            text = ""
    item [2]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1.5
        intervals: size = 3
        intervals [1]:
            xmin = 0
            xmax = 0.2
            text = "S"
        intervals [2]:
            xmin = 0.2
            xmax = 0.5
            text = "EY1"
        intervals [3]:
            xmin = 0.5
            xmax = 1.5
            text = "sil"
"""
_SHORT = """File type = "ooTextFile"
Object class = "TextGrid"

0
1.5
<exists>
1
"IntervalTier"
"phones"
0
1.5
2
0
0.5
"a"
0.5
1.5
"m"
"""
_SRT = """1
00:00:00,000 --> 00:00:01,250
Hello there,
<i>you</i>.

2
00:00:01,500 --> 00:00:03,000
And you.
"""
_VTT = """WEBVTT

NOTE nothing

intro
00:00.000 --> 00:01.250 align:start
<v Ann>Hello there.

00:01.500 --> 01:00:03.000
And you.
"""


def _write(texts: tuple[str, ...], folder: Path) -> None:
    for number, text in enumerate(texts):
        (folder / f"{number}a").write_text(text, "utf-8")
        (folder / f"{number}b").write_text(text, "utf-16")


def _phones(folder: Path) -> None:
    words = [
        {"t": "say", "w": [{"t": "S", "b": 0.0, "d": 0.1}, {"t": "EY1", "b": 0.1, "d": 0.2}]},
        {"t": "it(2)", "w": [{"t": "IH0", "b": 0.3, "d": 0.1}, {"t": "T", "b": 0.4, "d": 0.1}]},
    ]
    (folder / "a.json").write_text(json.dumps({"t": "say it", "w": words}), "utf-8")


def _read_cues(path: Path) -> None:
    for cue in read_text_file(path):
        assert cue.text.strip() or path.suffix == ".txt"


def _read_phones(path: Path) -> None:
    found = load_segmentation(path)
    found.stretch(0.0, 1.0)


def _manifests(suffix: str, folder: Path) -> None:
    rows = [
        {"sound": "a.wav", "text": "Well, yes.", "fps": 25, "outputs": "mp4 csv", "seed": 1},
        {"sound": "b.wav", "name": "b/c", "person": "anna", "size": "64x64", "gaze": 0.5},
    ]
    if suffix == ".jsonl":
        text = "".join(json.dumps(row) + "\n" for row in rows)
    else:
        columns = list(rows[0] | rows[1])
        lines = [columns, *([str(row.get(column, "")) for column in columns] for row in rows)]
        text = "".join(",".join(f'"{value}"' for value in line) + "\n" for line in lines)
    (folder / f"a{suffix}").write_text(text, "utf-8")


def _read_lines(path: Path) -> None:
    lines = read_manifest(path, Defaults())
    assert len({line.name.casefold() for line in lines}) == len(lines)
    for line in lines:
        assert ".." not in Path(line.name).parts
        assert not Path(line.name).is_absolute()


HARNESSES = (
    Harness("manifest_csv", "a.csv", partial(_manifests, ".csv"), _read_lines, damage_lines),
    Harness("manifest_jsonl", "a.jsonl", partial(_manifests, ".jsonl"), _read_lines, damage_lines),
    Harness(
        "text_grid", "a.TextGrid", partial(_write, (_LONG, _SHORT)), _read_phones, damage_lines
    ),
    Harness("phones", "a.phones.json", _phones, _read_phones, damage_json),
    Harness("subrip", "a.srt", partial(_write, (_SRT,)), _read_cues, damage_lines),
    Harness("webvtt", "a.vtt", partial(_write, (_VTT,)), _read_cues, damage_lines),
    Harness("text", "a.txt", partial(_write, ("Hello there.\n",)), _read_cues, damage_lines),
    Harness(
        "emotions",
        "a.csv",
        lambda folder: (folder / "a.csv").write_text(
            "seconds,joy,fear\n0,0.5,0\n1,0.2,1\n", "utf-8"
        ),
        read_emotion_curve,
        damage_lines,
    ),
)
