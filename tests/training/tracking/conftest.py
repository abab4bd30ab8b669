# SPDX-License-Identifier: GPL-3.0-or-later
import importlib.util

import pytest


@pytest.fixture(scope="session")
def mediapipe():
    if importlib.util.find_spec("mediapipe") is None:
        pytest.skip("mediapipe is not installed (pip install 'gaussianspeech[tracking]')")
