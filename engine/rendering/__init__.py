# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances to pictures: frames, stills, videos and splat sequences."""
