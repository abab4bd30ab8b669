# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path

import pytest
import soundfile

ASSETS = Path(__file__).resolve().parents[3] / "engine" / "assets"


@pytest.fixture(scope="session")
def short_sound(tmp_path_factory):
    """Seven tenths of a second of the sample voice."""
    samples, rate = soundfile.read(ASSETS / "sample_voice.wav")
    path = tmp_path_factory.mktemp("sounds") / "short.wav"
    soundfile.write(path, samples[rate // 2 : rate // 2 + 7 * rate // 10], rate)
    return path
