# SPDX-License-Identifier: GPL-3.0-or-later
"""A Gaussian rasteriser for CPUs with gsplat's semantics, compiled by numba.

The way of the data: :mod:`projection` turns Gaussians into 2D footprints, :mod:`binning` sorts
them by depth and deals them out to tiles, :mod:`blending` composites each tile front to back, and
:mod:`gradients` walks the same way for the derivatives. :mod:`backend` puts them together.
"""
