# SPDX-License-Identifier: GPL-3.0-or-later
"""The scripts that make the shipped assets again; they need the ``assets`` extra."""
