# SPDX-License-Identifier: GPL-3.0-or-later
"""What all trainings share: the loop, its checkpoints and its record of losses and measures.

A training is a :class:`~training.run.loop.Trainable`: it advances by steps, validates, and gives
its state. :class:`~training.run.loop.TrainingLoop` does everything round the steps.
"""
