# SPDX-License-Identifier: GPL-3.0-or-later
"""Characters of other makers: what their mouth shapes are called, and how speech becomes them.

All modules need numpy alone, for Blender maps without the engine.
"""
