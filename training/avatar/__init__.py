# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian avatars trained from multi-view captures (GaussianSpeech, section 4.1)."""
