# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars in Blender: F12, viewport and compositing over a main scene."""
