# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech to motion: phones to articulation, and the performance that comes out of it."""
