# SPDX-License-Identifier: GPL-3.0-or-later
"""What all sections of the tab have in common."""

from __future__ import annotations


class Section:
    """A panel of the tab in the 3D view's sidebar, below its main panel or the parent it names."""

    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_category = "GaussianSpeech"
    bl_parent_id = "GAUSSIANSPEECH_PT_main"
