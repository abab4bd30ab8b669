# SPDX-License-Identifier: GPL-3.0-or-later
"""What is fuzzed: a parser, makers of valid inputs, how they are damaged, and its bounds."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.damage import damage

Mutation = Callable[[bytes, random.Random], bytes]


@dataclass(frozen=True)
class Harness:
    """One parser.

    Attributes:
        name: of the harness.
        file: name of the file that the parser reads.
        make: writes valid files into a folder, any number of them.
        parse: reads a file and uses what came of it; asserts what must hold of it.
        mutate: damage to a valid file, the same for the same random numbers.
        memory: MB that parsing may take beside four times the file.
        seconds: of processor time that an input may take.
        cost: how much longer than a usual one an input takes; a run has fewer by that.
        errors: what the parser may raise beside the errors that users see.
    """

    name: str
    file: str
    make: Callable[[Path], None]
    parse: Callable[[Path], object]
    mutate: Mutation = damage
    memory: int = 96
    seconds: float = 1.0
    cost: int = 1
    errors: tuple[type[Exception], ...] = ()

    @cached_property
    def seeds(self) -> Sequence[bytes]:
        """Valid files."""
        with TemporaryDirectory() as folder:
            self.make(Path(folder))
            return [path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file()]

    def input(self, seed: int, number: int) -> bytes:
        """The input of a number: every hundredth is valid, so that a reader that refuses all shows.

        Args:
            seed: of the run.
            number: of the input in the run.
        """
        rng = random.Random(f"{self.name}/{seed}/{number}")
        data = rng.choice(self.seeds)
        return data if number % 100 == 0 else self.mutate(data, rng)
