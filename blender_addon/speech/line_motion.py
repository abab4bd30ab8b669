# SPDX-License-Identifier: GPL-3.0-or-later
"""What a line's controls make of its prediction, as the channels that show it: numbers alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...engine.motion.lip_contact import LipGap, lips_touch
from ...engine.motion.spans import Span
from ..characters.head_joints import HeadPose
from ..characters.targets import Channel, Target
from .adjust import Adjustments, adjusted
from .head_motion import turn_channels
from .prediction import Prediction
from .slices import Check


@dataclass(frozen=True, eq=False)
class MotionRequest:
    """What is worked out without Blender.

    Attributes:
        prediction: of the line.
        wanted: by its controls.
        gap: how the expressions part the lips.
        spans: that are spoken otherwise, seconds from the first frame.
        targets: of the character's objects.
        by_bones: whether bones turn the head.
        neck: what it turns about.
    """

    prediction: Prediction
    wanted: Adjustments
    gap: LipGap | None
    spans: Sequence[Span]
    targets: Sequence[Target]
    by_bones: bool
    neck: tuple[float, float, float] | None

    def channels(self, _check: Check) -> LineChannels:
        """All channels."""
        prediction = self.prediction
        made = adjusted(prediction, self.wanted, self.gap, self.spans)
        rotation = made.head_rotation
        pose = HeadPose(
            prediction.joints, made.pose, rotation, prediction.turned_by, prediction.neck
        )
        return LineChannels(
            [
                list(target.channels(prediction.names, made.values, rotation, pose))
                for target in self.targets
            ],
            [] if self.by_bones else turn_channels(rotation, self.neck),
            None if self.gap is None else lips_touch(made.values, self.gap),
        )


@dataclass(frozen=True, eq=False)
class LineChannels:
    """Channels of the objects and of what turns the head, and (T,) frames in which lips touch."""

    parts: list[list[Channel]]
    turn: list[Channel]
    contact: NDArray[np.bool_] | None
