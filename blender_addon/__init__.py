# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender side: operators, panels and the render engine.

Standard library, numpy and bpy only.
"""
