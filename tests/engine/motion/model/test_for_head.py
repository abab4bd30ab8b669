# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes of a speech model for a head."""

from dataclasses import replace

import pytest

from engine.core.errors import BadInputError
from engine.heads.default import load_default_head
from engine.motion.model.config import STARTER, for_head


def test_a_head_without_lips_is_named():
    """As FLAME without its masks is."""
    head = load_default_head()
    regions = {name: vertices for name, vertices in head.regions.items() if name != "lips"}
    with pytest.raises(BadInputError, match=r"has no region of lips\.") as refusal:
        for_head(STARTER, replace(head, id="flame-1", regions=regions))
    assert "FLAME_masks.pkl" in refusal.value.hint


def test_a_head_gives_the_model_its_sizes():
    head = load_default_head()
    assert for_head(STARTER, head).lip_vertices == len(head.regions["lips"])
