# SPDX-License-Identifier: GPL-3.0-or-later
"""``python -m engine``: the command line, the same as ``gaussianspeech``."""

import sys

from engine.cli import main

sys.exit(main())
