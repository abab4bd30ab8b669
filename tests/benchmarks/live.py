"""How late live frames are: ``python -m tests.benchmarks.live``; asserts nothing.

A voice is spoken at the pace of a microphone. For every frame the time is taken from the end of the
10 ms block that holds the sound of the frame's own time to the frame's arrival at a sender. That is
what the look-ahead, the hop, the computing and the even spacing of frames make together; a
microphone's own buffer (5 to 20 ms) comes on top. Beside it stand seconds of processor time per
second of speech.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np

from engine.core.runtime import prepare


class Timed:
    """A source that notes when the sound of each time was given, and a sender that notes frames."""

    paced = True

    def __init__(self, samples, rate: float) -> None:
        self.rate, self._samples = rate, samples
        self.spoken: list[float] = []
        self.sent: list[tuple[float, float]] = []

    def blocks(self) -> Iterator:
        size, first = round(self.rate / 100), 0
        started = time.perf_counter()
        while first < len(self._samples):
            time.sleep(max(0.0, started + (first + size) / self.rate - time.perf_counter()))
            # As a microphone: what came while the last step took its time comes at once.
            count = int((time.perf_counter() - started) * self.rate - first) // size
            block = self._samples[first : first + max(count, 1) * size]
            for number in range(first // size + 1, (first + len(block)) // size + 1):
                self.spoken.append(started + number / 100)
            yield block
            first += len(block)

    def send(self, _frame: int, seconds: float, _weights) -> None:
        self.sent.append((seconds, time.perf_counter()))

    def close(self) -> None:
        pass

    def delays(self):
        """Milliseconds of the frames that were sent before the sound had ended."""
        end = self.spoken[-1]
        found = [
            1000 * (at - self.spoken[int(seconds * 100)])
            for seconds, at in self.sent
            if at <= end and seconds > 1.0
        ]
        return np.array(found)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--voice", type=Path, help="a sound file; the sample voice by default")
    parser.add_argument("--fps", type=float, default=60.0)
    parser.add_argument("--rates", type=int, nargs="+", default=[16_000, 48_000])
    options = parser.parse_args()
    prepare()
    import soxr

    from engine.audio.loading import SAMPLE_RATE, load_speech
    from engine.heads import load_head
    from engine.live.session import run
    from engine.live.speech import LiveSpeech

    head = load_head("default")
    with as_file(files("engine.assets") / "sample_voice.wav") as sample:
        voice = load_speech(options.voice or sample).samples
    print(f"{'model':<10}{'rate':>8}{'median':>10}{'95 %':>8}{'99 %':>8}{'worst':>8}   s per s")
    for model in ("rules", "starter"):
        for rate in options.rates:
            timed = Timed(soxr.resample(voice, SAMPLE_RATE, rate), float(rate))
            live = LiveSpeech(head, options.fps, rate=rate, model=model)
            live.push(np.zeros(rate // 2, np.float32))  # Kernels and pools start.
            live = LiveSpeech(head, options.fps, rate=rate, model=model, catch_up=True)
            busy = time.process_time()
            run(live, timed, [timed])
            busy = time.process_time() - busy
            ms = np.percentile(timed.delays(), (50, 95, 99, 100))
            figures = "".join(f"{value:>8.0f}" for value in ms[1:])
            cost = busy / (len(voice) / SAMPLE_RATE)
            print(f"{model:<10}{rate:>8}{ms[0]:>8.0f}ms{figures}   {cost:.2f}")


if __name__ == "__main__":
    main()
