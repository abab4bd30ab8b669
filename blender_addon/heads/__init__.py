# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's heads."""

CLASSES: tuple[type, ...] = ()
