# SPDX-License-Identifier: GPL-3.0-or-later
"""How the filmed synthetic person looks in Cycles.

The whole interface, of the modules ``person`` and ``studio``::

    scene = bpy.context.scene                     # fresh: no lamps, no objects
    light_studio(scene)                           # key, fill, top and rim lights, a dim surround
    prepare_rendering(scene, samples=16)          # Cycles, denoising, alpha, Standard
    person = build_person(scene, head)            # seconds, once
    person.root.matrix_world = ...                # the head's pose, in Blender space; optional
    person.pose(head.deform(expression), expression)
    bpy.ops.render.render(write_still=True)       # cameras, size and files are the caller's

Vertices are in head space (+Y up, +Z forward, metres); Blender space is that of
``engine.heads.axes``. The lights stand in the world and do not turn with the person.

Nothing is imported here: what only computes (colours, furrows, hair) needs no ``bpy``.
"""
