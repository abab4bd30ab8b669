# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech train``: avatars and speech models from captures."""

from __future__ import annotations

import importlib
import importlib.util

from tyro.extras import SubcommandApp

app = SubcommandApp()
app.__doc__ = "Train an avatar, a speech model, or both for each other."

for _name in ("avatar", "speech", "joint"):
    # Each kind of training is a file of its own with one function of the command's name.
    _module = f"training.commands.train_{_name}"
    if importlib.util.find_spec(_module) is not None:
        app.command(getattr(importlib.import_module(_module), _name), name=_name)
