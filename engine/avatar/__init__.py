# SPDX-License-Identifier: GPL-3.0-or-later
"""Gaussian avatars: splats bound to the triangles of a head, and their colour."""
