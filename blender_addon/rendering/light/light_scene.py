# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene that renders the light on a main scene's avatars, kept in step with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import bpy

from ...avatars.properties import avatar_path, shown_name
from ...status import set_message
from ..properties import composite_of
from .proxies import (
    CAPTURE,
    SETTINGS,
    is_current,
    make_proxy,
    remove_proxy,
    remove_shared,
)

HULLS = "GaussianSpeech Hair Shadows"
"""Name of the collection of hulls in the main scene."""

SAMPLES = 32
"""A pixel, at most: the light is denoised, and detail is the avatar's."""

_warned: set[str] = set()
"""Avatars of which it was said that they have no stored light."""


def keep_light_scene(scene: bpy.types.Scene, heads: Collection[bpy.types.Object]) -> None:
    """Have receivers and hulls of these heads and of no others, and no light scene for none.

    Args:
        scene: the main scene.
        heads: those of its rendered heads that it lights.

    Raises:
        BadInputError: an avatar's file cannot be read.
    """
    composite = composite_of(scene)
    if not heads:
        remove_light_scene(scene)
        return
    if composite.light_scene is None:
        composite.light_scene = _new_scene(scene)
    if composite.hulls is None:
        composite.hulls = bpy.data.collections.new(HULLS)
        scene.collection.children.link(composite.hulls)
    light_scene = composite.light_scene
    changed = False
    for owner, is_hull in ((light_scene.collection, False), (composite.hulls, True)):
        changed |= _keep_proxies(owner.objects, heads, is_hull=is_hull)
    _follow_engine(scene, light_scene)
    if changed:
        # A render that has begun already would otherwise crash Blender 5.2.
        light_scene.view_layers[0].update()
        scene.view_layers[0].update()


def differs(scene: bpy.types.Scene, heads: Collection[bpy.types.Object]) -> bool:
    """Whether :func:`keep_light_scene` would make or remove something."""
    composite = composite_of(scene)
    if composite.light_scene is None or composite.hulls is None:
        return bool(heads)
    return any(
        _differing(objects, heads) != ([], set())
        for objects in (composite.light_scene.collection.objects, composite.hulls.objects)
    )


def remove_light_scene(scene: bpy.types.Scene) -> None:
    """Remove the light scene, its proxies, and what they share."""
    composite = composite_of(scene)
    light_scene, composite.light_scene = composite.light_scene, None
    hulls, composite.hulls = composite.hulls, None
    for owner in (light_scene.collection if light_scene else None, hulls):
        for obj in list(owner.objects) if owner else ():
            if obj.type == "MESH":
                remove_proxy(obj)
    if hulls is not None:
        bpy.data.collections.remove(hulls)
    if light_scene is not None:
        bpy.data.scenes.remove(light_scene)
        remove_shared()


def _new_scene(scene: bpy.types.Scene) -> bpy.types.Scene:
    light_scene = bpy.data.scenes.new(f"{scene.name} Light")
    light_scene.background_set = scene
    render = light_scene.render
    render.film_transparent, render.use_compositing, render.use_sequencer = True, False, False
    layer = light_scene.view_layers[0]
    for name in (CAPTURE, SETTINGS):
        aov = layer.aovs.add()
        aov.name, aov.type = name, "COLOR"
    layer.update_render_passes()
    return light_scene


def _differing(
    objects: Iterable[bpy.types.Object], heads: Collection[bpy.types.Object]
) -> tuple[list[bpy.types.Object], set[bpy.types.Object]]:
    """Proxies that are to go, and heads that lack one."""
    proxies = [obj for obj in objects if obj.type == "MESH"]
    kept: set[bpy.types.Object] = set()
    gone = []
    for proxy in proxies:
        head = proxy.gaussianspeech_light_proxy.head
        if head in heads and head not in kept and is_current(proxy):
            kept.add(head)
        else:
            gone.append(proxy)
    return gone, set(heads) - kept


def _keep_proxies(objects: Any, heads: Collection[bpy.types.Object], *, is_hull: bool) -> bool:
    gone, missing = _differing(objects, heads)
    for proxy in gone:
        remove_proxy(proxy)
    for head in sorted(missing, key=lambda obj: obj.name):
        proxy, stored = make_proxy(head, is_hull=is_hull)
        objects.link(proxy)
        if not stored.known:
            _warn(head)
    return bool(gone or missing)


def _warn(head: bpy.types.Object) -> None:
    """Say once of each avatar that its light is a guess."""
    path = avatar_path(head.gaussianspeech_avatar.source)
    if path not in _warned:
        _warned.add(path)
        name = shown_name(head.gaussianspeech_avatar.source)
        text = f"{name} ('{head.name}') is an avatar without a stored light; even light is assumed"
        set_message(bpy.context, text)
        print(f"Warning: {text}", flush=True)


def _follow_engine(scene: bpy.types.Scene, light_scene: bpy.types.Scene) -> None:
    """Render as the main scene does, with few samples and denoised."""
    if light_scene.world != scene.world:
        light_scene.world = scene.world
    if light_scene.render.engine != scene.render.engine:
        light_scene.render.engine = scene.render.engine
    own: dict[str, Any] = {}
    if scene.render.engine == "CYCLES":
        own = {"samples": min(scene.cycles.samples, SAMPLES), "use_denoising": True}
    for group in ("cycles", "eevee"):
        if hasattr(scene, group):
            _copy_group(getattr(scene, group), getattr(light_scene, group), own)
            own = {}


def _copy_group(source: Any, target: Any, own: dict[str, Any]) -> None:
    for item in source.bl_rna.properties:
        name = item.identifier
        if item.is_readonly or name in ("rna_type", "name"):
            continue
        value = own.get(name, getattr(source, name))
        if getattr(target, name) != value:
            setattr(target, name, value)
