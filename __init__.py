# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender extension: the repository root is its package, and this file hands on to the add-on.

Nothing is imported until Blender registers it, because test runners import this file too.
"""


def register() -> None:
    """Called by Blender when the extension is enabled."""
    from .blender_addon import registration

    registration.register()


def unregister() -> None:
    """Called by Blender when the extension is disabled."""
    from .blender_addon import registration

    registration.unregister()
