# SPDX-License-Identifier: GPL-3.0-or-later
"""Assets made by this project: default head, default avatar, sample voice (PROVENANCE.md)."""
