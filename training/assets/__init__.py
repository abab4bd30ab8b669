# SPDX-License-Identifier: GPL-3.0-or-later
"""Builders of the shipped assets (engine/assets/PROVENANCE.md)."""
