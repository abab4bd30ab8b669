# SPDX-License-Identifier: GPL-3.0-or-later
"""Data sets on disk: speech with alignments, multi-view captures."""
