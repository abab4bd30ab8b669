# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of ``gaussianspeech``, one file each; heavy imports stay inside the commands."""
