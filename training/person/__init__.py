# SPDX-License-Identifier: GPL-3.0-or-later
"""A person from a capture: avatar, speech model and both for each other, as one job."""
