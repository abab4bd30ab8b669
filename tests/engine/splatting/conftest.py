# SPDX-License-Identifier: GPL-3.0-or-later
import sys
from pathlib import Path

# The oracle and the scenes stand beside the tests; importlib mode adds no test folder to the path.
sys.path.insert(0, str(Path(__file__).parent))
