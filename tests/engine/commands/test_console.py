# SPDX-License-Identifier: GPL-3.0-or-later
"""How commands talk."""

from __future__ import annotations

import io

from rich.console import Console

from engine.commands import console, doctor
from engine.core.diagnosis import Check

NAME = "[/x] a[b]c"
"""What rich takes for markup, and a file may well be called."""


def test_the_progress_bar_shows_names_as_they_are(monkeypatch):
    written = io.StringIO()
    terminal = Console(file=written, force_terminal=True, width=100)
    monkeypatch.setattr(console, "Console", lambda stderr: terminal)
    # Each report is drawn, not only ten in a second.
    monkeypatch.setattr(console.Bars, "update", _drawn(console.Bars.update))
    with console.progress_bar("train") as progress:
        progress(0.5, f"Encoding {NAME}")
    assert NAME in written.getvalue()


def test_a_log_has_a_line_a_tenth_and_for_each_kind_of_step(capsys):
    with console.progress_bar("train") as progress:
        for step in range(100):
            progress(step / 100, f"{step * 17:,} Gaussians, PSNR {step / 7:.2f} dB")
        progress(0.99, "Writing")
    assert len(capsys.readouterr().err.splitlines()) == 11


def test_doctor_shows_names_as_they_are(monkeypatch, capsys):
    check = Check("files", NAME, "warning", f"the folder {NAME} is full", "make room")
    monkeypatch.setattr(doctor, "examine", lambda: [check])
    doctor.doctor()
    assert capsys.readouterr().out.count(NAME) == 2


def _drawn(update):
    def and_refresh(bars, *given, **named):
        update(bars, *given, **named)
        bars.refresh()

    return and_refresh
