# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech, recognition, retargeting and export."""

from __future__ import annotations

import json
from functools import partial
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

import numpy as np

from engine.audio.loading import SAMPLE_RATE, Speech, load_speech, speech_from_samples
from engine.core.arrays import Float
from engine.heads import load_head
from engine.motion.model.ids import RULES
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.recognition.recognizer import recognize
from training.bench.figures import Part, seconds

_FPS = 25.0
_PER = "s per s of speech"
_PHONES = "decoding the phones alone"


def sample() -> tuple[Speech, str]:
    """The sample voice, and what it says."""
    about = json.loads((files("engine.assets") / "sample_voice.json").read_text("utf-8"))
    with as_file(files("engine.assets") / "sample_voice.wav") as path:
        return load_speech(path), about["text"]


def speech(part: Part) -> None:
    """From sound to motion."""
    said, text = sample()
    head = load_head("default")
    runs = 2 if part.quick else 5

    def phones() -> object:
        return recognize(said, recognizer="phones")

    known = recognize(said, text)
    works = {
        "whole": ("animate, what is said recognised", lambda: predict(said, head, _FPS)),
        "text": ("animate, with the text", lambda: predict(said, head, _FPS, text=text)),
        "rules": (
            "motion by the rules",
            lambda: predict(said, head, _FPS, recognized=known, model=RULES),
        ),
        "starter": (
            "motion by the learned model",
            lambda: predict(said, head, _FPS, recognized=known, model="starter"),
        ),
    }
    options: dict[str, Any] = {"unit": _PER, "per": said.duration, "runs": runs}
    for name, (what, spoken) in works.items():
        part.compare(f"speech.{name}", what, spoken, _PHONES, phones, **options)
    points = {}
    for times in (1, 2, 4) if part.quick else (1, 2, 4, 8, 16):
        longer = speech_from_samples(np.tile(said.samples, times), SAMPLE_RATE)
        work = partial(predict, longer, head, _FPS, recognizer="phones")
        points[round(longer.duration, 1)] = seconds(work, 1)
    labels = ("seconds of speech", "seconds")
    part.grow("speech.length", "Time by length of speech", labels, points)


def recognition(part: Part) -> None:
    """Phones and words."""
    said, text = sample()
    runs = 2 if part.quick else 5
    options: dict[str, Any] = {"unit": _PER, "per": said.duration, "runs": runs}
    part.compare(
        *("recognition.phones", "phones without words"),
        lambda: recognize(said, recognizer="phones"),
        *("PocketSphinx's own phone search", _pocketsphinx(said)),
        **options,
    )
    part.compare(
        *("recognition.text", "a text's phones and words, aligned"),
        lambda: recognize(said, text),
        *("PocketSphinx's own phone search", _pocketsphinx(said)),
        **options,
    )
    if (whisper := _whisper(said)) is not None:
        part.compare(
            *("recognition.words", "words written down, and aligned"),
            lambda: recognize(said),
            *("faster-whisper alone, the same model", whisper),
            **options,
        )


def _pocketsphinx(said: Speech) -> Any:
    """PocketSphinx's ``allphone`` search with the phone language model of its wheel."""
    from pocketsphinx import Decoder, get_model_path

    model = str(Path(get_model_path("en-us")) / "en-us-phone.lm.bin")
    decoder = Decoder(allphone=model, lw=2.0, beam=1e-20, pbeam=1e-20, loglevel="FATAL")
    sound = (said.samples * 32767).astype("<i2").tobytes()

    def search() -> object:
        decoder.start_utt()
        decoder.process_raw(sound, full_utt=True)
        decoder.end_utt()
        return decoder.hyp()

    return search


def _whisper(said: Speech) -> Any:
    """faster-whisper as its documentation has it; ``None`` where no model is installed."""
    from engine.recognition.whisper_models import choose_model

    folder = choose_model("auto", "en").folder
    if folder is None:
        return None
    from faster_whisper import WhisperModel

    model = WhisperModel(str(folder), device="cpu", compute_type="int8")
    return lambda: [segment.text for segment in model.transcribe(said.samples)[0]]


def _performance() -> Performance:
    said, _ = sample()
    return predict(said, load_head("default"), _FPS, recognizer="phones")


def retargeting(part: Part) -> None:
    """A performance on another head."""
    from engine.motion.retargeting import retarget

    source, target = load_head("default"), load_head("default#7")
    performance = _performance()
    part.compare(
        *("retarget.person", "retarget to another person of the default head"),
        lambda: retarget(performance, source, target),
        *("all its vertices by numpy's product", performance.offsets),
        unit="ms per frame",
        per=performance.frames,
        runs=2 if part.quick else 5,
    )


def export(part: Part) -> None:
    """Files of other programs."""
    from engine.characters.head_gltf import write_head
    from engine.motion.interchange.curve_files import write_curves
    from engine.motion.interchange.face_curves import curves_of

    performance, head = _performance(), load_head("default")
    curves = curves_of(performance)

    def reference() -> None:
        arrays: dict[str, Float] = {"weights": performance.weights, "basis": performance.basis}
        np.savez_compressed(part.folder / "reference.npz", **arrays)

    works = {
        "performance": lambda: performance.save(part.folder / "a.performance.npz"),
        "glb": lambda: write_head(performance, head, part.folder / "a.glb"),
        "csv": lambda: write_curves(curves, part.folder / "a.csv"),
    }
    for name, work in works.items():
        part.compare(
            *(f"export.{name}", f"export {name}", work),
            *("numpy.savez_compressed of weights and basis", reference),
            unit="ms per frame",
            per=performance.frames,
            runs=2 if part.quick else 5,
        )
