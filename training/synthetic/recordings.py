# SPDX-License-Identifier: GPL-3.0-or-later
"""What the filmed person says: recordings and performances, stored beside the pictures."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.resources import as_file, files
from pathlib import Path

from engine.core.errors import BadInputError
from engine.core.files import copy_file, write_text
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.head import Head
from engine.motion.performance import Performance
from training.data.split_file import PARTS, SPLIT, listed
from training.data.transcripts import transcript_beside
from training.synthetic.schedule import Spoken

FOLDER = "speech"
MOTION = ".performance.npz"
"""Ending of the file of a recording's motion, in the place of its own."""
FPS = 25.0
"""Of what the rules perform."""
_SAMPLE = "sample_voice"


def prepare_recordings(
    folder: Path,
    head: Head,
    audio: Sequence[Path] = (),
    *,
    sample: bool = True,
    progress: Progress = no_progress,
) -> list[Spoken]:
    """The performances of a capture, kept in it: given beside the sounds, else by the rules.

    ``speech/<name>.performance.npz``, and the recording and transcript beside it, let the joint
    training predict the expressions of filmed frames. Those that lie there already are read, not
    made again.

    Args:
        folder: of the capture.
        head: who speaks.
        audio: recordings; of each, the transcript ``<name>.txt``, the motion
            ``<name>.performance.npz`` and its folder's ``split.json`` are taken where they are.
        sample: whether the shipped sample voice speaks, too.
        progress: called with the share done.

    Raises:
        BadInputError: a recording that cannot be used, two of one name, or two splits.
    """
    _copy_split(folder, audio)
    names = [*([_SAMPLE] if sample else []), *(path.stem for path in audio)]
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise BadInputError(
            f"Two recordings are called '{twice[0]}'.", "Rename one of them: they are kept by name."
        )
    with ExitStack() as stack:
        recordings: list[tuple[Path, str | None]] = []
        if sample:
            assets = files("engine.assets")
            line = json.loads((assets / f"{_SAMPLE}.json").read_text("utf-8"))["text"]
            recordings.append((stack.enter_context(as_file(assets / f"{_SAMPLE}.wav")), line))
        recordings += [(path, transcript_beside(path)) for path in audio]
        return [
            Spoken(
                name,
                _performance(
                    folder / FOLDER,
                    recording,
                    text,
                    head,
                    subprogress(progress, number / len(names), (number + 1) / len(names)),
                ),
            )
            for number, (name, (recording, text)) in enumerate(zip(names, recordings, strict=True))
        ]


def _performance(
    folder: Path, recording: Path, text: str | None, head: Head, progress: Progress
) -> Performance:
    stored = folder / f"{recording.stem}{MOTION}"
    if stored.is_file():
        return Performance.load(stored)
    # Deferred: recognising loads the audio libraries, which a resumed capture does without.
    from engine.audio.loading import load_speech
    from engine.motion.predict import predict

    given = recording.with_suffix(MOTION)
    if given.is_file():
        performance = Performance.load(given)
    else:
        performance = predict(load_speech(recording), head, FPS, text=text, progress=progress)
    copy_file(recording, folder / recording.name)
    if text is not None:
        write_text(folder / f"{recording.stem}.txt", text)
    performance.save(stored)
    return performance


def _copy_split(folder: Path, audio: Sequence[Path]) -> None:
    """Keep what the recordings' folder says of training and testing."""
    splits = sorted({path for sound in audio if (path := sound.parent / SPLIT).is_file()})
    names = {sound.stem for sound in audio}
    if len(splits) > 1:
        raise BadInputError(
            f"{splits[0]} and {splits[1]} split the recordings.", "Join them in one folder."
        )
    for split in splits:
        given = listed(split)
        # A capture may film some of a folder's recordings.
        kept = {part: [name for name in given[part] if name in names] for part in PARTS}
        write_text(folder / FOLDER / SPLIT, json.dumps(kept, indent=2))
