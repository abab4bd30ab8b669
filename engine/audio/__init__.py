# SPDX-License-Identifier: GPL-3.0-or-later
"""Audio: decoding, resampling, and the encoders that turn sound into features and phones."""
