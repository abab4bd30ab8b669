# SPDX-License-Identifier: GPL-3.0-or-later
"""The benchmark's parts inside Blender: ``gaussianspeech bench`` runs them; not in the zip."""
