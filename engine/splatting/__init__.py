# SPDX-License-Identifier: GPL-3.0-or-later
"""Splatting: cameras, and the backends that turn Gaussians into pixels."""
