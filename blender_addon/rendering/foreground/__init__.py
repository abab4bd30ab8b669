# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a scene occludes its avatars, where one depth for each pixel does not say it.

Of things with motion blur or out of focus a pixel has many depths. A scene of its own, which shows
the main one as its background set, renders them with *mattes* in it: the heads' meshes as holdouts.
What it shows is what occludes the avatars, with its coverage in the alpha; nothing else of the
scene needs to be known for an exact composite.
"""
