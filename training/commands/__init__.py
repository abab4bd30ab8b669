# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands that training adds to ``gaussianspeech`` (entry points in pyproject.toml)."""
