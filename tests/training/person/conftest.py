# SPDX-License-Identifier: GPL-3.0-or-later
"""Persons are trained with a joint stage of a few steps."""

import pytest

from training.joint.config import JointSettings
from training.person.config import PersonSettings


@pytest.fixture(scope="module", autouse=True)
def short_joint_stage():
    def joint(settings):
        return JointSettings(
            rounds=1, speech_steps=2, color_steps=3, batch=2, frames=20, backend="cpu",
            device="cpu", threads=1,
        )  # fmt: skip

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PersonSettings, "joint", property(joint))
        yield
