# SPDX-License-Identifier: GPL-3.0-or-later
"""The add-on's export."""

CLASSES: tuple[type, ...] = ()
