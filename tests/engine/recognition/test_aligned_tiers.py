# SPDX-License-Identifier: GPL-3.0-or-later
"""Who says what in the tiers of a TextGrid."""

from __future__ import annotations

import pytest

from engine.recognition.aligned_tiers import texts_of
from engine.recognition.text_grid import Interval, Tier


def tier(name, *texts):
    return Tier(name, tuple(Interval(text, i, i + 1.0) for i, text in enumerate(texts)))


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        ([tier("Anna", "Who is it?", "sil", "Ah.")], {"Anna": ["Who is it?", "Ah."]}),
        ([tier("words", "who", ""), tier("phones", "HH", "UW1")], {"": ["who"]}),
        ([tier("ORT-MAU", "wer"), tier("KAN-MAU", "v e"), tier("MAU", "v")], {"ORT": ["wer"]}),
        (
            [tier("Anna - words", "no"), tier("Anna - phones", "N"), tier("Bob - words", "yes")],
            {"Anna": ["no"], "Bob": ["yes"]},
        ),
        ([tier("Anna - words", "no"), tier("Anna", "No.")], {"Anna": ["No."]}),
        ([tier("phones", "N")], {}),
    ],
)
def test_what_each_speaker_says(tiers, said):
    found = {name: [text for text, _, _ in texts] for name, texts in texts_of(tiers).items()}
    assert found == said
