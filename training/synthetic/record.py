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
from engine.core.files import atomic_write
from engine.core.json_values import read_json
from engine.heads.head import Head
from training.synthetic import person
from training.synthetic.cameras import RigCamera
from training.synthetic.recordings import FOLDER
from training.synthetic.schedule import TimestepPose
from training.synthetic.settings import CaptureSettings

RECORD = "capture.json"
_FORMAT = "gaussianspeech-capture-1"


def ingredients(
    head: str, settings: CaptureSettings, audio: Sequence[Path], *, sample: bool
) -> dict[str, Any]:
    """What decides a capture, as JSON has it.

    Raises:
        BadInputError: a recording cannot be read.
    """
    try:
        digests = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(audio)
        }
    except OSError as error:
        raise BadInputError(
            f"The recording {error.filename} cannot be read: {error.strerror}.", "Check the path."
        ) from error
    return {
        "head": head,
        "settings": settings.to_dict(),
        "audio": digests,
        "sample_voice": sample,
        "look": _person_digest(),
    }


def check_resumable(folder: Path, wanted: dict[str, Any]) -> None:
    """See that a folder holds no capture of other ingredients, which would be mixed.

    Raises:
        BadInputError: it does; names what differs.
    """
    path = folder / RECORD
    if not path.is_file():
        return
    try:
        made_of = read_json(path).group("made_of").values
        before, now = _flat(dict(made_of)), _flat(wanted)
    except BadInputError as error:
        raise BadInputError(
            f"{path} is damaged: {error}.", "Make the capture in a new folder."
        ) from error
    different = sorted(key for key in before | now if before.get(key) != now.get(key))
    if different:
        changes = ", ".join(f"{key} {before.get(key)} (now {now.get(key)})" for key in different)
        raise BadInputError(
            f"{folder} holds a capture made with {changes}.",
            "Go on with it by the same options and version, or give another folder with --out.",
        )


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
    with atomic_write(folder / RECORD) as temporary:
        temporary.write_text(json.dumps(content, indent=1), "utf-8")


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
    return {"performance": f"{FOLDER}/{name}.performance.npz", "frame": frame}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "unknown"


def _flat(made_of: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in made_of.items() if key != "settings"} | {
        **made_of["settings"]
    }
