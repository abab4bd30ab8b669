# SPDX-License-Identifier: GPL-3.0-or-later
"""An invented person with a FLAME file, from a NeRSemble-style capture to a speaking avatar."""
