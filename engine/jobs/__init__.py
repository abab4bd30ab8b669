# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: detached processes with a folder each, which survive Blender and the engine."""
