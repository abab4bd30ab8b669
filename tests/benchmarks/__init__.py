# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmarks: ``python -m tests.benchmarks.NAME`` prints figures and asserts nothing."""

from engine.core import runtime

runtime.prepare()  # Before a benchmark imports torch or numba.
