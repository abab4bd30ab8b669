# SPDX-License-Identifier: GPL-3.0-or-later
"""``capture.json``: what a synthetic capture was made of, and what each timestep shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engine.core.errors import BadInputError
from engine.core.files import file_digest, write_text
from engine.core.json_values import read_json
from engine.heads.head import Head
from training.synthetic import person
from training.synthetic.cameras import RigCamera
from training.synthetic.recordings import FOLDER, MOTION
from training.synthetic.schedule import TimestepPose
from training.synthetic.settings import CaptureSettings

RECORD = "capture.json"
_FORMAT = "gaussianspeech-capture-1"
_BESIDE = "beside"


def ingredients(
    head: str, settings: CaptureSettings, audio: Sequence[Path], *, sample: bool
) -> dict[str, Any]:
    """What decides a capture, as JSON has it.

    ``beside`` has the transcripts and motions that lie beside the recordings.

    Raises:
        BadInputError: a recording, or what lies beside it, cannot be read.
    """
    beside = [
        found
        for path in audio
        for s in (".txt", MOTION)
        if (found := path.with_suffix(s)).is_file()
    ]
    try:
        digests, about = (
            {path.name: file_digest(path) for path in sorted(paths)} for paths in (audio, beside)
        )
    except OSError as error:
        raise BadInputError(
            f"{error.filename} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    return {
        "head": head,
        "settings": settings.to_dict(),
        "audio": digests,
        _BESIDE: about,
        "sample_voice": sample,
        "look": _person_digest(),
    }


def check_resumable(folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """See that a folder holds no capture of other ingredients, which would be mixed.

    Returns:
        What to record. A capture of an older version, which did not record what lies beside the
        recordings, keeps the motion that it began with: it is not compared, and stays unrecorded.

    Raises:
        BadInputError: it does; names what differs.
    """
    path = folder / RECORD
    if not path.is_file():
        return wanted
    try:
        made_of = read_json(path).group("made_of")
        before = _flat({**made_of.values, "settings": made_of.group("settings").values})
    except BadInputError as error:
        raise BadInputError(
            f"{path} is damaged: {error}.", "Make the capture in a new folder."
        ) from error
    if _BESIDE not in before:
        wanted = {key: value for key, value in wanted.items() if key != _BESIDE}
    now = _flat(wanted)
    different = sorted(key for key in before | now if before.get(key) != now.get(key))
    if different:
        changes = ", ".join(f"{key} {before.get(key)} (now {now.get(key)})" for key in different)
        raise BadInputError(
            f"{folder} holds a capture made with {changes}.",
            "Continue it by the same options and version, or give another folder with --out.",
        )
    return wanted


def write_record(
    folder: Path,
    made_of: dict[str, Any],
    head: Head,
    rig: Sequence[RigCamera],
    schedule: Sequence[TimestepPose],
) -> None:
    """Write ``capture.json``.

    Args:
        folder: of the capture.
        made_of: of :func:`ingredients`.
        head: who was filmed.
        rig: the cameras.
        schedule: by timestep.
    """
    content = {
        "format": _FORMAT,
        "made_of": made_of,
        "made_with": {name: _version(name) for name in ("gaussianspeech", "bpy")},
        "head_provenance": dict(head.provenance),
        "cameras": [{"camera_id": c.id, "degrees_round_the_head": c.around} for c in rig],
        "timesteps": [
            {
                "timestep_index": timestep,
                "name": pose.name,
                "kind": pose.kind,
                **_spoken(pose),
            }
            for timestep, pose in enumerate(schedule)
        ],
    }
    write_text(folder / RECORD, json.dumps(content, indent=1))


def _person_digest() -> str:
    """Of the code of the person's look: pictures of two versions of it do not fit together."""
    digest = hashlib.sha256()
    for path in sorted(Path(person.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes().replace(b"\r\n", b"\n"))
    return digest.hexdigest()[:12]


def _spoken(pose: TimestepPose) -> dict[str, Any]:
    if pose.frame is None:
        return {}
    name, frame = pose.frame
    return {"performance": f"{FOLDER}/{name}{MOTION}", "frame": frame}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _flat(made_of: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in made_of.items() if key != "settings"} | {
        **made_of["settings"]
    }
