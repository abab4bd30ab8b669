# SPDX-License-Identifier: GPL-3.0-or-later
"""Open speech synthesisers: text in, samples and timed phones out.

flite and festival are external programs, espeak-ng is a library (:mod:`training.assets.espeak`).
All give the time of each phone.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engine.audio.loading import SAMPLE_RATE, load_speech
from engine.core.errors import BadInputError, MissingDependencyError
from engine.ipa import ipa_labels
from engine.phonemes import ENGLISH, SILENCE, Phone, normalize_segments
from training.assets.espeak import speak_ipa
from training.assets.languages import SENTENCES

_LIMIT = 60.0
"""Seconds after which a synthesiser counts as stuck."""

_RADIO = {"AX": "AH", "AXR": "ER", "DX": "T", "NX": "N", "EM": "M", "EN": "N", "EL": "L"}
_PAUSES = {"PAU", "BRTH", "H#", "SSIL", "SIL"}


@dataclass(frozen=True)
class Voice:
    """A voice of an installed synthesiser.

    Attributes:
        program: ``flite``, ``festival`` or ``espeak-ng``.
        name: the voice as the program calls it.
        pitch: usual pitch in Hz (espeak-ng's own scale for that program), about which speakers are
            varied; 0 where it cannot be set.
    """

    program: str
    name: str
    pitch: float

    @property
    def language(self) -> str:
        """Of the voice, as espeak-ng names it; ``"en"`` for English of any country."""
        if self.program != "espeak-ng":
            return "en"
        language = self.name.split("+")[0]
        return "en" if language == "en-us" else language


@dataclass(frozen=True, eq=False)
class Utterance:
    """A spoken sentence.

    Attributes:
        samples: (N,) float32 at 16 kHz.
        phones: contiguous ARPAbet phones with times, from 0 to the end.
        text: what is said.
    """

    samples: NDArray[np.float32]
    phones: tuple[Phone, ...]
    text: str


VOICES: tuple[Voice, ...] = (
    Voice("flite", "slt", 180.0),
    Voice("flite", "rms", 105.0),
    Voice("flite", "awb", 125.0),
    Voice("flite", "kal16", 100.0),
    Voice("festival", "cmu_us_slt_arctic_hts", 0.0),
    Voice("festival", "kal_diphone", 0.0),
    Voice("festival", "ked_diphone", 0.0),
    Voice("espeak-ng", "en-us", 50.0),
    Voice("espeak-ng", "en-us+f2", 50.0),
    Voice("espeak-ng", "en-us+m3", 50.0),
    Voice("espeak-ng", "en+f4", 50.0),
    Voice("espeak-ng", "en+m7", 50.0),
    *(
        Voice("espeak-ng", language + "+" + variant, 50.0)
        for language, variant in zip(SENTENCES, itertools.cycle(("f3", "m1", "f5", "m8")))
    ),
)
"""Voices that are used where their program is installed."""


def installed(programs: tuple[str, ...] = ("flite", "festival", "espeak-ng")) -> tuple[Voice, ...]:
    """The voices of the programs that are on this machine.

    Raises:
        MissingDependencyError: none of the programs is installed.
    """
    found = tuple(
        v
        for v in VOICES
        if v.program in programs and (v.program == "espeak-ng" or shutil.which(v.program))
    )
    if not found:
        raise MissingDependencyError(
            f"None of the speech synthesisers {', '.join(programs)} is installed.",
            "Install one, for example with 'apt-get install flite espeak-ng festival'.",
        )
    return found


def speak(voice: Voice, text: str, stretch: float = 1.0, raised: float = 1.0) -> Utterance | None:
    """Let a voice say a text.

    Args:
        voice: who speaks.
        text: what to say.
        stretch: factor of the duration; above 1 is slower.
        raised: factor of the voice's pitch.

    Returns:
        The utterance, or ``None`` when the voice is not installed in its program, or when no times
        could be found for the sounds.

    Raises:
        MissingDependencyError: the program is not installed.
    """
    if voice.program == "espeak-ng":
        return _espeak(voice, text, stretch, raised)
    with tempfile.TemporaryDirectory() as folder:
        wave = Path(folder) / "said.wav"
        run = {"flite": _flite, "festival": _festival}[voice.program]
        try:
            phones = run(voice, text, stretch, raised, wave)
            speech = load_speech(wave)
        except (subprocess.SubprocessError, BadInputError):
            return None
    return Utterance(speech.samples, normalize_segments(phones, speech.duration), text)


def _run(program: str, *arguments: str) -> str:
    path = shutil.which(program)
    if path is None:
        raise MissingDependencyError(
            f"The speech synthesiser {program} is not installed.",
            f"Install it, for example with 'apt-get install {program}'.",
        )
    done = subprocess.run(  # noqa: S603 - the arguments are ours; no shell is involved.
        [path, *arguments], check=True, capture_output=True, text=True, timeout=_LIMIT
    )
    return done.stdout


def _flite(voice: Voice, text: str, stretch: float, raised: float, wave: Path) -> list[Phone]:
    said = _run(
        *("flite", "-voice", voice.name, "-psdur"),
        *("--setf", f"duration_stretch={stretch:.3f}"),
        *("--setf", f"int_f0_target_mean={voice.pitch * raised:.1f}"),
        *("-t", text, "-o", str(wave)),
    )
    ends = [entry.rsplit(":", 1) for entry in said.split()]
    return _timed([(label, float(end)) for label, end in ends])


def _festival(voice: Voice, text: str, stretch: float, _raised: float, wave: Path) -> list[Phone]:
    segments = wave.with_suffix(".segs")
    script = wave.with_suffix(".scm")
    quoted = text.replace("\\", " ").replace('"', " ")
    script.write_text(
        f"(voice_{voice.name})\n(Parameter.set 'Duration_Stretch {stretch:.3f})\n"
        f'(set! said (SynthText "{quoted}"))\n'
        f'(utt.save.segs said "{segments}")\n(utt.save.wave said "{wave}" \'riff)\n',
        encoding="utf-8",
    )
    _run("festival", "-b", str(script))
    if not segments.is_file():
        raise BadInputError(f"festival made nothing of {text!r}.")
    rows = segments.read_text(encoding="utf-8").split("#\n", 1)[1].splitlines()
    cells = [row.split() for row in rows if row.strip()]
    return _timed([(label, float(end)) for end, _, label in cells])


def _espeak(voice: Voice, text: str, stretch: float, raised: float) -> Utterance | None:
    speed = int(np.clip(165 / stretch, 90, 260))
    pitch = int(np.clip(voice.pitch * raised, 10, 95))
    samples, segments = speak_ipa(voice.name, text, speed, pitch)
    if not len(samples):
        return None
    phones: list[Phone] = []
    for ipa, start, end in segments:
        labels = ipa_labels(ipa) or (SILENCE,)
        step = (end - start) / len(labels)
        phones += [
            Phone(label, start + i * step, start + (i + 1) * step) for i, label in enumerate(labels)
        ]
    return Utterance(samples, normalize_segments(phones, len(samples) / SAMPLE_RATE), text)


def _timed(ends: list[tuple[str, float]]) -> list[Phone]:
    phones: list[Phone] = []
    start = 0.0
    for label, end in ends:
        phones.append(Phone(_arpabet(label), start, end))
        start = end
    return phones


def _arpabet(label: str) -> str:
    """The radio phone set of flite and festival in ARPAbet.

    Raises:
        BadInputError: a label that neither knows.
    """
    plain = label.upper().rstrip("012")
    plain = _RADIO.get(plain, plain)
    if plain in _PAUSES:
        return SILENCE
    if plain not in ENGLISH:
        raise BadInputError(f"The synthesiser named an unknown sound {label!r}.")
    return plain
