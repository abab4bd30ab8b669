# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate speech``: lip sync on recordings with known sounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.loading import SAMPLE_RATE
from engine.heads.head import Head
from engine.progress import Progress, part, silent
from engine.speech.performance import Performance, Phone
from engine.speech.phonemes import tidied
from engine.speech.predict import perform, predict
from training.data.speech import AlignedSpeech, find_speech, load_aligned_speech
from training.metrics.lip_sync import lip_sync
from training.report.speech import ClipResult, SpeechReport

REPORT_NAME = "report.json"
_STEP = 0.010


def evaluate(
    paths: Iterable[str | Path],
    out: str | Path | None,
    head: Head,
    model: str = "rules",
    fps: float = 25.0,
    with_text: bool | None = None,  # noqa: FBT001  both, with or without: three values
    progress: Progress = silent,
) -> SpeechReport:
    """Measure lip sync on audio files with alignments, print a table and write ``report.json``.

    The true sounds always drive a run of their own, so that what recognition loses and what
    articulation loses are told apart.

    Args:
        paths: audio files with ``<stem>.phones.json`` beside them, or folders of such.
        out: folder of the report; ``None`` writes none.
        head: who speaks.
        model: id of the speech model.
        fps: frames per second.
        with_text: only with the transcript, only without it, or both for ``None``.
        progress: told how far it is.

    Raises:
        BadInputError: a file is missing or unusable, the model is unknown, or the head cannot be
            measured.
    """
    modes = ["aligned"]
    modes += ["without_transcript"] if with_text in (None, False) else []
    modes += ["with_transcript"] if with_text in (None, True) else []
    files = find_speech(paths)
    clips = [load_aligned_speech(file) for file in files]
    results = []
    for m, mode in enumerate(modes):
        for c, clip in enumerate(clips):
            done = (m * len(clips) + c) / (len(modes) * len(clips))
            step = part(progress, done, done + 1 / (len(modes) * len(clips)))
            step(0.0, f"{clip.path.name}, {mode.replace('_', ' ')}")
            performance = _performed(clip, mode, head, model, fps, step)
            results.append(
                ClipResult(
                    name=clip.path.stem,
                    mode=mode,
                    lip_sync=lip_sync(
                        performance, head, clip.phones, clip.speech.samples, SAMPLE_RATE
                    ),
                    phones_right=phones_right(
                        performance.phones, clip.phones, clip.speech.duration
                    ),
                )
            )
    report = SpeechReport(head.id, model, fps, tuple(results))
    if out is not None:
        report.save(Path(out) / REPORT_NAME)
    report.show()
    return report


def _performed(
    clip: AlignedSpeech, mode: str, head: Head, model: str, fps: float, progress: Progress
) -> Performance:
    if mode == "aligned":
        return perform(clip.phones, clip.speech, head, fps)
    text = clip.transcript if mode == "with_transcript" else None
    return predict(clip.speech, head, fps, text=text, model=model, progress=progress)


def phones_right(used: Sequence[Phone], true: Sequence[Phone], duration: float) -> float:
    """Part of the clip's 10 ms steps in which the sound used is the true one."""
    moments = np.arange(_STEP / 2, duration, _STEP)
    ours, theirs = _at(moments, used, duration), _at(moments, true, duration)
    return float(np.mean([a == b for a, b in zip(ours, theirs, strict=True)]))


def _at(moments: NDArray[np.float64], phones: Sequence[Phone], duration: float) -> list[str]:
    known = tidied(phones, duration)
    ends = np.array([phone.end for phone in known])
    index = np.minimum(np.searchsorted(ends, moments, side="right"), len(known) - 1)
    return [known[i].label for i in index]
