# SPDX-License-Identifier: GPL-3.0-or-later
"""A person's folder: ``avatar.safetensors``, ``speech_model.safetensors`` and ``person.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.core.checks import shown
from engine.core.errors import BadInputError
from engine.core.files import is_file, write_text
from engine.core.json_values import JsonObject, read_json
from engine.heads.carried_head import FLAME_PARAM
from engine.heads.registry import AVATAR, PERSON, POINT_CLOUD, avatar_in
from engine.motion.model.ids import MODEL_SUFFIX, MODELS

FORMAT = "gaussianspeech-person-1"
DEFAULT_PERSON = "default"
"""The person that ships: the default head with its avatar."""
SPEECH_MODEL = "speech_model.safetensors"

_REMEDY = (
    "Choose a folder that 'gaussianspeech train person' wrote, or write its person.json as "
    "docs/persons.md says."
)
_TABLES = ("trained_on", "scores", "licences", "provenance")


@dataclass(frozen=True)
class Person:
    """A person.

    Attributes:
        name: for people to read.
        avatar: ``"default"`` or the file of the avatar, which carries its head.
        speech_model: id or file of how the person speaks; empty for the default.
        trained_on: what each part was trained on: text by part.
        scores: figures by name.
        licences: text by what it is about.
        provenance: how it was made, text by topic.
    """

    name: str
    avatar: str
    speech_model: str = ""
    trained_on: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, float] = field(default_factory=dict)
    licences: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, str] = field(default_factory=dict)


def load_person(folder: str | Path) -> Person:
    """Read a person.

    Args:
        folder: ``"default"``; a person's folder; or one of GaussianAvatars, which has no
            ``person.json``.

    Raises:
        BadInputError: no such folder, a damaged ``person.json``, or one that names a missing file.
    """
    if str(folder) == DEFAULT_PERSON:
        return Person("Default", DEFAULT_PERSON)
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInputError(f"There is no person's folder {folder}.", f"Check the path. {_REMEDY}")
    avatar = str(avatar_in(folder))
    record = folder / PERSON
    if not record.is_file():
        model = folder / SPEECH_MODEL
        return Person(folder.resolve().name, avatar, str(model) if model.is_file() else "")
    about = read_json(record, _REMEDY)
    if (found := about.text("format")) != FORMAT:
        raise about.wrong(f"it is of format {shown(found)}; expected {FORMAT!r}")
    person = Person(
        name=about.text("name"),
        avatar=avatar,
        speech_model=_model(folder, about),
        scores=about.mapping("scores"),
        **{name: _texts(about, name) for name in _TABLES if name != "scores"},
    )
    for path in (person.avatar, person.speech_model):
        if path not in ("", DEFAULT_PERSON, *MODELS) and not is_file(path):
            raise BadInputError(f"{record} names {path}, which is missing.", _REMEDY)
    return person


def person_at(path: str | Path) -> Person:
    """The person that a file or folder stands for.

    Args:
        path: what :func:`load_person` takes; the ``person.json`` in it; or an avatar, which is that
            of the person whose ``person.json`` beside it names it, else a person of its own;
            GaussianAvatars' ``flame_param.npz`` stands for the ``point_cloud.ply`` beside it.

    Raises:
        BadInputError: no such file or folder, or a damaged ``person.json``.
    """
    if str(path) == DEFAULT_PERSON or Path(path).is_dir():
        return load_person(path)
    path = Path(path)
    if not path.is_file():
        raise BadInputError(f"There is no file {path}.", f"Check the path. {_REMEDY}")
    if path.name == PERSON:
        return load_person(path.parent)
    if path.name == FLAME_PARAM:
        path = path.with_name(POINT_CLOUD)
    if (path.parent / PERSON).is_file():
        person = load_person(path.parent)
        if Path(person.avatar) == path:
            return person
    if path.suffix.lower() not in (".safetensors", ".ply") or not path.is_file():
        raise BadInputError(f"{path} is no avatar and no person.", _REMEDY)
    common = path.name in (AVATAR, POINT_CLOUD)
    return Person(path.resolve().parent.name if common else path.stem, str(path))


def save_person(folder: Path, person: Person) -> Path:
    """Write ``person.json`` into the folder that the person's files lie in.

    Args:
        folder: of the person.
        person: files are named without their folder; they must lie in ``folder``.

    Returns:
        The file.
    """
    content: dict[str, Any] = {
        "format": FORMAT,
        "name": person.name,
        "avatar": _named(person.avatar),
        "speech_model": _named(person.speech_model),
    }
    content |= {name: dict(getattr(person, name)) for name in _TABLES}
    path = folder / PERSON
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def _named(file: str) -> str:
    return file if file in ("", DEFAULT_PERSON, *MODELS) else Path(file).name


def _model(folder: Path, about: JsonObject) -> str:
    name: str = about.text("speech_model", "") or ""
    if name in ("", *MODELS):
        return name
    if not name.endswith(MODEL_SUFFIX):
        raise about.wrong(f"its speech model {shown(name)} is no {MODEL_SUFFIX} file")
    return str(folder / Path(name).name)


def _texts(about: JsonObject, name: str) -> dict[str, str]:
    if name not in about:
        return {}
    return {str(key): str(value) for key, value in about.group(name).values.items()}
