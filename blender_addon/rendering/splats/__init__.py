# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian avatars drawn by Blender's gpu module, without the engine."""
