# SPDX-License-Identifier: GPL-3.0-or-later
"""A capture from one video: landmarks, a head fitted to them, masks, and the layout on disk."""
