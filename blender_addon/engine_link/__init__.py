# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection to the engine process, and work beside Blender's main thread.

From the process up: :mod:`process` (which Python, which command), :mod:`connection` (one run of it
and the pipe), :mod:`client` (requests), :mod:`future` (what a caller waits for), all without bpy;
:mod:`session` (the one engine of this Blender), :mod:`background` (work that no operator waits
for), :mod:`tasks` (operators that wait without freezing the window), :mod:`ops`.
"""
