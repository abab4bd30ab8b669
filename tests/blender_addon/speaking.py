# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of an object, found in the file as a script would, without the add-on's own code."""

from __future__ import annotations


def line_of(obj):
    """The active line."""
    return obj.gaussianspeech_lines[obj.gaussianspeech_active_line]


def strip_of(datablock, line):
    """The NLA strip that plays a line on a datablock, ``None`` without."""
    animation = datablock.animation_data
    for track in animation.nla_tracks if animation else ():
        for strip in track.strips:
            if strip.action and strip.action.get("gaussianspeech_line") == line.id:
                return strip
    return None


def action_of(obj, line=None):
    """The Action of a line, the active one by default; ``None`` without."""
    if not obj.gaussianspeech_lines and line is None:
        return None
    strip = strip_of(obj.data.shape_keys, line or line_of(obj))
    return strip.action if strip else None


def frames_of(obj, line=None):
    """First and last scene frame of a line's values."""
    line = line or line_of(obj)
    return frames_of_strip(strip_of(obj.data.shape_keys, line))


def frames_of_strip(strip):
    """First and last scene frame of what a strip of ours plays, without its ease."""
    ease = strip.action["gaussianspeech_placed"][4]
    return round(strip.frame_start + ease, 3), round(strip.frame_end - ease, 3)
