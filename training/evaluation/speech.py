# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate speech``: lip sync on recordings with known sounds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from engine.audio.loading import SAMPLE_RATE, speech_from_samples
from engine.core.errors import BadInputError
from engine.core.files import atomic_write, write_text
from engine.core.progress import Progress, no_progress, subprogress
from engine.heads.head import Head
from engine.heads.retarget import with_arkit_expressions
from engine.motion.model.ids import DEFAULT as DEFAULT_MODEL
from engine.motion.model.ids import MODEL_SUFFIX, MODELS, RULES
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.recognition.ids import DEFAULT
from engine.recognition.language import ENGLISH
from engine.recognition.recognizer import RecognizedSpeech, recognize
from training.data.speech import AlignedSpeech, find_speech, load_aligned_speech
from training.evaluation.before_contact import motion_before_contact
from training.evaluation.report.speech import (
    ALIGNED,
    SOUND_ALONE,
    WITH_TRANSCRIPT,
    ClipResult,
    SpeechReport,
)
from training.metrics.film import film_agreement, mouth_curve
from training.metrics.lip_sync import lip_sync
from training.metrics.mouth import lip_vertices
from training.metrics.phone_means import SpokenClip, phone_means
from training.metrics.recognition import Recognition, recognition
from training.metrics.vertex import (
    VertexErrors,
    first_frames,
    paired_chunks,
    upper_face,
    vertex_errors,
)

if TYPE_CHECKING:
    from training.metrics.sync_error import SyncError
    from training.metrics.syncnet import SyncNet

REPORT_NAME = "report.json"
PAGE_NAME = "report.html"
SHEET_NAME = "faces.png"
_WARM_UP = 1
"""Seconds of sound before the clock runs."""
_RECOGNIZED, _SPOKEN, _SEEN = 0.6, 0.7, 0.9

Performances = Mapping[str, Mapping[str, Sequence[Performance]]]
"""Of all clips, by mode and model."""


@dataclass(frozen=True)
class Wanted:
    """What to evaluate, and how.

    Attributes:
        model: id of the speech model.
        fps: frames per second.
        with_text: only with the transcript, only without it, or both for ``None``.
        truth: folder of captured motion, ``<clip>.performance.npz`` or ``<clip>.motion.npz``;
            without it there are no vertex errors.
        syncnet: file of SyncNet; without it there are no LSE-D and LSE-C.
        recognizer: what recognises the sound alone, as for
            :func:`engine.recognition.recognizer.recognize`.
        avatar: ``"default"`` or an avatar file for the pictures; ``None`` takes the default one
            where it fits, and the mesh elsewhere.
    """

    model: str = DEFAULT_MODEL
    fps: float = 25.0
    with_text: bool | None = None
    truth: Path | None = None
    syncnet: Path | None = None
    avatar: str | None = None
    recognizer: str = DEFAULT

    @property
    def modes(self) -> tuple[str, ...]:
        """Keys of :data:`training.evaluation.report.speech.MODES`."""
        without = (SOUND_ALONE,) if self.with_text in (None, False) else ()
        given = (WITH_TRANSCRIPT,) if self.with_text in (None, True) else ()
        return (ALIGNED, *without, *given)

    @property
    def models(self) -> tuple[str, ...]:
        """The model, and the rules to compare it with."""
        return tuple(dict.fromkeys((self.model, RULES)))


def evaluate(
    paths: Iterable[str | Path],
    out: str | Path | None,
    head: Head,
    wanted: Wanted | None = None,
    progress: Progress = no_progress,
) -> SpeechReport:
    """Measure lip sync on audio files with alignments and print a table.

    The true sounds always drive a run of their own, so that what recognition loses and what
    articulation loses are separate. Any other model is measured beside the rules.

    Args:
        paths: audio files with a TextGrid, ``<stem>.phones.json`` or ``<stem>.mouth.json`` beside
            them, or folders of such.
        out: folder for ``report.json``, ``report.html`` and ``faces.png``, which appear together at
            the end; ``None`` writes none.
        head: who speaks.
        wanted: the default model by default.
        progress: called with the share done.

    Raises:
        BadInputError: a file is missing or unusable, the model is unknown, or the head cannot be
            measured.
    """
    wanted = wanted or Wanted()
    if wanted.model not in MODELS and not wanted.model.endswith(MODEL_SUFFIX):
        raise BadInputError(
            f"There is no speech model {wanted.model!r}.",
            f"Choose from: {', '.join(MODELS)}, or give the {MODEL_SUFFIX} file of a trained one.",
        )
    network = _syncnet(wanted.syncnet)
    if wanted.model in MODELS:
        head = with_arkit_expressions(head)
    clips = [load_aligned_speech(file) for file in find_speech(paths)]
    truths = [_truth(wanted, clip, head) for clip in clips]
    _warm_up(clips[0], wanted, head)
    clock = _Clock()
    sounds = _recognize_all(clips, wanted, clock, subprogress(progress, 0.0, _RECOGNIZED))
    made = _spoken(clips, sounds, wanted, head, clock, subprogress(progress, _RECOGNIZED, _SPOKEN))
    errors = _sync_errors(
        clips, sounds, wanted, head, network, subprogress(progress, _SPOKEN, _SEEN)
    )
    results, curves = [], []
    for mode, by_model in made.items():
        for model, performances in by_model.items():
            for index, (clip, performance) in enumerate(zip(clips, performances, strict=True)):
                truth, curve = truths[index], mouth_curve(performance, head)
                film = None if clip.film is None else film_agreement(curve, clip.film)
                if (mode, model) == (ALIGNED, wanted.model):
                    late = 0.0 if film is None else film.opening.lag_ms / 1000.0
                    curves.append(SpokenClip(curve, clip.phones, clip.film, late))
                results.append(
                    ClipResult(
                        name=clip.path.stem,
                        mode=mode,
                        model=model,
                        lip_sync=lip_sync(performance, head, clip.phones, clip.words),
                        closed_before_contact=_closed_before_contact(
                            clip, sounds[mode][index], head, wanted.fps, model
                        ),
                        recognition=_recognition(sounds[mode][index], clip, mode),
                        seconds_per_second=clock.total(mode, model, index) / clip.speech.duration,
                        vertices=None if truth is None else _errors(performance, truth, head),
                        sync_error=errors.get((mode, model, index)),
                        film=film,
                    )
                )
    report = SpeechReport(head.id, wanted.model, wanted.fps, tuple(results), phone_means(curves))
    if out is not None:
        _write(Path(out), report, clips, made, head, wanted, subprogress(progress, _SEEN, 1.0))
    report.show()
    return report


class _Clock:
    """How long each part of the work took, in seconds."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[str, str, int], float] = {}

    @contextmanager
    def measured(self, mode: str, model: str, index: int) -> Iterator[None]:
        """Measure what is done inside; ``model`` is empty for recognition."""
        started = time.perf_counter()
        yield
        self._seconds[mode, model, index] = time.perf_counter() - started

    def total(self, mode: str, model: str, index: int) -> float:
        """Recognition, where the mode has one, and motion."""
        return self._seconds.get((mode, "", index), 0.0) + self._seconds[mode, model, index]


def _warm_up(clip: AlignedSpeech, wanted: Wanted, head: Head) -> None:
    """Read the models and compile the kernels, so that the first clip's time is no other's."""
    start = speech_from_samples(clip.speech.samples[: _WARM_UP * SAMPLE_RATE], SAMPLE_RATE)
    known = recognize(start, recognizer=wanted.recognizer)
    if WITH_TRANSCRIPT in wanted.modes:
        recognize(start, clip.transcript)
    for model in wanted.models:
        predict(start, head, wanted.fps, recognized=known, model=model)


def _recognize_all(
    clips: Sequence[AlignedSpeech], wanted: Wanted, clock: _Clock, progress: Progress
) -> dict[str, list[RecognizedSpeech]]:
    """What is recognised of each clip in each mode."""
    texts: dict[str, Sequence[str | None]] = {
        SOUND_ALONE: [None] * len(clips),
        WITH_TRANSCRIPT: [clip.transcript for clip in clips],
    }
    used = [mode for mode in wanted.modes if mode in texts]
    recognized: dict[str, list[RecognizedSpeech]] = {mode: [] for mode in used}
    for number, mode in enumerate(used):
        for index, clip in enumerate(clips):
            done = number * len(clips) + index
            part = len(used) * len(clips)
            step = subprogress(progress, done / part, (done + 1) / part)
            step(0.0, f"Recognising {clip.path.name}")
            with clock.measured(mode, "", index):
                recognized[mode].append(
                    recognize(clip.speech, texts[mode][index], step, recognizer=wanted.recognizer)
                )
    recognized[ALIGNED] = [
        replace(sounds, phones=clip.phones, words=clip.words, warnings=clip.speech.warnings)
        for sounds, clip in zip(recognized[used[0]], clips, strict=True)
    ]
    return {mode: recognized[mode] for mode in wanted.modes}


def _spoken(
    clips: Sequence[AlignedSpeech],
    recognized: Mapping[str, Sequence[RecognizedSpeech]],
    wanted: Wanted,
    head: Head,
    clock: _Clock,
    progress: Progress,
) -> Performances:
    made: dict[str, dict[str, list[Performance]]] = {}
    for done, (mode, sounds) in enumerate(recognized.items()):
        progress(done / len(recognized), "Articulating")
        made[mode] = {model: [] for model in wanted.models}
        for model, performances in made[mode].items():
            for index, (clip, known) in enumerate(zip(clips, sounds, strict=True)):
                with clock.measured(mode, model, index):
                    performances.append(
                        predict(clip.speech, head, wanted.fps, recognized=known, model=model)
                    )
    return made


def _recognition(recognized: RecognizedSpeech, clip: AlignedSpeech, mode: str) -> Recognition:
    by_words = mode == SOUND_ALONE and (recognized.words or recognized.language)
    return recognition(
        recognized.phones,
        recognized.words if by_words else None,
        clip.phones,
        clip.words,
        clip.speech.duration,
        recognized.language or ENGLISH,
    )


def _closed_before_contact(
    clip: AlignedSpeech, recognized: RecognizedSpeech, head: Head, fps: float, model: str
) -> int | None:
    """How many p, b and m a learned model closes by itself; ``None`` for the rules."""
    motion = motion_before_contact(clip.speech, head, fps, recognized, model)
    return None if motion is None else lip_sync(motion, head, clip.phones, clip.words).closed


def _truth(wanted: Wanted, clip: AlignedSpeech, head: Head) -> Performance | None:
    """The captured motion of a clip, where there is a folder of it."""
    if wanted.truth is None:
        return None
    from training.data.captured_motion import CapturedHead
    from training.data.recorded_motion import read_motion
    from training.data.recordings import Recording, motion_file

    name = clip.path.stem
    recording = Recording(name, clip.path, motion_file(wanted.truth, name))
    motion = read_motion(recording, CapturedHead.of(head), clip.speech)
    expression = np.zeros((len(motion.weights), 0), np.float32)
    truth = Performance(motion.fps, motion.weights, motion.basis, expression, (), head.id)
    if truth.fps != wanted.fps:
        raise BadInputError(
            f"The captured motion of {clip.path.stem} has {truth.fps:g} frames per second, the "
            f"evaluation {wanted.fps:g}.",
            f"Evaluate with --fps {truth.fps:g}.",
        )
    return truth


def _errors(performance: Performance, truth: Performance, head: Head) -> VertexErrors:
    # A capture may be a frame shorter or longer than its sound.
    frames = min(performance.frames, truth.frames)
    pairs = paired_chunks(first_frames(performance, frames), first_frames(truth, frames))
    return vertex_errors(pairs, lip_vertices(head), upper_face(head))


def _syncnet(path: Path | None) -> SyncNet | None:
    """The network, before anything costly is done."""
    if path is None:
        return None
    from training.metrics.syncnet import load_syncnet

    return load_syncnet(path)


def _sync_errors(
    clips: Sequence[AlignedSpeech],
    recognized: Mapping[str, Sequence[RecognizedSpeech]],
    wanted: Wanted,
    head: Head,
    network: SyncNet | None,
    progress: Progress,
) -> dict[tuple[str, str, int], SyncError]:
    """LSE-D and LSE-C by mode, model and clip; empty without the network."""
    if network is None:
        return {}
    jobs = [
        (mode, model, index)
        for mode in recognized
        for model in wanted.models
        for index in range(len(clips))
    ]
    found = {}
    for done, (mode, model, index) in enumerate(jobs):
        step = subprogress(progress, done / len(jobs), (done + 1) / len(jobs))
        found[mode, model, index] = _seen(
            clips[index], recognized[mode][index], model, network, wanted.avatar, head, step
        )
    return found


def _seen(
    clip: AlignedSpeech,
    sounds: RecognizedSpeech,
    model: str,
    network: SyncNet,
    avatar: str | None,
    head: Head,
    progress: Progress,
) -> SyncError:
    from training.evaluation.report.speech_frames import FacePictures
    from training.metrics.syncnet import FPS, SIZE, measure

    performance = predict(clip.speech, head, FPS, recognized=sounds, model=model)
    frames = FacePictures(head, avatar).render_video(performance, SIZE, progress)
    return measure(network, frames, clip.speech.samples)


def _write(
    out: Path,
    report: SpeechReport,
    clips: Sequence[AlignedSpeech],
    made: Performances,
    head: Head,
    wanted: Wanted,
    progress: Progress,
) -> None:
    from training.evaluation.report.speech_frames import FacePictures
    from training.evaluation.report.speech_page import contact_sheet, shown_mode, speech_page

    pictures = FacePictures(head, wanted.avatar)
    sheet = contact_sheet(clips, made[shown_mode(made)], pictures, report.model, progress)
    html = speech_page(report, clips, made, head, sheet)
    out.mkdir(parents=True, exist_ok=True)
    with atomic_write(out / SHEET_NAME) as temporary:
        sheet.save(temporary, "PNG")
    write_text(out / PAGE_NAME, html)
    report.save(out / REPORT_NAME)
