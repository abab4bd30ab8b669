# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene's own light on avatars: a light pass of their meshes, over the light of the capture.

A third scene shows the main one as its background set, so it has every light and every object that
casts a shadow, and a *receiver* per head: the head's mesh, moved outwards to where its Gaussians
end, in a neutral material. What Cycles or EEVEE makes of it is the light on the avatar. A *hull* of
the hair alone stands in the main scene, unseen by the camera, and casts the hair's shadow.
"""
