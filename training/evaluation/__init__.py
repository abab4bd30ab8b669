# SPDX-License-Identifier: GPL-3.0-or-later
"""Evaluation of speech models and avatars, and its reports."""
