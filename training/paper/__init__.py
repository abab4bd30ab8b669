# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech evaluate paper``: Tables 2, 3 and 4 of the paper on any capture."""
