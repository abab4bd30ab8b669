# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors, files, npz, progress, timing and the wire protocol; standard library and numpy only."""
