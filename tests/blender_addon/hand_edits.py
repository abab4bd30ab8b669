# SPDX-License-Identifier: GPL-3.0-or-later
"""Edits of a line's keys by hand, and the strips that keep them."""

from __future__ import annotations

JAW = 'key_blocks["jawOpen"].value'


def curve_of(addon, action, path=JAW):
    return next(curve for curve in addon("compat").fcurves(action) if curve.data_path == path)


def raise_key(addon, action, frame, by):
    """Move the key next to a frame up, with its handles."""
    curve = curve_of(addon, action)
    point = min(curve.keyframe_points, key=lambda point: abs(point.co.x - frame))
    point.co.y += by
    point.handle_left.y += by
    point.handle_right.y += by
    curve.update()
    return round(point.co.x)


def edits_of(obj):
    """What was edited in the lines of an object, by strip."""
    return [
        strip
        for track in obj.data.shape_keys.animation_data.nla_tracks
        for strip in track.strips
        if "gaussianspeech_edits" in strip.action
    ]
