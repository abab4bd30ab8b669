# SPDX-License-Identifier: GPL-3.0-or-later
"""Benchmarks of the whole product, each beside a named reference in the same run.

A machine's figures say little by themselves: it may be slow, or busy. Their ratios to references
that ran in turn with them hold; those are what runs are compared by.
"""

from __future__ import annotations

from training.bench.figures import Curve, Figure, Part
from training.bench.parts import PARTS, Result, run_parts

__all__ = ["PARTS", "Curve", "Figure", "Part", "Result", "run_parts"]
