# SPDX-License-Identifier: GPL-3.0-or-later
"""Training the speech model: synthesised speech, sequences, the training loop and its files."""
