# SPDX-License-Identifier: GPL-3.0-or-later
"""Training and evaluation: data, losses, metrics, reports and background jobs."""
