# SPDX-License-Identifier: GPL-3.0-or-later
"""Synthetic captures: a head filmed by many cameras, rendered with Blender's Cycles."""
