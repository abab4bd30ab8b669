# SPDX-License-Identifier: GPL-3.0-or-later
"""Phones and words on the timeline: shown, dragged, and followed by the mouth."""
