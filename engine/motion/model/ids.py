# SPDX-License-Identifier: GPL-3.0-or-later
"""Ids of the speech models: the one place where they are spelled.

The standard library alone: Blender imports this module.
"""

from __future__ import annotations

from pathlib import Path

# Inside Blender the package round these has a name of Blender's choosing.
from ...core.errors import BadInputError  # noqa: TID252

RULES = "rules"
"""The rule-based articulation."""
CORRECTED = "corrected"
"""The rules, and what the lips of filmed people add to them."""
STARTER = "starter"
"""The learned model that ships."""
BY_RULE = (CORRECTED, RULES)
"""Those that articulate by rule and need no network."""
DEFAULT = CORRECTED
"""What animates a recording unless another is asked for: it follows filmed mouths that it did not
learn from more closely than the others (docs/lip-sync.md)."""
LIVE = STARTER
"""What moves a face live unless another is asked for: where phones alone are known, it closes more
of p, b and m than the rules (docs/live.md)."""
MODELS: tuple[str, ...] = (*BY_RULE, STARTER)
"""Ids of the speech models; the file of a trained model is one too."""
MODEL_SUFFIX = ".safetensors"
STARTER_FILE = Path(__file__).parents[2] / "assets" / "speech_model.safetensors"


def model_file(model: str) -> Path | None:
    """The file of a network, ``None`` for what articulates by rule.

    Args:
        model: one of :data:`MODELS`, or the path of a trained model.

    Raises:
        BadInputError: neither.
    """
    if model in BY_RULE:
        return None
    if model == STARTER:
        return STARTER_FILE
    if model.endswith(MODEL_SUFFIX):
        return Path(model)
    raise BadInputError(
        f"There is no speech model {model!r}.",
        f"Choose from: {', '.join(MODELS)}, or give the {MODEL_SUFFIX} file of a trained one.",
    )
