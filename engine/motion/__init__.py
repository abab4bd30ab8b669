# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech to motion: phones and audio features to a performance of a head."""
