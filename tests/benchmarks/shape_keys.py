# SPDX-License-Identifier: GPL-3.0-or-later
"""Seconds to fit shape keys on the default head: ``python -m tests.benchmarks.shape_keys``.

Two kinds of performance: the head's own expressions (as the rules make them), and a basis of 64
components that the expressions meet only in part (as a learned vertex mapper makes them). The
first fit of a process also compiles; it is done on a short clip beforehand and printed apart.
"""

import argparse
import resource
import sys
import time

import numpy as np
from scipy.ndimage import gaussian_filter1d

from engine.heads.default import load_default_head
from engine.motion.performance import Performance
from engine.motion.shape_keys import fit_shape_keys

COMPONENTS = 64


def speech_like(random, frames, count, fps):
    """Curves from 0 to 1 with the energy of speech, up to some 8 Hz; most keys rest near 0."""
    noise = random.standard_normal((frames, count)).astype(np.float32)
    smooth = gaussian_filter1d(noise, fps / 25, axis=0)
    return np.clip(0.25 * smooth / smooth.std(), 0, 1)


def own(head, random, frames, fps):
    weights = speech_like(random, frames, len(head.expression_names), fps)
    return performance(head, weights, head.expression_basis, fps)


def learned(head, random, frames, fps):
    """The expressions' motion in a rotated basis, and small waves that no expression has."""
    expressions = head.expression_basis
    E = len(expressions)
    rotation, _ = np.linalg.qr(random.standard_normal((E, E)))
    turned = np.einsum("ke,evd->kvd", rotation, expressions)
    moving = np.linalg.norm(expressions, axis=2).max(0)
    waves = random.standard_normal((COMPONENTS - E, 3, 3)) * 40
    phase = random.uniform(0, 2 * np.pi, (COMPONENTS - E, 1, 3))
    ripple = np.sin(np.einsum("kcd,vd->kvc", waves, head.template) + phase)
    ripple *= 0.1 * moving[None, :, None]
    weights = speech_like(random, frames, COMPONENTS, fps)
    weights[:, :E] = weights[:, :E] @ rotation.T
    return performance(head, weights, np.concatenate([turned, ripple]), fps)


def performance(head, weights, basis, fps):
    return Performance(
        fps=fps,
        weights=np.asarray(weights, np.float32),
        basis=np.asarray(basis, np.float32),
        expression=np.zeros((len(weights), 0), np.float32),
        expression_names=(),
        head=head.id,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="*", default=[1500, 90000])
    parser.add_argument("--fps", type=float, default=25.0)
    parser.add_argument("--tolerance-mm", type=float, default=0.1)
    options = parser.parse_args()
    head, random = load_default_head(), np.random.default_rng(0)
    start = time.perf_counter()
    fit_shape_keys(learned(head, random, 50, options.fps), head)
    print(f"compiling or reading the cache: {time.perf_counter() - start:.2f} s")
    print("performance   frames  seconds  correctives  max error mm  peak MB of the process")
    for frames in options.frames:
        for make in (own, learned):
            clip = make(head, random, frames, options.fps)
            start = time.perf_counter()
            fit = fit_shape_keys(clip, head, tolerance_mm=options.tolerance_mm)
            seconds = time.perf_counter() - start
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            peak /= 1 << (20 if sys.platform == "darwin" else 10)
            print(
                f"{make.__name__:11} {frames:8} {seconds:8.2f} {len(fit.corrective_deltas):12} "
                f"{fit.max_error_mm:13.4f} {peak:23.0f}"
            )


if __name__ == "__main__":
    main()
