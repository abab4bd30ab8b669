# SPDX-License-Identifier: GPL-3.0-or-later
"""The artist's settings applied to a prediction. No bpy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...engine.core.arrays import Double, Float
from ...engine.motion.face.blinks import blink_times
from ...engine.motion.face.emotion import AUTOMATIC, emotion_amounts
from ...engine.motion.face.emotion import NEUTRAL as NO_EMOTION
from ...engine.motion.face.gaze import Gaze, look
from ...engine.motion.face.head_motion import head_motion
from ...engine.motion.face.layers import with_gaze
from ...engine.motion.face.prosody import Prosody, prosody_of_phones
from ...engine.motion.joint_pose import JointPose
from ...engine.motion.lip_contact import LipGap, keep_lip_contact
from ...engine.motion.rules.contacts import Contacts, contact_curves, phones_in_silence
from ...engine.motion.rules.pauses import hold_pauses_open
from ...engine.motion.spans import Span, hold_closed, strength_curve
from ...engine.motion.style import NEUTRAL, Shaping, Style, shape_mouth
from ...engine.phonemes import Phone
from .prediction import Prediction

Amount = Double | float
"""A number, or (T,) of them."""

JAW_OPEN, MOUTH_CLOSE = "jawOpen", "mouthClose"
_JAW, _EYES = "jaw", ("left_eye", "right_eye")
"""Joints of FLAME."""

CLOSURE_PREFIXES = ("mouthClose", "mouthPress", "mouthRoll")
"""Expressions that bring the lips together."""

UPPER_FACE_PREFIXES = ("brow", "eye", "cheekSquint", "noseSneer")
"""Expressions above the mouth."""


@dataclass(frozen=True, eq=False)
class Adjustments:
    """The controls of a bake, each a number or (T,) over time; the defaults change nothing.

    Attributes:
        strength: factor of everything.
        smoothing: standard deviation of the blur in time, seconds.
        lip_closure: factor of the expressions that bring the lips together.
        upper_face: factor of brows, eyes and nose; where the eyes look is not scaled.
        blinks: how far blinks shut the lids.
        articulation: amplitude of jaw, lips and tongue.
        jaw: amplitude of the jaw alone.
        lips: amplitude of rounding, spreading and raising.
        smile: a frown at -1, a smile at 1.
        rest: how closed the mouth is in long silences.
        gaze: amount.
        head_motion: amount.
        emotion_from_voice: amount of emotion that follows the voice.
        emotions: (T, 6) amounts that are asked for, of
            :data:`engine.motion.face.emotion.EMOTIONS`, or ``None``.
        delay: frames of the prediction by which everything comes later.
        seed: of gaze and head motion.
        gaze_target: degrees to the head's left and up of what the eyes come back to.
    """

    strength: Amount = 1.0
    smoothing: Amount = 0.0
    lip_closure: Amount = 1.0
    upper_face: Amount = 1.0
    blinks: Amount = 1.0
    articulation: Amount = 1.0
    jaw: Amount = 1.0
    lips: Amount = 1.0
    smile: Amount = 0.0
    rest: Amount = 1.0
    gaze: Amount = 0.0
    head_motion: Amount = 0.0
    emotion_from_voice: Amount = 0.0
    emotions: Double | None = None
    delay: Amount = 0.0
    seed: int = 0
    gaze_target: tuple[float, float] = (0.0, 0.0)


AMOUNTS = (
    *("strength", "lip_closure", "upper_face", "blinks", "articulation", "jaw", "lips", "smile"),
    *("rest", "gaze", "head_motion", "emotion_from_voice"),
)
"""The controls that are handed on as they are."""


def style_of(settings: Any) -> Style:
    """What the controls of a head ask of speech that is made now, live."""
    return Style(
        settings.articulation,
        settings.smile,
        rest=settings.rest,
        seed=settings.seed,
        gaze=settings.gaze,
        head_motion=settings.head_motion,
        emotion=AUTOMATIC if settings.emotion_from_voice else NO_EMOTION,
        emotion_amount=settings.emotion_from_voice,
    )


@dataclass(frozen=True, eq=False)
class Adjusted:
    """What is baked.

    Attributes:
        values: (T, N) float32 of the keys, within the prediction's ranges.
        head_rotation: (T, 3) float32 rotation vectors, head space, radians.
        pose: of the joints of a rig.
    """

    values: Float
    head_rotation: Float
    pose: JointPose


def adjusted(
    prediction: Prediction,
    wanted: Adjustments,
    gap: LipGap | None = None,
    spans: Sequence[Span] = (),
) -> Adjusted:
    """What to bake.

    Lips that closed in the prediction close at every setting but a lip closure below 1. They never
    close by more than the jaw opens them, unless the prediction did: beyond that they would pass
    through each other.

    Args:
        prediction: what the engine predicted.
        wanted: what the artist asks for.
        gap: how the keys part the inner lips; without it lips may stay apart that are to meet.
        spans: in which the lips are held closed, which needs ``gap``, or a phrase has a strength of
            its own; seconds from the first frame.
    """
    names, frames, fps = prediction.names, len(prediction.values), prediction.fps
    phones = tuple(Phone(*phone) for phone in prediction.phones)
    prosody = _prosody(prediction, phones)
    strength = wanted.strength * strength_curve(spans, frames, fps)
    wanted = replace(wanted, strength=strength)
    spoken = prediction.values
    if _asked(wanted.rest, 1.0) and phones:
        spoken = hold_pauses_open(spoken, names, _contacts(prediction, phones), wanted.rest)
    shaping = Shaping(wanted.articulation, wanted.smile, wanted.jaw, wanted.lips)
    emotions = _emotions(wanted, prosody, frames, fps)
    values = _scaled(shape_mouth(spoken, names, shaping, gap, emotions), names, wanted)
    if _asked(wanted.smoothing, 0.0):
        values = smoothed(values, wanted.smoothing * fps)
    if gap is not None and (_asked(wanted.strength, 1.0) or _asked(wanted.smoothing, 0.0)):
        values = keep_lip_contact(values, spoken, gap)
    closing = _starting_with(names, CLOSURE_PREFIXES)
    if _asked(wanted.lip_closure, 1.0):
        values = _times(values, np.minimum(wanted.lip_closure, 1.0), closing)
    style = Style(seed=wanted.seed, gaze_target=wanted.gaze_target)
    rotation = prediction.head_rotation + head_motion(
        phones, prosody.accents, frames, fps, style, wanted.head_motion
    )
    # The engine was not asked for another take of the blinks than the first.
    blinks = blink_times(phones, frames / fps, NEUTRAL.seed)
    values = hold_closed(values, names, gap, spans, fps)
    values = with_gaze(values, names, phones, blinks, rotation, fps, style, wanted.gaze)
    if _asked(wanted.blinks, 1.0):
        values = _times(values, wanted.blinks, _starting_with(names, ("eyeBlink",)))
    low, high = prediction.bounds
    values = np.clip(values, low, high)
    pose = _joints(prediction, wanted)
    if prediction.joints and np.any(wanted.gaze):
        gaze = look(phones, blinks, rotation, fps, style, wanted.gaze)
        pose = _looking(pose, prediction.joints, gaze)
    if _asked(wanted.delay, 0.0):
        values, rotation = delayed(values, wanted.delay), delayed(rotation, wanted.delay)
        pose = JointPose(
            *(_delayed_joints(part, wanted.delay) for part in (pose.rotation, pose.location))
        )
    return Adjusted(values, rotation, pose)


def _joints(prediction: Prediction, wanted: Adjustments) -> JointPose:
    """The joints, the jaw's with what is asked of jaw and speech."""
    pose = prediction.pose
    if _JAW not in prediction.joints:
        return pose
    jaw = prediction.joints.index(_JAW)
    parts = []
    for moved in (pose.rotation, pose.location):
        column = moved[:, jaw]
        for factor in (wanted.strength, wanted.articulation, wanted.jaw):
            column = column * np.reshape(factor, (-1, 1)).astype(np.float32)
        if _asked(wanted.smoothing, 0.0):
            column = smoothed(column, wanted.smoothing * prediction.fps)
        part = moved.copy()
        part[:, jaw] = column
        parts.append(part)
    return JointPose(*parts)


def _looking(pose: JointPose, joints: tuple[str, ...], gaze: Gaze) -> JointPose:
    """Eyes that look elsewhere, too: +X turns down, +Y to the head's left."""
    left, up = np.radians(gaze.degrees.T)
    turn = np.stack([-up, left, np.zeros_like(up)], axis=1).astype(np.float32)
    rotation = pose.rotation.copy()
    for name in _EYES:
        if name in joints:
            rotation[:, joints.index(name)] += turn
    return JointPose(rotation, pose.location)


def _delayed_joints(moved: Float, delay: Amount) -> Float:
    return delayed(moved.reshape(len(moved), -1), delay).reshape(moved.shape)


def _scaled(values: Float, names: tuple[str, ...], wanted: Adjustments) -> Float:
    """Values with more closure, the upper face's amount and the strength of everything."""
    before = values
    if _asked(wanted.lip_closure, 1.0):
        closure = np.maximum(wanted.lip_closure, 1.0)
        values = _times(values, closure, _starting_with(names, CLOSURE_PREFIXES))
        if JAW_OPEN in names and MOUTH_CLOSE in names:
            jaw, close = names.index(JAW_OPEN), names.index(MOUTH_CLOSE)
            most = np.maximum(before[:, jaw], before[:, close])
            values[:, close] = np.minimum(values[:, close], most)
    if _asked(wanted.upper_face, 1.0):
        values = _times(values, wanted.upper_face, _starting_with(names, UPPER_FACE_PREFIXES))
    if _asked(wanted.strength, 1.0):
        values = _times(values, wanted.strength, list(range(len(names))))
    return values


def _times(values: Float, factor: Amount, columns: list[int]) -> Float:
    """A copy whose columns are multiplied by a factor, or by one for each frame."""
    result = values.astype(np.float32, copy=True)
    result[:, columns] *= np.reshape(factor, (-1, 1)).astype(np.float32)
    return result


def _asked(amount: Amount, usual: float) -> bool:
    """Whether a control is anywhere else than where it changes nothing."""
    return bool(np.any(np.asarray(amount) != usual))


def _prosody(prediction: Prediction, phones: tuple[Phone, ...]) -> Prosody:
    """That of the prediction; of one that was kept before there was any, what the phones say."""
    return prediction.prosody if prediction.prosody.accents else prosody_of_phones(phones)


def _emotions(wanted: Adjustments, prosody: Prosody, frames: int, fps: float) -> Double | None:
    """(T, 6) the emotions that are asked for, with those of the voice."""
    if not _asked(wanted.emotion_from_voice, 0.0):
        return wanted.emotions
    of_voice = emotion_amounts(AUTOMATIC, 1.0, (), prosody.tones, frames, fps)
    if of_voice is None:
        return wanted.emotions
    amounts = of_voice * np.reshape(wanted.emotion_from_voice, (-1, 1))
    return np.minimum(amounts + (0.0 if wanted.emotions is None else wanted.emotions), 1.0)


def _contacts(prediction: Prediction, phones: tuple[Phone, ...]) -> Contacts:
    """The contacts of the sounds that were predicted."""
    frames, fps = len(prediction.values), prediction.fps
    return contact_curves(phones_in_silence(phones, frames / fps), frames, fps, 1.0)


def smoothed(values: Float, sigma: Amount) -> Float:
    """Blur columns in time with a Gaussian of ``sigma`` frames; the ends hold their value.

    Args:
        values: (T, N).
        sigma: standard deviation, one or (T,) of them.
    """
    radius = int(np.ceil(3 * np.max(sigma)))
    distance = np.arange(-radius, radius + 1)
    kernel = np.exp(-0.5 * (distance / np.maximum(np.reshape(sigma, (-1, 1)), 1e-6)) ** 2)
    kernel = (kernel / kernel.sum(axis=1, keepdims=True)).astype(np.float32)
    padded = np.pad(values, ((radius, radius), (0, 0)), mode="edge")
    result = np.zeros_like(values)
    for offset, weights in enumerate(kernel.T):
        result += weights[:, None] * padded[offset : offset + len(values)]
    return result


def delayed(values: Float, delay: Amount) -> Float:
    """(T, N) values that come later by ``delay`` frames, one or (T,); the ends hold theirs."""
    last = len(values) - 1
    times = np.clip(np.arange(last + 1) - delay, 0.0, last)
    before = times.astype(int)
    share = (times - before)[:, None].astype(np.float32)
    after = np.minimum(before + 1, last)
    return np.asarray((1 - share) * values[before] + share * values[after], np.float32)


def _starting_with(names: tuple[str, ...], prefixes: tuple[str, ...]) -> list[int]:
    return [index for index, name in enumerate(names) if name.startswith(prefixes)]
