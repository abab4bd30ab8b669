# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads: template meshes with expressions, from the shipped asset, FLAME files or any mesh."""
