# SPDX-License-Identifier: GPL-3.0-or-later
"""The methods the engine process answers: one module per group, listed in ``methods``."""
