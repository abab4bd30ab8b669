# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: detached processes with a folder each, which survive Blender and the engine.

:mod:`folder` starts, lists, cancels, resumes and removes them; :mod:`worker` is the side of the
process that does the work. :mod:`status` and :mod:`summary` need the standard library alone: the
add-on imports them too.
"""
