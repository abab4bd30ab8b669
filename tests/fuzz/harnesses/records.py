# SPDX-License-Identifier: GPL-3.0-or-later
"""Messages, jobs, persons, mappings and transforms: what is JSON, or has it inside."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import numpy as np

from engine.core import protocol
from engine.core.assignments import read_assignments
from engine.core.json_values import parse_json
from engine.core.protocol import Message, ProtocolError
from engine.jobs.command import JobCommand
from engine.jobs.process import Process
from engine.jobs.record import Job, read_job, write_job
from engine.jobs.results import summarize
from engine.jobs.status import JobStatus, State, read_status, write_status
from engine.jobs.summary import JobSummary
from engine.motion.characters.mapping_file import read_mapping, save_mapping
from engine.persons.person import Person, load_person, save_person
from tests.fuzz.damage import damage_message
from tests.fuzz.harness import Harness
from tests.fuzz.structure import damage_json, damage_lines


def _messages(folder: Path) -> None:
    arrays = {
        "a": np.arange(12, dtype=np.float32).reshape(3, 4),
        "b": np.array([True, False]),
        "ids": np.arange(5, dtype=np.int64),
    }
    body = {
        "method": "predict",
        "params": {"speech": "a.wav", "fps": 25.0, "text": "Hé", "n": None},
    }
    for number, message in enumerate(
        (Message("request", 3, body, arrays), Message("ping"), Message("cancel", 7))
    ):
        with (folder / f"{number}.bin").open("wb") as stream:
            protocol.write(stream, message)


def _read_messages(path: Path) -> None:
    stream = io.BytesIO(path.read_bytes())
    while (message := protocol.read(stream)) is not None:
        again = io.BytesIO()
        protocol.write(again, message)


def _jobs(folder: Path) -> None:
    command = JobCommand("train speech", ("--data", "/data", "--steps", "10"))
    job = Job(
        folder, command, {"steps": 10, "data": "/data"}, "/home", 1.5, Process(4_000_000, 1.5), 2
    )
    write_job(job)


def _read_job(path: Path) -> None:
    job = read_job(path.parent)
    if job.command is not None:
        assert job.command.argv(path.parent)[:4] == [sys.executable, "-P", "-m", "training"]
    JobSummary.from_json(json.loads(json.dumps(summarize(job).to_json())))


def _states(folder: Path) -> None:
    write_status(
        folder, JobStatus(State.RUNNING, 3, 10, 0.25, 12.5, "0003.png", "text", 1e9, ("n",))
    )


def _read_state(path: Path) -> None:
    status = read_status(path.parent)
    summary = summarize(Job(path.parent, status=status))
    JobSummary.from_json(json.loads(json.dumps(summary.to_json())))
    assert 0 <= summary.fraction <= 1


def _persons(folder: Path) -> None:
    person = Person(
        "Ann", "default", "", {"speech": "an hour"}, {"lip": 0.5}, {"film": "CC0"}, {"made": "here"}
    )
    save_person(folder, person)


def _read_person(path: Path) -> None:
    person = load_person(path.parent)
    for name in (person.avatar, person.speech_model):
        assert name in ("", "default", "rules", "starter") or Path(name).parent == path.parent


def _mappings(folder: Path) -> None:
    shapes = {"Face": [("Mouth_Open", "jawOpen", 1.0), ("Smile", "mouthSmileLeft", 0.5)]}
    from engine.motion.characters.bones import BoneRow

    bones = {
        "Rig": [BoneRow("jaw", "rotation x", "jawOpen", 0.3), BoneRow("lip", "location z", "x", 1)]
    }
    save_mapping(folder / "a.json", "Face", shapes, bones)
    save_mapping(folder / "b.json", "Face", shapes)


def _read_mapping(path: Path) -> None:
    from engine.motion.characters.mapping import mapping_of_rows

    tables = read_mapping(path)
    for rows in tables.objects.values():
        mapping_of_rows(rows)


def _transforms(folder: Path) -> None:
    from engine.splatting.camera import Camera
    from training.data.layout import Frame, write_transforms

    camera = Camera(np.eye(4, dtype=np.float32), np.diag([100, 100, 1]).astype(np.float32), 64, 48)
    frames = [
        Frame(
            step, 0, "00", camera, f"images/{step}.png", f"masks/{step}.png", f"{step}.npz", "flame"
        )
        for step in range(3)
    ]
    write_transforms(folder / "transforms_train.json", frames)


def _read_transforms(path: Path) -> None:
    from training.data.layout import read_transforms

    for frame in read_transforms(path):
        assert np.isfinite(frame.camera.viewmat).all()


def _kept(folder: Path) -> None:
    (folder / "a.json").write_text(
        '{"a": [1, 2.5, "x", null, {"b": [true]}], "c": {"d": "é"}}', "utf-8"
    )


def _parse(path: Path) -> None:
    parse_json(path.read_bytes())


_CONTROLS = ("jaw", "lips", "smile", "mode")


def _presets(folder: Path) -> None:
    lines = ["import bpy", "", "controls = bpy.context.gaussianspeech_controls", ""]
    lines += ["controls.jaw = 1.25", "controls.lips = -0.5", "controls.mode = 'FAST'", ""]
    (folder / "a.py").write_text("\n".join(lines), "utf-8")


HARNESSES = (
    Harness(
        "preset",
        "a.py",
        _presets,
        lambda path: read_assignments(path, "controls", _CONTROLS),
        damage_lines,
    ),
    Harness(
        "protocol",
        "message.bin",
        _messages,
        _read_messages,
        damage_message,
        errors=(ProtocolError,),
    ),
    Harness("json", "values.json", _kept, _parse, damage_json, errors=(ValueError,)),
    Harness("job", "job.json", _jobs, _read_job, damage_json),
    Harness("job_status", "status.json", _states, _read_state, damage_json),
    Harness("person", "person.json", _persons, _read_person, damage_json),
    Harness("mapping", "character.json", _mappings, _read_mapping, damage_json),
    Harness("transforms", "transforms_train.json", _transforms, _read_transforms, damage_json),
)
