# SPDX-License-Identifier: GPL-3.0-or-later
"""Lip sync of live frames beside that of whole clips: printed, never asserted.

    python -m tests.benchmarks.live_lips PATH... [--fps 60]

PATH: audio files with alignments, or folders of them, as ``gaussianspeech evaluate speech`` takes
them. Phones alone are recognised, live and, for the whole clip, with all of it before the search.
"""

from __future__ import annotations

import argparse

import numpy as np

from engine.audio.loading import SAMPLE_RATE
from engine.core.runtime import prepare
from engine.heads import load_head
from engine.live.speech import LiveSpeech
from engine.motion.model.ids import MODELS
from engine.motion.performance import Performance
from engine.motion.predict import predict
from training.data.speech import find_speech, load_aligned_speech
from training.metrics.lip_sync import combined, lip_sync


def live(speech, head, fps, model):
    """What a live session makes of a sound."""
    with LiveSpeech(head, fps, model=model) as session:
        starts = range(0, len(speech.samples), SAMPLE_RATE // 100)
        made = [session.push(speech.samples[at : at + SAMPLE_RATE // 100]) for at in starts]
        weights = np.concatenate([*made, session.finish()])
    names = head.expression_names
    return Performance(fps, weights, head.expression_basis, weights, names, head.id)


def whole(speech, head, fps, model):
    """The same of the whole clip."""
    return predict(speech, head, fps, model=model, recognizer="phones")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--fps", type=float, default=60.0)
    chosen = parser.parse_args()
    prepare()
    head = load_head("default")
    clips = [load_aligned_speech(file) for file in find_speech(chosen.paths)]
    print(f"{'':<16}{'p b m':>8}{'shut':>8}{'f v':>8}{'rounding':>10}{'lag':>7}{'jitter':>8}")
    for model in MODELS:
        for name, speak in (("whole", whole), ("live", live)):
            made = ((clip, speak(clip.speech, head, chosen.fps, model)) for clip in clips)
            found = combined(
                [lip_sync(motion, head, clip.phones, clip.words) for clip, motion in made]
            )
            counts = (
                f"{part}/{of}"
                for part, of in (
                    (found.closed, found.bilabials),
                    (found.falsely_closed, found.open_vowels),
                    (found.touching, found.labiodentals),
                )
            )
            print(
                f"{name + ', ' + model:<16}{''.join(f'{count:>8}' for count in counts)}"
                f"{found.rounding_contrast:>10.1f}{found.lag_ms:>7.0f}{found.jitter:>8.3f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
