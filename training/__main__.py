# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m training``: ``gaussianspeech`` from a folder that pip has not installed."""

import sys

from training.cli import main

if __name__ == "__main__":
    sys.exit(main())
