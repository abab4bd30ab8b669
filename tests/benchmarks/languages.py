# SPDX-License-Identifier: GPL-3.0-or-later
"""Lip sync in other languages than English: printed, never asserted.

    python -m tests.benchmarks.languages [MODEL] [LANGUAGE=AUDIO...]

espeak-ng speaks a text in each language and names every sound and its time. The clips are animated
with their text and without, and measured against those times. Recordings of people, such as
``es=speech.opus`` with ``speech.txt`` beside it, are measured against the sounds that were found.
"""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.audio.loading import SAMPLE_RATE, load_speech, speech_from_samples
from engine.heads import load_head
from engine.motion.model.ids import DEFAULT
from engine.motion.predict import predict
from engine.phonemes import SILENCE
from engine.recognition.ids import PHONES
from training.assets.voices import Voice, speak
from training.metrics.lip_sync import lip_sync

TEXTS = {
    "en": "Bob and Emma bought a new boat. We move slowly past the open sea to Peru.",
    "de": "Die müde Biene summt im blühenden Pfirsichbaum. Möchten Sie Brötchen mit Pflaumenmus?",
    "fr": "Une petite lune bleue monte au bout du pré. Peu de monde a vu le beau bateau de Papa.",
    "es": "El lobo bebe agua bajo un puente. Mi abuela compró un bonito mapa del mundo.",
    "ru": "Маленький мальчик пьёт молоко. Бабушка поёт и машет белым платком.",
    "tr": "Büyük köprüden mavi bir otobüs geçti. Bugün babam bize güzel üzüm getirdi.",
    "zh": "小明和爸爸妈妈坐火车去北京。我们买了八本新书，朋友们都很高兴。",
    "ja": "はは は まいあさ パンを かいます。ぶどうも みかんも たべますが ももが すきです。",
    "hi": "मेरी माँ बाज़ार से फूल और पपीता लाती है। बच्चे बाग़ में खेल रहे हैं।",
}
"""Japanese in kana, for espeak-ng reads no others."""
VOICES = {"en": "en-us", "zh": "cmn"}


def measured(speech, phones, text, language, model):
    head = load_head("default")
    performance = predict(
        speech, head, 25.0, text=text, language=language, recognizer=PHONES, model=model
    )
    found = lip_sync(performance, head, phones or performance.phones)
    width = found.rounding_contrast
    silent = sum(p.end - p.start for p in performance.phones if p.label == SILENCE)
    return (
        f"{found.closed}/{found.bilabials}",
        f"{found.falsely_closed}/{found.open_vowels}",
        f"{found.touching}/{found.labiodentals}",
        "" if width is None else f"{width:.1f}",
        f"{found.lag_ms:+.0f}",
        f"{silent / speech.duration:.0%}",
        " ".join(performance.warnings),
    )


def main(arguments):
    recordings = [argument for argument in arguments if "=" in argument]
    model = next((argument for argument in arguments if "=" not in argument), DEFAULT)
    table = Table(title=f"Lip sync by language ({model}, 25 frames per second)")
    columns = ("clip", "s", "known", "p b m closed", "open vowels shut", "f v on teeth")
    for column in (*columns, "rounding mm", "lag ms", "silence", "warnings"):
        table.add_column(column)
    for language, text in TEXTS.items():
        voice = Voice("espeak-ng", f"{VOICES.get(language, language)}+f3", 50.0)
        said = speak(voice, text)
        speech = speech_from_samples(said.samples, SAMPLE_RATE)
        for known in (text, None):
            row = measured(speech, said.phones, known, language, model)
            table.add_row(language, f"{speech.duration:.1f}", "text" if known else "sound", *row)
    for recording in recordings:
        language, _, path = recording.partition("=")
        beside = Path(path).with_suffix(".txt")
        text = beside.read_text(encoding="utf-8") if beside.is_file() else None
        speech = load_speech(path)
        row = measured(speech, None, text, language, model)
        table.add_row(recording, f"{speech.duration:.1f}", "text" if text else "sound", *row)
    Console(width=160).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
