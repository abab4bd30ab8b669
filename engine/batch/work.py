# SPDX-License-Identifier: GPL-3.0-or-later
"""Doing one task: the part of a batch that loads models, once in each process."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine import __version__
from engine.batch.folder import Record, check_seen, input_digest
from engine.batch.lines import CURVES, FLAME, PERFORMANCE, BatchLine
from engine.batch.tasks import Failure, Outcome, Settings, Task
from engine.core.errors import BadInputError, GaussianSpeechError, one_line
from engine.motion.model.ids import DEFAULT, MODELS

if TYPE_CHECKING:
    from engine.avatar import GaussianAvatar
    from engine.heads.head import Head
    from engine.motion.performance import Performance
    from engine.splatting.backend import Backend


def perform(task: Task, settings: Settings, node: str = "") -> Outcome | Failure:
    """Do a task: whatever goes wrong is said, never raised.

    Args:
        task: what to do.
        settings: of the batch.
        node: the machine's name, for a failure.
    """
    started, processor = time.perf_counter(), time.process_time()
    try:
        check_seen(settings.out, settings.token)
        made = _film(task, settings) if task.stage == "film" else _speak(task, settings)
    except GaussianSpeechError as error:
        return Failure(task, one_line(error), isinstance(error, BadInputError), node)
    # Whatever a library raises fails this line, not the batch.
    except Exception as error:  # noqa: BLE001
        return Failure(task, f"{type(error).__name__}: {one_line(error)}"[:300], node=node)
    taken, used = time.perf_counter() - started, time.process_time() - processor
    return Outcome(task, made.kinds, taken, made.speech, made.warnings, used)


class _Made(NamedTuple):
    kinds: tuple[str, ...] = ()
    speech: float = 0.0
    warnings: tuple[str, ...] = ()


def _todo(line: BatchLine, kinds: tuple[str, ...], settings: Settings) -> dict[str, str]:
    """The kinds of outputs that are not done yet, with the digests of what they are made of."""
    record, spoken = Record(settings.out, line.name), _inputs(line, settings)
    wanted = {kind: _inputs_of(line, kind, spoken) for kind in kinds}
    done = (kind for kind in kinds if record.is_done(kind, line.file(kind), wanted[kind]))
    for kind in list(done):
        del wanted[kind]
    return wanted


def _inputs(line: BatchLine, settings: Settings) -> str:
    """Digest of all that a line's performance depends on."""
    values = {
        "version": __version__,
        "sound": input_digest(line.sound),
        "person": _content(line.person),
        "head": _content(line.head),
        "model": _content(line.model),
        "text": line.text,
        "language": line.language,
        "fps": line.fps,
        "style": asdict(line.style),
        "recognizer": settings.recognizer,
    }
    return _digest(values)


def _inputs_of(line: BatchLine, kind: str, spoken: str) -> str:
    values: dict[str, object] = {"spoken": spoken, "kind": kind}
    if kind in line.films:
        values["size"] = line.size
    elif kind not in (PERFORMANCE, FLAME, *CURVES) and line.character is not None:
        values["character"] = input_digest(line.character)
        values["mapping"] = None if line.mapping is None else input_digest(line.mapping)
    return _digest(values)


def _digest(values: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _content(name: str | None) -> str | None:
    """A name of what ships, or the digest of a file or folder."""
    file = (name or "").partition("#")[0]
    if file in ("", "default", *MODELS):
        return name
    return input_digest(file) + (name or "").removeprefix(file)


class _Speaker(NamedTuple):
    """Head and speech model of a person, and the avatar's file."""

    head: Head
    model: str
    avatar: str


@lru_cache(maxsize=16)
def _speaker(person: str, head: str | None, model: str, _content: str | None) -> _Speaker:
    from engine.avatar.with_head import head_of
    from engine.heads.retarget import has_arkit_visemes, with_arkit_expressions
    from engine.persons.person import person_at

    who = person_at(person)
    face, spoken = head_of(who.avatar, head), model or who.speech_model or DEFAULT
    if spoken in MODELS and not has_arkit_visemes(face):
        # As `predict` would, for every line anew.
        face = with_arkit_expressions(face)
    return _Speaker(face, spoken, who.avatar)


@lru_cache(maxsize=4)
def _avatar(avatar: str, head: str | None, _content: str | None) -> tuple[GaussianAvatar, Head]:
    from engine.avatar.with_head import load_with_head

    found = load_with_head(avatar, head)
    return found.avatar, found.head


@cache
def _backend(name: str) -> Backend:
    from engine.splatting.registry import choose_backend

    return choose_backend(name)


def _who(line: BatchLine) -> _Speaker:
    return _speaker(line.person, line.head, line.model, _content(line.person))


def _speak(task: Task, settings: Settings) -> _Made:
    """Make the performance, and all of it that needs no rasteriser."""
    line = task.line
    todo = _todo(line, line.spoken, settings)
    if not todo:
        return _Made()
    who, record, speech = _who(line), Record(settings.out, line.name), 0.0
    saved = settings.out / line.file(PERFORMANCE)
    if PERFORMANCE in todo:
        performance, speech = _predicted(line, who, settings)
        performance.save(saved)
        record.add(PERFORMANCE, line.file(PERFORMANCE), todo[PERFORMANCE])
        warnings = performance.warnings
    else:
        from engine.motion.performance import Performance

        performance, warnings = Performance.load(saved), ()
    for kind in todo:
        if kind != PERFORMANCE:
            warnings += _write(kind, line, performance, who, settings.out / line.file(kind))
            record.add(kind, line.file(kind), todo[kind])
    return _Made(tuple(todo), speech, tuple(warnings))


def _predicted(line: BatchLine, who: _Speaker, settings: Settings) -> tuple[Performance, float]:
    from engine.audio.loading import load_speech
    from engine.motion.predict import predict

    speech = load_speech(line.sound)
    performance = predict(
        speech,
        who.head,
        line.fps,
        text=line.text,
        language=line.language,
        recognizer=settings.recognizer,
        model=who.model,
        style=line.style,
    )
    return performance, speech.duration


def _write(
    kind: str, line: BatchLine, performance: Performance, who: _Speaker, path: Path
) -> tuple[str, ...]:
    """Write one kind of output; what the user should know of it."""
    from engine.motion.interchange.curve_files import write_curves
    from engine.motion.interchange.face_curves import curves_of

    if kind in CURVES:
        write_curves(curves_of(performance), path)
        return ()
    if kind == FLAME:
        from engine.avatar.flame_param import flame_param_of
        from engine.heads.flame_param import save_flame_param

        motion, _ = flame_param_of(performance, who.head, line.head or who.avatar)
        save_flame_param(motion, path)
        return ()
    if line.character is not None:
        from engine.characters import load_mapping, open_character, proposed_mapping, speak

        character = open_character(line.character)
        if path.suffix not in character.suffixes:
            raise BadInputError(
                f"{line.character} cannot be written as {kind}.",
                f"Ask for one of {', '.join(sorted(character.suffixes))}.",
            )
        mapping = (
            proposed_mapping(character)
            if line.mapping is None
            else load_mapping(character, line.mapping)
        )
        clip = speak(curves_of(performance), mapping, Path(line.name).name, character.rigs)
        return mapping.left_out + tuple(character.save(path, [clip]))
    if kind != "glb":
        raise BadInputError(f"A {kind} is that of a character.", "Name one, or ask for glb.")
    from engine.characters.head_gltf import write_head

    write_head(performance, who.head, path)
    return ()


def _film(task: Task, settings: Settings) -> _Made:
    """Render the performance that lies there."""
    from engine.motion.performance import Performance
    from engine.rendering.frames import portrait_camera, render_still, write_still, write_video
    from engine.rendering.poster import poster_frame

    line = task.line
    todo = _todo(line, line.films, settings)
    if not todo:
        return _Made()
    avatar, head = _avatar(_who(line).avatar, line.head, _content(line.person))
    backend, camera = _backend(settings.backend), portrait_camera(head, *line.size)
    performance = Performance.load(settings.out / line.file(PERFORMANCE))
    record = Record(settings.out, line.name)
    for kind in todo:
        path = settings.out / line.file(kind)
        if kind == "png":
            frame = poster_frame(performance, head)
            still = render_still(performance, head, avatar, backend, camera, frame)
            write_still(path, still)
        else:
            write_video(path, performance, head, avatar, backend, camera, line.sound)
        record.add(kind, line.file(kind), todo[kind])
    return _Made(tuple(todo), performance.frames / performance.fps)
