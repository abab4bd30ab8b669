# SPDX-License-Identifier: GPL-3.0-or-later
"""What a speaking face and head do besides speaking: blinks, brows, gaze, head motion, emotion.

Each is a layer over finished expression weights with an amount of its own, off at 0, repeatable by
the style's seed. All modules need numpy alone, for Blender bakes the layers again without the
engine.
"""
