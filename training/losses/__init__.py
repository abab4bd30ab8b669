# SPDX-License-Identifier: GPL-3.0-or-later
"""Losses of the speech model and the avatars."""
