# SPDX-License-Identifier: GPL-3.0-or-later
"""The speech model of GaussianSpeech, section 4.2: network, files and inference."""
