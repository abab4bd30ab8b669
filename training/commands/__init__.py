# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that training adds to ``gaussianspeech`` (listed in :mod:`training.cli`)."""
