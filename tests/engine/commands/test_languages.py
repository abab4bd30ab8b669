# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

from engine.cli import main


def test_languages_are_listed_with_their_codes(capsys):
    assert main(["languages"]) == 0
    assert "de" in {line.split()[0] for line in capsys.readouterr().out.splitlines()}


def test_languages_are_listed_for_programs(capsys):
    assert main(["languages", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["de"] == "German"
