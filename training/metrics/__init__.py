# SPDX-License-Identifier: GPL-3.0-or-later
"""Measures of lip sync, geometry and images, as the field computes them."""
