# SPDX-License-Identifier: GPL-3.0-or-later
"""Audio encoders of the speech model: speech in, a sequence of feature vectors out."""
