# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

import av
import numpy as np
import pytest

from engine.audio.loading import Speech, load_speech
from engine.heads import load_head
from engine.heads.flame import flame_person
from engine.phonemes import Phone
from tests.engine.heads.flame_people import identity, write_model

REPOSITORY = Path(__file__).resolve().parents[2]
ASSETS = REPOSITORY / "engine" / "assets"

BILABIALS = {"P", "B", "M"}


class Clip(NamedTuple):
    speech: Speech
    text: str
    phones: list[Phone]


@pytest.fixture(scope="session")
def head():
    return load_head("default")


@pytest.fixture(scope="session")
def model_file(tmp_path_factory):
    """A FLAME model in an npz; do not write to it."""
    return write_model(tmp_path_factory.mktemp("flame") / "flame2023.npz")


@pytest.fixture(scope="session")
def person(model_file):
    """A person of strong identity: the root's regressor moves with shape and expression."""
    shape, static = identity()
    return flame_person(model_file, shape=shape, static_offset=static[0])


@pytest.fixture(scope="session")
def recorded_clips(recordings):
    clips = []
    for path in sorted(recordings.glob("*.phones.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        phones = [
            Phone(p["t"] if p["t"].isalpha() else "SIL", p["b"], p["b"] + p["d"])
            for word in about["w"]
            for p in word["w"]
        ]
        speech = load_speech(path.with_name(path.name.replace(".phones.json", ".wav")))
        clips.append(Clip(speech, about["t"], phones))
    return clips


@pytest.fixture(scope="session")
def sample_voice():
    about = json.loads((ASSETS / "sample_voice.json").read_text(encoding="utf-8"))
    return load_speech(ASSETS / "sample_voice.wav"), about["text"]


@pytest.fixture(scope="session")
def sample_encoding(sample_voice, recognized):
    return recognized(sample_voice[0])


@pytest.fixture(scope="session")
def closures():
    """How many bilabials of a reference are found within 40 ms, of how many."""

    def count(reference, phones):
        wanted = [p for p in reference if p.label in BILABIALS]
        found = sum(
            any(
                q.label in BILABIALS and q.start < p.end + 0.04 and q.end > p.start - 0.04
                for q in phones
            )
            for p in wanted
        )
        return found, len(wanted)

    return count


@pytest.fixture(scope="session")
def label_at():
    def label(phones, time):
        return next((p.label for p in phones if p.start <= time < p.end), "SIL")

    return label


@pytest.fixture
def tone():
    def make(rate, seconds=1.2345, channels=1, pitch=440.0):
        time = np.arange(round(rate * seconds)) / rate
        return np.repeat(0.5 * np.sin(2 * np.pi * pitch * time)[:, None], channels, axis=1)

    return make


@pytest.fixture(scope="session")
def write_container():
    """Encode (C, N) float32 planes at 48 kHz with one of FFmpeg's codecs."""

    def write(path, codec, planes, options=None):
        layout = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}[len(planes)]
        kind = {".aac": "adts"}.get(path.suffix)
        with av.open(str(path), "w", format=kind, options=options or {}) as container:
            stream = container.add_stream(codec, rate=48000, layout=layout)
            resampler = av.AudioResampler(stream.codec_context.format or "fltp", layout, 48000)
            for start in range(0, planes.shape[1], 960):
                block = planes[:, start : start + 960].T.reshape(1, -1)
                frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout)
                frame.sample_rate = 48000
                frame.pts = start
                for ready in resampler.resample(frame):
                    container.mux(stream.encode(ready))
            container.mux(stream.encode(None))

    return write


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Let the commands of jobs be run by this text instead of by ``training``."""
    root = tmp_path / "program"

    def install(code):
        (root / "stand_in").mkdir(parents=True, exist_ok=True)
        (root / "stand_in" / "__main__.py").write_text(code)
        monkeypatch.setattr("engine.jobs.command.PACKAGE", "stand_in")
        before = os.environ.get("PYTHONPATH", "")
        monkeypatch.setenv("PYTHONPATH", f"{root}{os.pathsep}{before}")

    return install
