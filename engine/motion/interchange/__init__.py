# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances in the formats of other programs: Live Link Face, ARKit weights as JSON, FLAME."""
