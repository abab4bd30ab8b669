# SPDX-License-Identifier: GPL-3.0-or-later
"""What all trainings share: the loop, checkpoints and records."""
