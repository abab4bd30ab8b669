# SPDX-License-Identifier: GPL-3.0-or-later
"""Results for other tools: videos, meshes and performances."""
