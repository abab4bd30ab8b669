# SPDX-License-Identifier: GPL-3.0-or-later
"""Speech recognition: what is said in a recording, as phones and words with times."""
