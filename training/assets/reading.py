# SPDX-License-Identifier: GPL-3.0-or-later
"""Sentences to read: ``reading.txt``, from books that are in the public domain everywhere.

Austen (Pride and Prejudice, 1813), Carroll (Alice's Adventures in Wonderland, 1865), Dickens (A
Christmas Carol, 1843; A Tale of Two Cities, 1859), Melville (Moby-Dick, 1851), Thoreau (Walden,
1854), Brontë (Jane Eyre, 1847), Stevenson (Treasure Island, 1883), Wells (The Time Machine, 1895),
Twain (Adventures of Huckleberry Finn, 1884) and Aesop in Townsend's words (1867).
"""

from __future__ import annotations

from pathlib import Path

SENTENCES: tuple[str, ...] = tuple(
    Path(__file__).with_name("reading.txt").read_text(encoding="utf-8").splitlines()
)
"""Enough for the paper's tables: :mod:`training.assets.another_speaker` takes the first ones."""
