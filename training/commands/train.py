# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech train``: avatars and speech models from captures."""

from __future__ import annotations

from tyro.extras import SubcommandApp

from training.commands.train_avatar import avatar
from training.commands.train_joint import joint
from training.commands.train_person import person
from training.commands.train_speech import speech

app = SubcommandApp()
app.__doc__ = "Train an avatar, a speech model, both for each other, or a whole person."
for _command in (avatar, speech, joint, person):
    app.command(_command)
