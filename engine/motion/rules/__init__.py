# SPDX-License-Identifier: GPL-3.0-or-later
"""Rule-based articulation: timed phones to curves of the 52 ARKit expressions."""
