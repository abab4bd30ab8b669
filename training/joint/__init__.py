# SPDX-License-Identifier: GPL-3.0-or-later
"""The joint stage: a speech model and an avatar's colours trained on each other's results."""
