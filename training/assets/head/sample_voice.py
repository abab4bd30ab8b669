# SPDX-License-Identifier: GPL-3.0-or-later
"""Speak the sample voice: ``python -m training.assets.head.sample_voice``.

Needs Debian's package flite (2.2), whose voice rms speaks the sentence.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from engine.core.errors import MissingDependencyError
from engine.core.files import atomic_write, write_text

ASSETS = Path(__file__).resolve().parents[3] / "engine" / "assets"

TEXT = "Lend me your voice, and I will move my mouth, from a soft whisper to a proper boom."
VOICE = "rms"
PACE = 0.94
"""Length of the sounds against the voice's own: a little brisker."""

LICENCE = "CC0-1.0"


def build(folder: Path = ASSETS) -> Path:
    """Speak the sentence into ``folder``.

    Returns:
        The WAV file: 16 kHz, mono, 16 bit; its transcript lies beside it as JSON.

    Raises:
        MissingDependencyError: flite is not installed.
    """
    flite = shutil.which("flite")
    if flite is None:
        raise MissingDependencyError(
            "The speech synthesiser flite is not installed.", "Run 'apt-get install flite'."
        )
    path = folder / "sample_voice.wav"
    with atomic_write(path) as temporary:
        subprocess.run(  # noqa: S603 - a fixed sentence, no shell.
            [
                *(flite, "-voice", VOICE, "--setf", f"duration_stretch={PACE}"),
                *("-t", TEXT, "-o", str(temporary)),
            ],
            check=True,
        )
    about = {
        "text": TEXT,
        "voice": f"flite 2.2, voice {VOICE} (CMU ARCTIC)",
        "command": "python -m training.assets.head.sample_voice",
        "licence": LICENCE,
    }
    write_text(folder / "sample_voice.json", json.dumps(about, indent=2) + "\n")
    return path


if __name__ == "__main__":
    print(build())
