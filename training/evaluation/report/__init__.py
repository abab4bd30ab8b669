# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports of evaluations and trainings: JSON, tables and pages."""
